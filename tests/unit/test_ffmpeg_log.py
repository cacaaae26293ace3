"""Bounded logs keep head and tail, and say what lies between."""

import random
import re
import tracemalloc

from workers.ffmpeg.log import BoundedLog


def test_text_within_the_limit_is_kept_whole() -> None:
    log = BoundedLog(100)
    for part in ("a" * 40, "b" * 30, "c" * 30):
        log.append(part)

    assert log.text() == "a" * 40 + "b" * 30 + "c" * 30


def test_text_beyond_the_limit_keeps_head_and_tail_and_counts_the_cut() -> None:
    log = BoundedLog(20)
    log.append("0123456789" + "x" * 1_234_567 + "abcdefghij")

    assert log.text() == "0123456789\n[... 1,234,567 bytes cut ...]\nabcdefghij"


def test_any_way_of_appending_gives_the_same_text_and_never_half_characters() -> None:
    chance = random.Random(7)
    whole = "".join(chance.choice("aé€😀\n") for _ in range(3000))
    once = BoundedLog(1001)
    once.append(whole)
    many = BoundedLog(1001)
    position = 0
    while position < len(whole):
        size = chance.randint(1, 700)
        many.append(whole[position : position + size])
        position += size

    assert many.text() == once.text()
    head, cut, tail = re.split(r"\n\[\.\.\. ([\d,]+) bytes cut \.\.\.\]\n", once.text())
    assert whole.startswith(head)
    assert whole.endswith(tail)
    kept = len((head + tail).encode())
    assert kept + int(cut.replace(",", "")) == len(whole.encode())
    assert 990 <= kept <= 1001


def test_flood_of_a_gigabyte_leaves_memory_flat() -> None:
    log = BoundedLog()
    chunk = "frame dropped again\n" * 3277
    tracemalloc.start()
    try:
        for _ in range(1 << 14):
            log.append(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20
    assert len(log.text().encode()) < (1 << 20) + 64


def test_flood_of_single_characters_leaves_memory_flat() -> None:
    log = BoundedLog(1000)
    for _ in range(100_000):
        log.append("x")

    assert len(log._tail) <= 2000


def test_head_is_streamed_in_pieces_that_make_the_head() -> None:
    log = BoundedLog(20)
    seen = ""
    for part in ("héllo ", "wörld ", "more", "and more"):
        log.append(part)
        seen += log.head_since(len(seen))

    assert "héllo wörld more".startswith(seen)
    assert len(seen.encode()) <= 10
    assert log.text().startswith(seen + "\n[...") or log.text().startswith(seen)
    assert log.head_since(len(seen)) == ""


def test_tail_is_the_last_lines() -> None:
    log = BoundedLog()
    log.append("one\ntwo\nthree\n")

    assert log.tail(2) == "two\nthree"
    assert log.tail(0) == ""


def test_text_that_is_no_unicode_is_no_error() -> None:
    log = BoundedLog()
    log.append("a\ud800b")

    assert log.text() == "a?b"
