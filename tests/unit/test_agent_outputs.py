"""Where outputs may go: below the roots, whatever is linked or swapped, and over nobody's file."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of, sha
from workers.beneath import open_beneath
from workers.errors import AttemptFailed
from workers.files import inode_of
from workers.remote.stores import Stores
from workers.spool import Journal
from workers.staging import Places, Staged, make_temporary, stage

node = agent_parts.node


class Outputs:
    """``out`` is the output folder, ``root`` another root, ``outside`` belongs to others."""

    def __init__(self, folder: Path) -> None:
        self.out, self.root, self.outside = (folder / name for name in ("out", "root", "outside"))
        self.root.mkdir()
        self.outside.mkdir()

    def stage(self, claim: ClaimAnswer) -> Staged:
        return stage(
            claim,
            Places(
                output_folder=self.out,
                media_roots=(self.out.parent,),
                output_roots=(self.root,),
            ),
            Stores(),
        )

    def refusal(self, output: object, **parameters: Any) -> str:
        with pytest.raises(AttemptFailed) as caught:
            self.stage(claim_of(output=str(output), **parameters))
        assert caught.value.failure_class is FailureClass.OUTPUT_REFUSED
        return caught.value.message


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def test_output_below_a_root_has_its_path(outputs: Outputs) -> None:
    path = outputs.root / "deep" / "er" / "a.mp4"

    with outputs.stage(claim_of(output=str(path))).folder as held:
        assert held.path == path.parent
        assert held.view.samefile(path.parent)


def test_absolute_output_below_the_output_folder_needs_no_other_root(outputs: Outputs) -> None:
    path = outputs.out / "a.mp4"

    found = outputs.stage(claim_of(output=str(path)))
    found.folder.close()

    assert found.destination == path


@pytest.mark.parametrize("name", ["a.mp4", "new/a.mp4"])
def test_output_outside_the_roots_is_refused_and_nothing_is_made(
    outputs: Outputs, name: str
) -> None:
    assert "--output-root" in outputs.refusal(outputs.outside / name)
    assert list(outputs.outside.iterdir()) == []


def test_root_whose_name_only_begins_like_the_path_is_not_its_root(outputs: Outputs) -> None:
    outputs.refusal(f"{outputs.root}-of-others/a.mp4")


@pytest.mark.parametrize("how", ["absolute", "relative", "chain"])
def test_link_that_leads_outside_is_refused(outputs: Outputs, how: str) -> None:
    outputs.out.mkdir()
    link = outputs.out / "link"
    if how == "absolute":
        link.symlink_to(outputs.outside)
    elif how == "relative":
        link.symlink_to("../outside")
    else:
        link.symlink_to("second")
        (outputs.out / "second").symlink_to(outputs.outside)

    outputs.refusal("link/a.mp4")

    assert list(outputs.outside.iterdir()) == []


def test_link_that_stays_inside_is_followed(outputs: Outputs) -> None:
    (outputs.root / "real").mkdir()
    (outputs.root / "link").symlink_to("real")

    found = outputs.stage(claim_of(output=f"{outputs.root}/link/a.mp4"))
    found.folder.close()

    assert found.destination == outputs.root / "real" / "a.mp4"


def test_root_that_is_a_link_is_the_operators_choice(outputs: Outputs, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(outputs.outside)

    found = outputs.stage(claim_of(output="a.mp4"))
    found.folder.close()

    assert found.destination == outputs.outside / "a.mp4"


def test_loop_of_links_is_refused(outputs: Outputs) -> None:
    (outputs.root / "loop").symlink_to("loop")

    outputs.refusal(f"{outputs.root}/loop/a.mp4")


def test_dots_are_refused_even_where_they_lead_back(outputs: Outputs) -> None:
    claim = claim_of()
    spec = dataclasses.replace(claim.spec, output="../out/a.mp4")

    with pytest.raises(AttemptFailed, match=r"has '\.\.'"):
        outputs.stage(claim.model_copy(update={"spec": spec}))


@pytest.mark.parametrize("level", ["folder", "below"])
def test_link_that_is_put_in_the_way_after_the_check_is_not_followed(
    outputs: Outputs, level: str
) -> None:
    folder = outputs.root / "a" / "b"
    folder.mkdir(parents=True)
    swapped = folder if level == "folder" else folder.parent
    swapped.rename(outputs.root / "moved")
    (outputs.outside / "b").mkdir()
    swapped.symlink_to(outputs.outside if level == "below" else outputs.outside / "b")

    with pytest.raises(NotADirectoryError):
        open_beneath(outputs.root, folder, creates=True)


def test_folder_swapped_while_it_is_held_is_still_written_to(outputs: Outputs) -> None:
    found = outputs.stage(claim_of(output=f"{outputs.root}/a/out.mp4"))
    (outputs.root / "a").rename(outputs.root / "moved")
    (outputs.root / "a").symlink_to(outputs.outside)

    with found.folder:
        make_temporary(found, is_folder=False)

    assert list(outputs.outside.iterdir()) == []
    assert [path.name for path in (outputs.root / "moved").iterdir()] == [found.part.name]


@pytest.mark.parametrize("is_folder", [True, False])
@pytest.mark.parametrize("kind", ["link", "file", "folder"])
def test_temporary_name_that_others_took_is_not_written_to(
    outputs: Outputs, kind: str, is_folder: bool
) -> None:
    found = outputs.stage(claim_of(output="a.mp4"))
    if kind == "link":
        found.part.symlink_to(outputs.outside / "new")
    elif kind == "file":
        found.part.touch()
    else:
        found.part.mkdir()

    with found.folder, pytest.raises(AttemptFailed) as caught:
        make_temporary(found, is_folder=is_folder)

    assert caught.value.failure_class is FailureClass.OUTPUT_REFUSED
    assert list(outputs.outside.iterdir()) == []


def test_held_folders_leave_no_descriptor_open(outputs: Outputs) -> None:
    def open_count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_count()
    outputs.stage(claim_of(output=f"{outputs.root}/a/b/c/out.mp4")).folder.close()
    (outputs.root / "file").touch()
    outputs.refusal(outputs.root / "file" / "a.mp4")
    (outputs.root / "is.mp4").mkdir()
    outputs.refusal(outputs.root / "is.mp4")

    assert open_count() == before


def finished(node: Node) -> tuple[Any, Journal, Path]:
    """Finished work in a folder of its own below the root."""
    held, journal = node.finished()
    assert journal.temporary is not None
    folder = node.folder / "films"
    folder.mkdir()
    temporary = journal.temporary.rename(folder / journal.temporary.name)
    known = {
        "root": node.folder,
        "destination": folder / "a.mp4",
        "temporary": temporary,
        "inode": inode_of(temporary),
    }
    return held, journal.model_copy(update=known), folder


def test_work_whose_folder_became_a_link_is_refused_and_nothing_is_written_there(
    node: Node,
) -> None:
    held, journal, folder = finished(node)
    moved, outside = node.folder / "moved", node.folder.parent / "outside"
    folder.rename(moved)
    outside.mkdir()
    assert journal.temporary is not None
    (moved / journal.temporary.name).rename(outside / journal.temporary.name)
    folder.symlink_to(outside)

    node.delivery.deliver(held, journal)

    (body,) = node.master.said("report")
    assert (body.status, body.failure_reason) == ("failed", FailureClass.OUTPUT_REFUSED)
    assert not (outside / "a.mp4").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_was_put_in_the_place_of_verified_work_is_not_published(node: Node, kind: str) -> None:
    held, journal, folder = finished(node)
    assert journal.temporary is not None
    journal.temporary.rename(folder / "aside")
    if kind == "file":
        journal.temporary.write_bytes(b"forged")
    else:
        journal.temporary.symlink_to("/etc/passwd")

    node.delivery.deliver(held, journal)

    (body,) = node.master.said("report")
    assert (body.status, body.failure_reason) == ("failed", FailureClass.OUTPUT_WRONG)
    assert not os.path.lexists(folder / "a.mp4")


def test_refusals_name_paths_as_people_know_them(node: Node) -> None:
    held, journal, folder = finished(node)
    (folder / "a.mp4").write_bytes(b"foreign")

    node.delivery.deliver(held, journal)

    (body,) = node.master.said("report")
    assert body.error == f"{folder}/a.mp4 exists"


def test_work_of_an_earlier_process_is_published_below_its_root(node: Node) -> None:
    held, journal, folder = finished(node)
    node.spool.save(journal)
    (reread,) = node.spool.journals()

    node.delivery.deliver(held, reread)

    assert sha((folder / "a.mp4").read_bytes()) == journal.sha256
