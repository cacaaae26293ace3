"""The box around media processes, looked at from within: by programs that run in ffmpeg's place."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.config.values import Sandbox
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer, ResultRequest
from tests.media.specs import FFMPEG, make_clip
from tests.security import boxes
from tests.security.boxes import SECRET, box_of, ran
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from workers.box.box import Box
from workers.box.programs import identity_of
from workers.box.user import media_user
from workers.box.view import EVERYTHING, Places
from workers.digests import OddFolder
from workers.errors import AgentError
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT
from workers.files import open_plain
from workers.ledger import Held

ROOTS = {"bin", "box", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "usr"}
closed, box, places = boxes.closed, boxes.box, boxes.places
node = agent_parts.node


def status_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


def test_media_process_has_no_rights_and_cannot_get_any(box: Box) -> None:
    with box.empty() as view:
        _, said = ran(view, "cat /proc/self/status")
        _, groups = ran(view, "id -G")

    status = status_of(said)
    assert status["NoNewPrivs"] == "1"
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    if box.user is not None:
        assert status["Uid"].split() == [str(box.user.uid)] * 4
        assert status["Gid"].split() == [str(box.user.gid)] * 4
        assert int(status["CapBnd"], 16) == 0
        assert "0" not in groups.split()


def test_process_without_any_box_gets_no_new_privileges_either() -> None:
    _, said = ran(EVERYTHING, "cat /proc/self/status")

    assert status_of(said)["NoNewPrivs"] == "1"


def test_prober_gives_up_the_same_before_it_opens_anything(box: Box) -> None:
    with box.empty() as view:
        child = (sys.executable, "-I", "-m", "workers.ffmpeg.probe_child", "rights")
        words = (*child, "/proc/self/status", identity_of(view.user))
        command = view.python(words, environment=MINIMAL_ENVIRONMENT)
        said = subprocess.run(
            command.argv,
            env=dict(command.environment),
            pass_fds=command.descriptors,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    status = status_of(said)
    assert (status["NoNewPrivs"], int(status["CapEff"], 16)) == ("1", 0)
    if box.user is not None:
        assert status["Uid"].split() == [str(box.user.uid)] * 4
        assert int(status["CapBnd"], 16) == 0


def test_environment_in_the_box_is_what_media_processes_get(box: Box) -> None:
    with box.empty() as view:
        _, said = ran(view, "cat /proc/self/environ | tr '\\0' '\\n'")

    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names - {"_", "PWD", "SHLVL", "OLDPWD"} == set(MINIMAL_ENVIRONMENT)


def test_input_is_read_and_output_and_scratch_are_written_in_folders_closed_to_the_user(
    box: Box, places: Places
) -> None:
    assert places.output is not None
    assert places.scratch is not None
    mode = places.output.stat().st_mode
    with box.around(places, has_network=False) as view:
        end, said = ran(
            view,
            'cat "$1"; echo made > "$2"; echo log > "$3/log"; touch "$1" "${1%/*}/more"',
            *(places.source, places.output, places.scratch),
        )
        assert end.exit_code != 0

    assert said.startswith("film")
    assert places.output.read_text() == "made\n"
    assert (places.scratch / "log").read_text() == "log\n"
    found = places.output.stat()
    assert (found.st_uid, found.st_gid, found.st_mode) == (os.getuid(), os.getgid(), mode)
    assert list(places.output.parent.iterdir()) == [places.output]


def test_nothing_but_the_places_of_the_attempt_is_seen(
    closed: Box, places: Places, tmp_path: Path
) -> None:
    other = tmp_path / "media" / "other.mkv"
    with closed.around(places, has_network=False) as view:
        _, said = ran(view, 'cat "$1" /etc/shadow; ls /root /home /var /run /etc', other)
        _, roots = ran(view, "ls /; ls /box/*; ls -d /proc/[0-9]*; ls -A /tmp")
        _, wrote = ran(view, "touch /x /usr/x /box/x /box/input/x /dev/x /dev/shm/x && echo yes")

    assert SECRET not in said
    assert "root:" not in said
    assert {"shadow", "passwd"}.isdisjoint(said.split())
    assert set(roots.partition("/box/input:")[0].split()) <= ROOTS
    assert "/box/input:\nfilm.mkv\n\n/box/output:\n\n/box/scratch:\n" in roots
    assert len(re.findall(r"^/proc/\d+$", roots, re.MULTILINE)) <= 4
    assert "yes" not in wrote
    assert not (tmp_path / "media" / "x").exists()


def test_without_namespaces_the_user_reads_nothing_that_is_closed_to_it(
    places: Places, tmp_path: Path
) -> None:
    box = box_of(Sandbox.USER)
    secret = tmp_path / "identity.json"
    secret.write_text(SECRET)
    with box.around(places, has_network=False) as view:
        _, said = ran(
            view,
            'cat "$1" /etc/shadow /proc/$2/environ; ls /proc/$2/fd; kill -9 $2; '
            "for n in /proc/self/fd/*; do cat $n/../identity.json $n/../../identity.json; done",
            *(secret, os.getpid()),
        )

    assert SECRET not in said
    assert "root:" not in said
    assert "FFRTMP" not in said
    assert "Operation not permitted" in said


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_work_on_files_has_no_network_and_work_on_addresses_has(
    closed: Box, places: Places, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    connect = 'exec 3<>/dev/tcp/127.0.0.1/"$1" && echo connected'
    with closed.around(places, has_network=False) as view:
        _, without = ran(view, connect, port)
    with closed.around(Places(), has_network=True) as view:
        _, through = ran(view, connect, port)

    assert "connected" not in without
    assert "connected" in through


def made_by(box: Box, output: Path, script: str) -> None:
    with box.around(Places(output=output), has_network=False) as view:
        ran(view, f'cd "$1" && {script}', output)


@pytest.mark.parametrize("trick", ["ln -s /etc/passwd a", "mkfifo a", "echo a > a; ln a b"])
def test_link_pipe_or_second_name_in_a_made_folder_is_no_output(
    box: Box, tmp_path: Path, trick: str
) -> None:
    if box.user is None:
        pytest.skip("nothing changes hands")
    output = tmp_path / "folder"
    output.mkdir()

    with pytest.raises(OddFolder):
        made_by(box, output, trick)


def test_made_folder_is_the_agents_again_to_its_last_file(box: Box, tmp_path: Path) -> None:
    output = tmp_path / "folder"
    output.mkdir(mode=0o755)
    made_by(box, output, "mkdir -m 700 in && echo a > in/a && chmod 4777 in/a")

    made = [output, output / "in", output / "in" / "a"]
    assert [path.stat().st_uid for path in made] == [os.getuid()] * 3
    if box.user is not None:
        assert [oct(path.stat().st_mode & 0o7777) for path in made] == ["0o755", "0o755", "0o644"]


def test_whole_job_with_statistics_and_scores_is_done_in_the_box(
    box: Box, node: Node, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    clip = make_clip(
        tmp_path / "film.mkv", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1"
    )
    claim = claim_of(
        input=str(clip),
        output_mode="hls",
        preset="ultrafast",
        two_pass=True,
        bitrate="300k",
        vmaf=True,
    )
    body = run(node, box, claim)

    assert (body.status, body.error) == ("completed", None)
    assert body.metrics["box"] == box.name


def test_input_that_the_user_may_not_read_is_refused_with_what_to_do(
    box: Box, node: Node, tmp_path: Path
) -> None:
    if box.user is None:
        pytest.skip("the agent reads as itself")
    clip = make_clip(
        tmp_path / "film.mkv", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.4"
    )
    clip.chmod(0o600)
    body = run(node, box, claim_of(input=str(clip)))

    assert body.failure_reason is FailureClass.INPUT_REFUSED
    assert str(clip) in (body.error or "")
    assert f"as the user {box.user.name} on this node" in (body.error or "")


def run(node: Node, box: Box, claim: ClaimAnswer) -> ResultRequest:
    node.registered()
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    node.runner(FFMPEG, box=box).run(claim, held)
    (body,) = node.master.said("report")
    assert isinstance(body, ResultRequest)
    return body


@pytest.mark.parametrize("trick", ["ln -s /etc/passwd vmaf", "mkfifo vmaf"])
def test_what_is_left_in_the_place_of_a_log_is_not_followed(
    closed: Box, tmp_path: Path, trick: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with closed.around(Places(scratch=scratch), has_network=False) as view:
        ran(view, f'cd "$1" && {trick}', scratch)
        with pytest.raises(OSError, match=r"symbolic links|is not a file"):
            open_plain(scratch / "vmaf")


def test_account_that_is_not_there_or_is_root_is_no_media_user() -> None:
    if os.getuid() != 0:
        assert media_user("nobody-of-that-name") is None
        return
    with pytest.raises(AgentError, match="media_user: this host has no account nobody-of-that"):
        media_user("nobody-of-that-name")
    with pytest.raises(AgentError, match="no rights of root"):
        media_user("root")
    assert media_user("12345") is not None
