"""Staging and publishing: where an attempt may read and write, and how its file gets its name."""

import ctypes
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer, JobSubmission
from workers.errors import AttemptFailed
from workers.publish import DestinationTaken, FileVanished, publish
from workers.remote.items import Whole
from workers.remote.stores import Stores
from workers.staging import Places, Staged, part_path, remove_older_parts, stage

JOB = "01a20bea-0350-738b-86d6-ca837b256b05"


def claim_of(
    *,
    attempt: int = 2,
    committed: list[str] | None = None,
    scenario: str = "360p30-h264",
    **parameters: Any,
) -> ClaimAnswer:
    request = JobSubmission.model_validate(
        {"scenario": scenario, "parameters": parameters}
    ).to_domain()
    return ClaimAnswer.model_validate(
        {
            "job_id": JOB,
            "sequence_number": 1,
            "scenario": scenario,
            "queue": "default",
            "attempt": attempt,
            "lease": "lease-lease-lease-lease",
            "spec": request.spec,
            "committed_sha256": committed or [],
            "trace_parent": None,
        }
    )


def staged(tmp_path: Path, claim: ClaimAnswer, *roots: Path) -> Staged:
    places = Places(
        output_folder=tmp_path / "out", media_roots=roots or (tmp_path,), output_roots=(tmp_path,)
    )
    found = stage(claim, places, Stores())
    found.folder.close()
    return found


def refusal(tmp_path: Path, claim: ClaimAnswer, *roots: Path) -> FailureClass:
    with pytest.raises(AttemptFailed) as caught:
        staged(tmp_path, claim, *roots)
    return caught.value.failure_class


def sha(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def test_output_without_a_name_goes_to_the_output_folder(tmp_path: Path) -> None:
    found = staged(tmp_path, claim_of())

    assert found.destination == tmp_path / "out" / f"360p30-h264-{JOB}.mp4"
    assert found.temporary.name == f".360p30-h264-{JOB}.mp4.{JOB}.2.part"
    assert found.source is None


def test_relative_output_lies_under_the_output_folder(tmp_path: Path) -> None:
    found = staged(tmp_path, claim_of(output="a/b.mkv"))

    assert found.destination == tmp_path / "out" / "a" / "b.mkv"
    assert found.destination.parent.is_dir()


def test_absolute_output_is_taken_as_it_is(tmp_path: Path) -> None:
    found = staged(tmp_path, claim_of(output=str(tmp_path / "x" / "b.mp4")))

    assert found.destination == tmp_path / "x" / "b.mp4"


def test_url_is_handed_on_unchecked(tmp_path: Path) -> None:
    claim = claim_of(input="http://example.test/a.mp4")

    assert staged(tmp_path, claim).source == "http://example.test/a.mp4"


def test_missing_input_is_named(tmp_path: Path) -> None:
    claim = claim_of(input=str(tmp_path / "none.mp4"))

    assert refusal(tmp_path, claim) is FailureClass.INPUT_MISSING


def test_folder_as_input_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, claim_of(input=str(tmp_path))) is FailureClass.INPUT_REFUSED


def test_symlink_out_of_the_media_roots_is_refused(tmp_path: Path) -> None:
    root, secret = tmp_path / "media", tmp_path / "secret.mp4"
    root.mkdir()
    secret.write_bytes(b"x")
    (root / "link.mp4").symlink_to(secret)
    (root / "own.mp4").write_bytes(b"x")

    assert refusal(tmp_path, claim_of(input=f"{root}/link.mp4"), root) is FailureClass.INPUT_REFUSED
    assert staged(tmp_path, claim_of(input=f"{root}/own.mp4"), root).source == f"{root}/own.mp4"


def test_output_that_is_the_input_is_refused_even_when_overwriting(tmp_path: Path) -> None:
    movie = tmp_path / "a.mp4"
    movie.write_bytes(b"x")
    os.link(movie, tmp_path / "same.mp4")
    claim = claim_of(input=str(movie), output=str(tmp_path / "same.mp4"), overwrite=True)

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_REFUSED


@pytest.mark.parametrize("kind", ["folder", "fifo", "symlink"])
def test_output_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")

    claim = claim_of(output=str(path), overwrite=True)

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_REFUSED


def test_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    claim = claim_of(output=str(tmp_path / "file" / "out.mp4"))

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_REFUSED


