"""Several outputs in one folder: known by one hash, published in one step, removed as a whole."""

import ctypes
import dataclasses
import errno
import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import OutputMode
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import JOB, claim_of, refusal, staged
from workers import recovery
from workers.digests import OddFolder, files_in, hash_durably, known_hash, sha256_of, size_of
from workers.files import inode_of
from workers.publish import DestinationTaken, FileVanished, publish
from workers.remote.items import Whole
from workers.renames import RENAME_EXCHANGE, RENAME_NOREPLACE
from workers.spool import Phase
from workers.staging import part_path, remove_older_parts

node = agent_parts.node
LADDER = {"master.m3u8": b"#EXTM3U", "720p/init.mp4": b"moov", "720p/0.m4s": b"moof"}
OLDER = {"master.m3u8": b"older"}


def filled(folder: Path, files: dict[str, bytes] = LADDER) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def folder_claim(*, output: str | None = None, **about: Any) -> ClaimAnswer:
    claim = claim_of(**about)
    spec = dataclasses.replace(claim.spec, makes_folder=True, output=output)
    return claim.model_copy(update={"spec": spec})


def test_hash_of_a_folder_is_that_of_what_sha256sum_writes(tmp_path: Path) -> None:
    folder = filled(tmp_path / "ladder", LADDER | {"odd\\name\n.m4s": b"x"})
    names = sorted(os.fsencode(name) for name in content(folder))
    said = subprocess.run(["sha256sum", "--", *names], cwd=folder, check=True, capture_output=True)

    assert sha256_of(folder) == hashlib.sha256(said.stdout).hexdigest()


def test_hash_and_size_are_of_all_files_and_progress_goes_on_between_them(tmp_path: Path) -> None:
    folder = filled(tmp_path / "ladder")
    heard: list[int] = []

    found = hash_durably(folder, heard.append)

    assert found == (sha256_of(folder), 15)
    assert size_of(folder) == 15
    assert heard == [4, 8, 15]


@pytest.mark.parametrize(
    "change", [{"720p/0.m4s": b"other"}, {"720p/1.m4s": b"moof"}, {"master.m3u8": b"#EXTM3V"}]
)
def test_any_change_changes_the_hash(tmp_path: Path, change: dict[str, bytes]) -> None:
    folder = filled(tmp_path / "ladder")
    before = sha256_of(folder)

    filled(folder, change)

    assert sha256_of(folder) != before


def test_folder_with_a_link_in_it_is_no_output(tmp_path: Path) -> None:
    folder = filled(tmp_path / "ladder")
    (folder / "720p" / "1.m4s").symlink_to("/etc/passwd")

    with pytest.raises(OddFolder, match=r"1\.m4s"):
        files_in(folder)
    assert known_hash(folder, ["x"]) is None


def test_folder_has_its_own_name_beside_the_destination(tmp_path: Path) -> None:
    found = staged(tmp_path, folder_claim(output="ladder"))

    assert found.destination == tmp_path / "out" / "ladder"
    assert found.part == tmp_path / "out" / f".ladder.{JOB}.2.part"


def test_folder_without_a_name_has_that_of_its_job(tmp_path: Path) -> None:
    assert staged(tmp_path, folder_claim()).destination.name == f"360p30-h264-{JOB}"


def small_ladder(mode: str) -> ClaimAnswer:
    """A job that overwrites a folder with one rendition called small."""
    claim = folder_claim(output="ladder", overwrite=True)
    rendition = dataclasses.replace(claim.spec.renditions[0], name="small")
    spec = dataclasses.replace(claim.spec, output_mode=OutputMode(mode), renditions=(rendition,))
    return claim.model_copy(update={"spec": spec})


@pytest.mark.parametrize("is_empty", [True, False])
def test_foreign_folder_at_the_output_is_kept(tmp_path: Path, is_empty: bool) -> None:
    foreign = tmp_path / "out" / "ladder"
    foreign.mkdir(parents=True)
    if not is_empty:
        filled(foreign, OLDER)

    claim = folder_claim(output="ladder", committed=["0" * 64])

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_EXISTS
    assert foreign.is_dir()


