"""Where cgroups are, what is written into them, and what is decided by what was seen."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import NO_LIMITS, Limits
from tests.media.specs import plan
from workers.errors import AttemptFailed
from workers.ffmpeg.child import Confinement
from workers.ffmpeg.process import ProcessEnd
from workers.limits.attempt import Enforced, Limiter
from workers.limits.disk import RESERVE_BYTES, DiskUse, DiskWatch, breach, no_room
from workers.limits.group import Group, Home, Setting, cpu_settings, memory_settings
from workers.limits.hierarchy import Controller, OwnGroup, Version, own_groups
from workers.limits.means import LEAF, NO_GROUPS, Means, means_among
from workers.limits.memory import MemoryWatch, backstop_bytes, resident_bytes

ALL = frozenset(Controller)
V1_MOUNTS = """\
23 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 /docker/a /sys/fs/cgroup/my\\040memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
KILLED = ProcessEnd(exit_code=None, signal=9, timed_out=False, stopped=False)


def test_groups_of_version_1_are_found_where_each_controller_is_mounted() -> None:
    said = "4:memory:/docker/a/inner\n2:cpu,cpuacct:/jobs\n1:name=systemd:/x\n"

    assert own_groups(said, V1_MOUNTS) == (
        OwnGroup(
            version=Version.V1,
            controllers=frozenset({Controller.CPU}),
            folder=Path("/sys/fs/cgroup/cpu,cpuacct/jobs"),
        ),
        OwnGroup(
            version=Version.V1,
            controllers=frozenset({Controller.MEMORY}),
            folder=Path("/sys/fs/cgroup/my memory/inner"),
        ),
    )


def test_group_of_version_2_comes_first() -> None:
    first, *_ = own_groups("1:cpu,cpuacct:/\n0::/system.slice/x.service\n", V1_MOUNTS)

    folder = Path("/sys/fs/cgroup/unified/system.slice/x.service")
    assert first == OwnGroup(version=Version.V2, controllers=ALL, folder=folder)


@pytest.mark.parametrize("path", ["/../outside", "/.."])
def test_group_outside_the_namespace_is_none(path: str) -> None:
    assert own_groups(f"0::{path}\n", V1_MOUNTS) == ()


def test_mount_that_shows_only_the_group_itself_is_that_group() -> None:
    (found,) = own_groups("4:memory:/docker/other\n", V1_MOUNTS)

    assert found.folder == Path("/sys/fs/cgroup/my memory")


def test_percent_of_a_core_is_a_quota_of_its_time() -> None:
    assert cpu_settings(Version.V2, 250) == (Setting("cpu.max", "250000 100000"),)
    assert cpu_settings(Version.V1, 250) == (
        Setting("cpu.cfs_period_us", "100000"),
        Setting("cpu.cfs_quota_us", "250000"),
    )


def test_memory_is_limited_without_swap_and_the_group_dies_as_one() -> None:
    assert memory_settings(Version.V2, 5) == (
        Setting("memory.max", "5"),
        Setting("memory.swap.max", "0"),
        Setting("memory.oom.group", "1"),
    )
    assert memory_settings(Version.V1, 5) == (
        Setting("memory.limit_in_bytes", "5"),
        Setting("memory.memsw.limit_in_bytes", "5"),
    )


def unified(folder: Path, *, members: str, controllers: str = "cpu io memory pids") -> OwnGroup:
    """A folder with the files of a version 2 group; a stand-in keeps what is written to it."""
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text(members)
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.subtree_control").write_text("")
    return OwnGroup(version=Version.V2, controllers=ALL, folder=folder)