def test_foreign_file_at_the_output_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"mine")

    claim = claim_of(output=str(path), committed=[sha(b"other")])

    assert refusal(tmp_path, claim) is FailureClass.OUTPUT_EXISTS
    assert path.read_bytes() == b"mine"


def test_file_an_earlier_attempt_committed_is_adopted(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"whole")

    found = staged(tmp_path, claim_of(output=str(path), committed=[sha(b"whole")]))

    assert found.adopted == Whole(sha256=sha(b"whole"), size=5)


def test_foreign_file_is_no_obstacle_where_overwriting_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"mine")

    assert staged(tmp_path, claim_of(output=str(path), overwrite=True)).adopted is None


def test_only_older_parts_of_the_same_job_are_removed(tmp_path: Path) -> None:
    destination = tmp_path / "a.mp4"
    other_job = JOB.replace("01a2", "01a3")
    keep = [
        part_path(destination, JOB, 3),
        part_path(destination, JOB, 10),
        part_path(destination, other_job, 1),
        tmp_path / "b.mp4",
    ]
    for path in [*keep, part_path(destination, JOB, 1), part_path(destination, JOB, 2)]:
        path.write_bytes(b"x")

    removed = remove_older_parts(destination, JOB, 3)

    assert removed == 2
    assert sorted(tmp_path.iterdir()) == sorted(keep)


@pytest.mark.parametrize("name", ["a" * 251 + ".mp4", "動画" * 41 + ".mp4"])
def test_part_of_the_longest_name_is_a_name_and_still_this_jobs(tmp_path: Path, name: str) -> None:
    destination = tmp_path / name
    destination.touch()
    part_path(destination, JOB, 1).touch()
    part_path(destination, JOB, (1 << 31) - 1).touch()

    assert remove_older_parts(destination, JOB, 2) == 1


class Published:
    """A finished file, about to get its name."""

    def __init__(self, folder: Path) -> None:
        self.destination = folder / "a.mp4"
        self.temporary = part_path(self.destination, JOB, 1)
        self.temporary.write_bytes(b"whole")

    def publish(self, *, overwrite: bool = False, own: tuple[str, ...] = ()) -> None:
        publish(
            self.temporary, self.destination, sha256=sha(b"whole"), overwrite=overwrite, own=own
        )


@pytest.fixture
def file(tmp_path: Path) -> Published:
    return Published(tmp_path)


def test_published_file_has_its_name_and_no_other(file: Published, tmp_path: Path) -> None:
    file.publish()

    assert list(tmp_path.iterdir()) == [file.destination]
    assert file.destination.read_bytes() == b"whole"


def test_publishing_again_after_a_crash_between_link_and_unlink_changes_nothing(
    file: Published, tmp_path: Path
) -> None:
    os.link(file.temporary, file.destination)

    file.publish()
    file.publish()

    assert list(tmp_path.iterdir()) == [file.destination]


def test_foreign_file_is_never_replaced(file: Published) -> None:
    file.destination.write_bytes(b"foreign")

    with pytest.raises(DestinationTaken):
        file.publish()

    assert file.destination.read_bytes() == b"foreign"


@pytest.mark.parametrize("how", ["own", "overwrite"])
def test_own_older_file_or_one_to_overwrite_is_replaced(file: Published, how: str) -> None:
    file.destination.write_bytes(b"older")

    file.publish(overwrite=how == "overwrite", own=(sha(b"older"),) if how == "own" else ())

    assert file.destination.read_bytes() == b"whole"


def test_symlink_that_appeared_at_the_destination_is_not_followed(
    file: Published, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"foreign")
    file.destination.symlink_to(outside)

    with pytest.raises(DestinationTaken):
        file.publish(own=(sha(b"foreign"),))

    assert outside.read_bytes() == b"foreign"


def test_vanished_temporary_is_a_failure(file: Published) -> None:
    file.temporary.unlink()

    with pytest.raises(FileVanished):
        file.publish()


def test_file_system_without_hard_links_still_never_replaces(
    file: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    monkeypatch.setattr("workers.publish.os.link", no_link)
    assert ctypes.CDLL(None).renameat2
    file.publish()
    second = Published(tmp_path)

    second.temporary.write_bytes(b"another")
    with pytest.raises(DestinationTaken):
        publish(
            second.temporary, second.destination, sha256=sha(b"another"), overwrite=False, own=()
        )

    assert file.destination.read_bytes() == b"whole"