def test_file_where_a_folder_goes_is_refused_even_when_overwriting(tmp_path: Path) -> None:
    filled(tmp_path / "out", {"ladder": b"file"})

    claim = folder_claim(output="ladder", overwrite=True)

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_REFUSED


@pytest.mark.parametrize(
    ("mode", "files"),
    [
        ("file", {"small.mp4": b"x", "holiday.mp4": b"x"}),
        ("file", {"small.mkv": b"x"}),
        ("file", {"master.m3u8": b"x"}),
        ("hls", {"master.m3u8": b"x", "720p/index.m3u8": b"x", "720p/notes.txt": b"x"}),
        ("hls", {"small.mp4": b"x"}),
        ("hls", {"720p/deep/index.m3u8": b"x"}),
    ],
)
def test_folder_that_holds_what_no_such_job_makes_is_not_overwritten(
    tmp_path: Path, mode: str, files: dict[str, bytes]
) -> None:
    folder = filled(tmp_path / "out" / "ladder", files)

    claim = small_ladder(mode)

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_REFUSED
    assert content(folder) == files


@pytest.mark.parametrize(
    ("mode", "files"),
    [
        ("file", {"small.mp4": b"x"}),
        ("hls", {"master.m3u8": b"x", "720p/init_0.mp4": b"x", "a-1/segment_00001.m4s": b"x"}),
        ("hls", {}),
    ],
)
def test_folder_that_such_a_job_made_may_be_overwritten(
    tmp_path: Path, mode: str, files: dict[str, bytes]
) -> None:
    (tmp_path / "out" / "ladder").mkdir(parents=True)
    filled(tmp_path / "out" / "ladder", files)

    assert staged(tmp_path, small_ladder(mode)).adopted is None


