"""What an attempt reads is checked first, and then lies alone."""

import os
from pathlib import Path

import pytest

from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed
from workers.sources import find_source, laid_out, tame


def refused(location: str, *roots: Path) -> str:
    with pytest.raises(AttemptFailed) as caught:
        find_source(location, roots)
    assert caught.value.failure_class is FailureClass.INPUT_REFUSED
    return caught.value.message


def test_node_without_media_roots_reads_no_local_file_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")

    said = refused(f"{tmp_path}/a.mp4")

    assert said == (
        f"input {tmp_path}/a.mp4 is a local file, and this node reads none: "
        "start its agent with --media-root"
    )


@pytest.mark.parametrize("location", ["http://h/a.mp4", "HTTPS://h/a", "s3://bucket/key", None])
def test_node_without_media_roots_still_reads_urls_and_test_sources(location: str | None) -> None:
    assert find_source(location, ()) == location


def test_file_outside_the_roots_is_refused_alike_whether_it_exists_or_not(tmp_path: Path) -> None:
    root = tmp_path / "media"
    root.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")

    there, absent = (refused(f"{tmp_path}/{name}.mp4", root) for name in ("secret", "absent"))

    assert there == f"input {tmp_path}/secret.mp4 is outside this node's media roots"
    assert absent == there.replace("secret", "absent")


@pytest.mark.parametrize("way", ["../secret.mp4", "link.mp4", "folder/secret.mp4"])
def test_no_way_leads_out_of_the_roots(tmp_path: Path, way: str) -> None:
    root = tmp_path / "media"
    root.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (root / "link.mp4").symlink_to("../secret.mp4")
    (root / "folder").symlink_to(tmp_path)

    assert "outside this node's media roots" in refused(f"{root}/{way}", root)


def test_root_that_is_itself_a_link_is_a_root(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.mp4").write_bytes(b"x")
    (tmp_path / "media").symlink_to("disk")

    found = find_source(f"{tmp_path}/media/a.mp4", (tmp_path / "media",))

    assert found == f"{tmp_path}/disk/a.mp4"


def test_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert "cannot be looked at" in refused(f"{tmp_path}/a", tmp_path)


def test_local_source_lies_alone_in_a_private_folder_that_is_gone_afterwards(
    tmp_path: Path,
) -> None:
    source, folder = tmp_path / "-i evil 'é.mp4", tmp_path / "attempt" / "input"
    source.write_bytes(b"film")
    (tmp_path / "sibling.mp4").write_bytes(b"x")

    with laid_out(str(source), folder) as link:
        assert link == str(folder / "i_evil___.mp4")
        assert Path(link).read_bytes() == b"film"
        assert os.listdir(folder) == ["i_evil___.mp4"]  # noqa: PTH208
        assert folder.stat().st_mode & 0o777 == 0o700

    assert not folder.exists()
    assert source.read_bytes() == b"film"


def test_folder_is_removed_after_a_failure_too(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), laid_out(f"{tmp_path}/a.mp4", tmp_path / "input"):
        raise ZeroDivisionError

    assert not (tmp_path / "input").exists()


@pytest.mark.parametrize("source", [None, "http://h/a.mp4", "https://h/a.mp4"])
def test_what_is_not_local_needs_no_folder(tmp_path: Path, source: str | None) -> None:
    with laid_out(source, tmp_path / "input") as given:
        assert given == source
        assert not (tmp_path / "input").exists()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("film.mp4", "film.mp4"),
        ("..", "input"),
        ("---", "input"),
        (".hidden.mkv", "hidden.mkv"),
        ("ü%d:x.mov", "_d_x.mov"),
        ("x" * 250 + ".webm", "x" * 95 + ".webm"),
    ],
)
def test_names_become_plain_and_keep_their_extension(name: str, plain: str) -> None:
    assert tame(name).lstrip("_") == plain.lstrip("_")
