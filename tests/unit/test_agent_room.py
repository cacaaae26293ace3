"""How much room a node has, also where its disks do not answer."""

import threading
from pathlib import Path

from workers.room import Room


def test_room_is_that_of_the_disk_a_missing_folder_will_lie_on(tmp_path: Path) -> None:
    there = Room(tmp_path, tmp_path / "not" / "yet")

    assert there.load()["disk_free_bytes"] > 0


def test_disk_that_does_not_answer_is_given_up_on_asked_no_more_and_believed_again(
    tmp_path: Path,
) -> None:
    answers, asked = threading.Event(), []

    class Dead(Room):
        def _measured(self) -> int:
            asked.append(threading.current_thread())
            answers.wait()
            return super()._measured()

    dead = Dead(tmp_path)

    assert [dead.is_enough, dead.is_enough] == [False, False]
    assert dead.load() == {"disk_answers": False}
    assert len(asked) == 1
    answers.set()
    asked[0].join(10)
    assert dead.is_enough