def test_folder_that_holds_the_input_is_refused_even_when_overwriting(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out" / "ladder", {"deep/input.mp4": b"x"})
    source = str(folder / "deep" / "input.mp4")

    claim = folder_claim(input=source, output="ladder", overwrite=True)

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_REFUSED


def test_folder_an_earlier_attempt_committed_is_adopted(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out" / "ladder")

    found = staged(tmp_path, folder_claim(output="ladder", committed=[sha256_of(folder)]))

    assert found.adopted == Whole(sha256=sha256_of(folder), size=15)


def test_folders_of_older_attempts_are_removed(tmp_path: Path) -> None:
    destination = tmp_path / "ladder"
    older = filled(part_path(destination, JOB, 1))
    own = filled(part_path(destination, JOB, 2))

    assert remove_older_parts(destination, JOB, 2) == 1

    assert not older.exists()
    assert content(own) == LADDER


class Ladder:
    """A finished folder, about to get its name."""

    def __init__(self, folder: Path) -> None:
        self.destination = folder / "ladder"
        self.temporary = filled(part_path(self.destination, JOB, 1))
        self.sha256 = sha256_of(self.temporary)
        self.inode = inode_of(self.temporary)

    def publish(self, *, overwrite: bool = False, own: tuple[str, ...] = ()) -> None:
        publish(
            self.temporary,
            self.destination,
            sha256=self.sha256,
            inode=self.inode,
            overwrite=overwrite,
            own=own,
        )

    @property
    def is_published(self) -> bool:
        return content(self.destination) == LADDER and not self.temporary.exists()


@pytest.fixture
def ladder(tmp_path: Path) -> Ladder:
    return Ladder(tmp_path)


def test_published_folder_has_its_name_and_no_other(ladder: Ladder) -> None:
    ladder.publish()
    ladder.publish()

    assert ladder.is_published


@pytest.mark.parametrize("files", [OLDER, {}])
def test_foreign_folder_is_never_replaced(ladder: Ladder, files: dict[str, bytes]) -> None:
    ladder.destination.mkdir()
    filled(ladder.destination, files)

    with pytest.raises(DestinationTaken):
        ladder.publish()

    assert content(ladder.destination) == files
    assert content(ladder.temporary) == LADDER


def test_file_is_never_replaced_by_a_folder(ladder: Ladder) -> None:
    ladder.destination.write_bytes(b"file")

    with pytest.raises(DestinationTaken):
        ladder.publish(overwrite=True)

    assert ladder.destination.read_bytes() == b"file"


def test_link_to_a_folder_is_not_followed(ladder: Ladder, tmp_path: Path) -> None:
    outside = filled(tmp_path / "outside", OLDER)
    ladder.destination.symlink_to(outside)

    with pytest.raises(DestinationTaken):
        ladder.publish(overwrite=True, own=(sha256_of(outside),))

    assert content(outside) == OLDER


@pytest.mark.parametrize("how", ["own", "overwrite"])
def test_own_older_folder_or_one_to_overwrite_is_replaced(ladder: Ladder, how: str) -> None:
    older = sha256_of(filled(ladder.destination, OLDER))

    ladder.publish(overwrite=how == "overwrite", own=(older,) if how == "own" else ())

    assert ladder.is_published


def test_folder_that_is_the_same_is_nobody_elses(ladder: Ladder) -> None:
    filled(ladder.destination)

    ladder.publish()

    assert ladder.is_published


def test_crash_before_the_replaced_folder_is_removed_changes_nothing(
    ladder: Ladder, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(ladder.destination, OLDER)

    def crash(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("workers.publish.remove", crash)
        with pytest.raises(KeyboardInterrupt):
            ladder.publish(overwrite=True)
    ladder.publish(overwrite=True)

    assert content(ladder.destination) == LADDER


def test_vanished_folder_is_a_failure(ladder: Ladder) -> None:
    ladder.temporary.rename(ladder.temporary.with_name("elsewhere"))

    with pytest.raises(FileVanished):
        ladder.publish()


def without_flags(monkeypatch: pytest.MonkeyPatch, *flags: int) -> None:
    """Stand in for a file system such as NFS, which knows none of these."""
    real = ctypes.CDLL(None, use_errno=True).renameat2

    class Libc:
        def renameat2(self, *arguments: Any) -> int:
            if arguments[-1].value in flags:
                ctypes.set_errno(errno.EINVAL)
                return -1
            done: int = real(*arguments)
            return done

    monkeypatch.setattr("workers.renames.ctypes.CDLL", lambda *_, **__: Libc())


@pytest.mark.parametrize("files", [None, OLDER])
def test_file_system_without_flags_for_renaming_still_never_replaces(
    ladder: Ladder, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes] | None
) -> None:
    without_flags(monkeypatch, RENAME_NOREPLACE, RENAME_EXCHANGE)

    if files is None:
        ladder.publish()

        assert ladder.is_published
    else:
        filled(ladder.destination, files)
        with pytest.raises(DestinationTaken):
            ladder.publish()

        assert content(ladder.destination) == files


def test_finished_folder_is_committed_published_and_reported(node: Node) -> None:
    held, journal = node.finished()
    assert journal.temporary is not None
    journal.temporary.unlink()
    filled(journal.temporary)
    journal = journal.model_copy(update={"sha256": sha256_of(journal.temporary), "size": 15})

    assert node.delivery.deliver(held, journal)

    assert content(node.folder / "a.mp4") == LADDER
    assert [verb for verb, _ in node.master.calls] == ["commit", "report"]


def test_unfinished_folder_of_an_earlier_process_leaves_nothing(node: Node) -> None:
    _, journal = node.finished(phase=Phase.RUNNING)
    assert journal.temporary is not None
    journal.temporary.unlink()
    filled(journal.temporary)
    node.spool.save(journal)

    recovery.clear_unfinished(node.spool)

    assert sorted(path.name for path in node.folder.iterdir()) == ["attempts"]
