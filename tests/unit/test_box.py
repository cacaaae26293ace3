"""The words of the box: what a command becomes, and what places are called within."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from workers.box.mounted import Mounted, places_of
from workers.box.names import Name, Names
from workers.box.programs import Programs, Shown, identity_of
from workers.box.system import gpu_devices, system_words
from workers.box.user import MediaUser
from workers.box.view import Places
from workers.ffmpeg.process import own_end

PROGRAMS = Programs(
    setpriv=Path("/usr/bin/setpriv"), bwrap=Path("/usr/bin/bwrap"), env=Path("/usr/bin/env")
)
USER = MediaUser(name="media", uid=990, gid=980, groups=(44, 105))


def mounted(tmp_path: Path, *, user: MediaUser | None = USER, has_network: bool = False) -> Mounted:
    source = tmp_path / "input" / "film.mkv"
    places = Places(source=source, output=tmp_path / ".a.mp4.part", scratch=tmp_path / "scratch")
    return Mounted(
        programs=PROGRAMS,
        user=user,
        system=("--ro-bind", "/usr", "/usr"),
        own_python=(Shown(path="/srv/python", at="/srv/python"),),
        places=places_of(places),
        has_network=has_network,
    )


def values(argv: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    return [
        (argv[n + 1], argv[n + 2])
        for n, word in enumerate(argv[: argv.index("--")])
        if word == option
    ]


def test_command_sees_its_input_and_writes_its_output_and_scratch(tmp_path: Path) -> None:
    view = mounted(tmp_path)
    source = f"file:{tmp_path}/input/film.mkv"
    command = view.command(
        ("/opt/ffmpeg", "-i", source, str(tmp_path / ".a.mp4.part")),
        environment={},
        working_directory=tmp_path / "scratch",
    )

    assert values(command.argv, "--ro-bind") == [
        ("/usr", "/usr"),
        ("/opt/ffmpeg", "/opt/ffmpeg"),
        (str(tmp_path / "input" / "film.mkv"), "/box/input/film.mkv"),
    ]
    assert values(command.argv, "--bind") == [
        (str(tmp_path / ".a.mp4.part"), "/box/output/.a.mp4.part"),
        (str(tmp_path / "scratch"), "/box/scratch"),
    ]
    inside = ("--chdir=/box/scratch", "/opt/ffmpeg", "-i", "file:/box/input/film.mkv")
    assert command.argv[-5:] == (*inside, "/box/output/.a.mp4.part")
    assert "--unshare-net" in command.argv
    assert command.is_minded


def test_rights_are_given_up_inside_and_no_other_capability_is_let_in(tmp_path: Path) -> None:
    argv = mounted(tmp_path).command(("/usr/bin/ffmpeg",), environment={}).argv
    capabilities = [argv[n + 1] for n, word in enumerate(argv) if word == "--cap-add"]

    assert capabilities == ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
    after = argv[argv.index("--") + 1 :]
    assert after[:4] == ("/usr/bin/setpriv", "--reuid=990", "--regid=980", "--groups=44,105")
    assert {"--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"} <= set(after)


def test_agent_without_rights_has_none_to_give_up(tmp_path: Path) -> None:
    view = mounted(tmp_path, user=None, has_network=True)
    argv = view.command(("/usr/bin/ffmpeg",), environment={}).argv

    assert {"--cap-add", "--unshare-net", "/usr/bin/setpriv"}.isdisjoint(argv)
    assert identity_of(view.user) == "-"


def test_files_that_the_environment_names_are_seen(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    command = mounted(tmp_path).command(
        ("/usr/bin/ffmpeg",), environment={"SSL_CERT_FILE": str(authorities), "HOME": "/root"}
    )

    assert (str(authorities), str(authorities)) in values(command.argv, "--ro-bind")
    assert "/root" not in command.argv


def test_gpu_is_seen_with_its_nodes_and_what_drivers_read(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidiactl", "sda", "dri/renderD128"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    devices = gpu_devices(tmp_path)
    words = system_words((), devices)

    assert [path.name for path in devices] == ["renderD128", "nvidia0", "nvidiactl"]
    for device in devices:
        at = words.index(str(device))
        assert words[at - 1 : at + 2] == ("--dev-bind-try", str(device), str(device))
    assert words[-3:] == ("--ro-bind-try", "/sys", "/sys")
    assert "/sys" not in system_words((), ())


@pytest.mark.parametrize("place", ["/srv/it's here/film.mkv", "/srv/é/film.mkv", "/srv/a:b/f"])
def test_place_is_known_however_it_is_quoted(place: str) -> None:
    names = Names((Name(outside=place, inside="/box/input/film.mkv"),))
    quoted = "".join(f"\\{letter}" if letter in "\\':" else letter for letter in place)

    assert names.inside(f"file:{place}") == "file:/box/input/film.mkv"
    assert names.inside(f"pass=1:stats={quoted}/x") == "pass=1:stats=/box/input/film.mkv/x"
    assert names.outside("/box/input/film.mkv: broken") == f"{place}: broken"


def test_descriptor_is_not_taken_for_one_with_a_longer_number() -> None:
    names = Names((Name(outside="/srv/out", inside="/proc/self/fd/1"),))

    assert names.outside("/proc/self/fd/12 /proc/self/fd/1/a") == "/proc/self/fd/12 /srv/out/a"


@pytest.mark.parametrize(
    ("code", "own"),
    [
        (0, 0),
        (1, 1),
        (137, -signal.SIGKILL),
        (139, -signal.SIGSEGV),
        (153, -signal.SIGXFSZ),
        (145, 145),
        (146, 146),
        (255, 255),
        (-9, -9),
    ],
)
def test_end_of_who_was_minded_is_read_from_the_minders(code: int, own: int) -> None:
    """145 and 146 are ffmpeg's own: refused connections, and those that timed out."""
    assert own_end(code) == own


def test_user_without_further_groups_keeps_none_of_the_agents() -> None:
    assert "--clear-groups" in PROGRAMS.as_user(replace(USER, groups=()))