def test_agent_alone_in_its_group_moves_aside_and_hands_the_controllers_on(tmp_path: Path) -> None:
    own = unified(tmp_path / "service", members=f"{os.getpid()}\n")
    trials: list[Group] = []

    found = means_among([own], "n", enter=trials.append)

    assert (own.folder / LEAF / "cgroup.procs").read_text() == str(os.getpid())
    assert (own.folder / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert found.named() == {
        "cpu": "cgroup v2",
        "memory": "cgroup v2",
        "pids": "cgroup v2",
        "disk": "rlimit and watch",
    }
    assert [trial.folder for trial in trials] == [own.folder / "n-trial"]


def test_strangers_in_the_group_are_not_moved(tmp_path: Path) -> None:
    own = unified(tmp_path / "session", members=f"{os.getpid()}\n{os.getppid()}\n")

    found = means_among([own], "n", enter=lambda _: None)

    assert found.homes == {}
    assert set(found.reasons) == ALL
    assert "processes that are not this agent's" in found.reasons[Controller.CPU]
    assert not (own.folder / LEAF).exists()


def test_group_that_has_one_controller_limits_with_that_one(tmp_path: Path) -> None:
    own = unified(tmp_path / "service", members=f"{os.getpid()}\n", controllers="memory io")

    found = means_among([own], "n", enter=lambda _: None)

    assert found.named() | {"disk": ""} == {
        "cpu": "affinity and nice",
        "memory": "cgroup v2",
        "pids": "rlimit",
        "disk": "",
    }


def test_group_that_takes_no_process_is_not_used(tmp_path: Path) -> None:
    own = unified(tmp_path / "service", members=f"{os.getpid()}\n")

    def refuse(_group: Group) -> None:
        raise PermissionError("not here")

    found = means_among([own], "n", enter=refuse)

    assert (found.homes, found.reasons) == ({}, dict.fromkeys(ALL, "not here"))


def test_host_without_cgroups_says_so() -> None:
    found = means_among([], "n")

    assert found.reasons == dict.fromkeys(ALL, "no cgroups are mounted")
    assert found.named() == NO_GROUPS.named()


def test_kills_for_memory_are_read_from_either_version(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")

    assert Group(Version.V2, tmp_path).oom_kills() == 1
    assert Group(Version.V1, tmp_path).oom_kills() == 3


def counted(held: Confinement) -> dict[int, int]:
    """The limits that every attempt has, of which one counts on from what runs now."""
    rlimits = dict(held.rlimits)
    assert rlimits[resource.RLIMIT_NPROC] >= 512
    return {
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_NPROC: rlimits[resource.RLIMIT_NPROC],
    }


def test_attempt_without_cgroups_gets_cores_niceness_and_rlimits(tmp_path: Path) -> None:
    limiter = Limiter(NO_GROUPS, cores=[0, 1, 2, 3])
    asked = Limits(max_cpu_percent=150, max_memory_mb=100, max_disk_mb=7)

    with limiter.around("a-1", asked, output=None, scratch=tmp_path) as first:
        held = first.confinement
    with limiter.around("b-1", asked, output=None, scratch=tmp_path) as second:
        other = second.confinement

    assert (held.cores, other.cores) == (frozenset({0, 1}), frozenset({2, 3}))
    assert held.niceness == 10
    assert (
        dict(held.rlimits).items()
        == {
            resource.RLIMIT_FSIZE: 7 << 20,
            resource.RLIMIT_DATA: backstop_bytes(100 << 20),
        }.items()
        | counted(held).items()
    )
    assert held.groups == ()
    assert first.threads(8) == 2
    assert first.threads(1) == 1


def test_attempt_without_limits_may_only_not_open_or_start_without_end(tmp_path: Path) -> None:
    with Limiter(NO_GROUPS, cores=[0]).around(
        "a-1", NO_LIMITS, output=None, scratch=tmp_path
    ) as limits:
        held = limits.confinement

    assert (held.groups, held.cores, held.niceness) == ((), None, 0)
    assert dict(held.rlimits) == counted(held)
    assert limits.threads(8) == 8


def test_group_that_cannot_be_made_fails_the_attempt_for_another_try(tmp_path: Path) -> None:
    home = Home(Version.V1, tmp_path / "gone", "n")
    limiter = Limiter(Means(homes={Controller.CPU: home}, reasons={}), cores=[0])

    with (
        pytest.raises(AttemptFailed, match="a limit cannot be set") as caught,
        limiter.around("a-1", Limits(max_cpu_percent=5), output=None, scratch=tmp_path),
    ):
        pass

    assert caught.value.failure_class is FailureClass.AGENT


def use(written: int = 0, free: int | None = None) -> DiskUse:
    return DiskUse(written_bytes=written, free_bytes=free)


def test_attempt_may_write_what_it_asked_for_and_no_byte_more() -> None:
    assert breach(use(written=5 << 20), max_disk_mb=5) is None
    found = breach(use(written=(5 << 20) + 1), max_disk_mb=5)

    assert found is not None
    assert found.failure_class is FailureClass.LIMIT_EXCEEDED


def test_disk_that_runs_full_is_left_before_it_is_full() -> None:
    assert breach(use(free=RESERVE_BYTES), max_disk_mb=None) is None
    found = breach(use(free=RESERVE_BYTES - 1), max_disk_mb=None)

    assert found is not None
    assert found.failure_class is FailureClass.NO_SPACE


def test_output_that_would_not_fit_is_not_begun() -> None:
    assert no_room(100 << 20, (100 << 20) + RESERVE_BYTES) is None
    assert no_room(100 << 20, None) is None
    found = no_room((100 << 20) + 1, (100 << 20) + RESERVE_BYTES)

    assert found is not None
    assert found.failure_class is FailureClass.NO_SPACE


def test_rates_and_length_say_how_large_an_output_is_going_to_be() -> None:
    rated = plan(duration_seconds=10, crf=None, bits_per_second=8_000_000)

    assert rated.expected_bytes == 10_000_000
    assert plan(duration_seconds=10).expected_bytes is None


def test_all_files_of_an_attempt_count_and_what_was_seen_stays_true(tmp_path: Path) -> None:
    output, scratch = tmp_path / "out", tmp_path / "scratch"
    (output / "720p").mkdir(parents=True)
    scratch.mkdir()
    watch = DiskWatch(output=output, scratch=scratch, max_disk_mb=1)
    assert watch.look() is None

    half = bytes(600 << 10)
    (output / "720p" / "a.m4s").write_bytes(half)
    assert watch.look() is None
    (scratch / "pass.log").write_bytes(half)
    assert watch.look() is not None
    (scratch / "pass.log").unlink()

    assert watch.look() is not None


@pytest.mark.parametrize(
    ("end", "said", "limits", "message"),
    [
        (replace(KILLED, signal=signal.SIGXFSZ), "", Limits(max_disk_mb=3), "more than the 3 MB"),
        (KILLED, "av_interleaved_write_frame(): File too large", Limits(max_disk_mb=3), "3 MB"),
        (KILLED, "", Limits(max_disk_mb=3), None),
        (KILLED, "File too large", NO_LIMITS, None),
    ],
)
def test_file_that_grew_too_large_is_told_by_signal_or_words(
    end: ProcessEnd, said: str, limits: Limits, message: str | None
) -> None:
    found = Enforced(asked=limits).breach(end, said)

    assert (found is None) == (message is None)
    assert message is None or message in str(found)


def test_words_about_memory_count_only_under_a_limit_of_it() -> None:
    said = "x265 [error]: malloc of size 6266880 failed"
    asked = Limits(max_memory_mb=64)
    watched = Enforced(asked=asked, memory_watch=MemoryWatch(64 << 20))

    assert "max_memory_mb" in str(watched.breach(KILLED, said))
    assert watched.breach(replace(KILLED, signal=None, exit_code=0), said) is None
    assert Enforced(asked=asked).breach(KILLED, said) is None


def test_memory_of_a_process_and_its_children_is_counted_together() -> None:
    hold = "import sys; b = bytearray(b'x') * (40 << 20); print(flush=True); sys.stdin.read()"
    program = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', '-c', {hold!r}])\n"
        f"{hold}"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        held = resident_bytes(process.pid)
        process.communicate()

    assert 80 << 20 < held < 160 << 20
    assert resident_bytes(process.pid) == 0


def test_ceiling_is_the_limit_where_none_or_more_is_asked() -> None:
    ceilings = Limits(max_memory_mb=512, max_disk_mb=100, timeout_seconds=60)
    asked = Limits(max_memory_mb=2048, max_disk_mb=9, max_cpu_percent=50)

    assert asked.within(ceilings) == Limits(
        timeout_seconds=60, max_cpu_percent=50, max_memory_mb=512, max_disk_mb=9
    )
