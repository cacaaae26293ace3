"""Progress blocks as ffmpeg 9.0.2 writes them."""

from workers.ffmpeg.progress import Progress, ProgressReader
from workers.running import encoding_progress

BLOCK = """frame=48
fps=23.50
stream_0_0_q=28.0
bitrate=  51.3kbits/s
total_size=10240
out_time_us=1600000
out_time_ms=1600000
out_time=00:00:01.600000
dup_frames=0
drop_frames=0
speed=0.783x
progress=continue
"""


def read(text: str) -> list[Progress]:
    """Every block of the text."""
    reader = ProgressReader()
    return [found for line in text.splitlines() if (found := reader.feed(line)) is not None]


def test_whole_block_gives_every_value_once() -> None:
    assert read(BLOCK) == [
        Progress(
            frame=48,
            fps=23.5,
            out_time_seconds=1.6,
            speed=0.783,
            total_bytes=10240,
            dropped_frames=0,
            is_end=False,
        )
    ]


def test_bit_rate_is_that_of_the_output_so_far() -> None:
    assert read(BLOCK)[0].bits_per_second == 51_200
    assert (
        read("frame=0\nout_time_us=0\ntotal_size=90\nprogress=continue\n")[0].bits_per_second
        is None
    )


def test_progress_of_a_stream_counts_what_was_before_it_broke_off() -> None:
    (said,) = read(BLOCK.replace("drop_frames=0", "drop_frames=3"))
    now = encoding_progress(said, 10.0, least=0.0, before_seconds=2.4, before_dropped=4)

    assert (now.fraction, now.dropped_frames) == (0.4, 7)


def test_values_that_are_not_known_yet_are_none() -> None:
    text = "frame=0\nfps=0.0\ntotal_size=N/A\nout_time_us=N/A\nspeed=N/A\nprogress=continue\n"

    assert read(text) == [
        Progress(
            frame=0, fps=0.0, out_time_seconds=None, speed=None, total_bytes=None, is_end=False
        )
    ]


def test_values_of_one_block_do_not_leak_into_the_next() -> None:
    assert read(BLOCK + "progress=end\n")[1] == Progress(
        frame=None, fps=None, out_time_seconds=None, speed=None, total_bytes=None, is_end=True
    )


def test_negative_time_before_the_first_frame_is_zero() -> None:
    assert read("out_time_us=-23220\nprogress=continue")[0].out_time_seconds == 0.0


def test_padded_speed_is_a_number() -> None:
    assert read("speed=   2x\nprogress=continue")[0].speed == 2.0


def test_garbage_lines_are_ignored() -> None:
    text = "\n=\nnoise\nframe=\nframe=nan\nframe=inf\nfps=1e99\nspeed==\nprogress=continue\n"

    assert read(text) == [
        Progress(
            frame=None, fps=None, out_time_seconds=None, speed=None, total_bytes=None, is_end=False
        )
    ]


def test_flood_of_unknown_keys_takes_no_memory() -> None:
    reader = ProgressReader()
    for number in range(10_000):
        reader.feed(f"key{number}=value")

    assert reader._values == {}


def test_progress_that_was_shown_is_not_taken_back_while_ffmpeg_knows_no_position() -> None:
    said = Progress(
        frame=300, fps=30.0, out_time_seconds=None, speed=1.0, total_bytes=9, is_end=False
    )

    assert encoding_progress(said, 10.0, least=0.9).fraction == 0.9
