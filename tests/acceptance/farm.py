"""Real farms for acceptance tests: processes on free ports, spoken to by CLI and API only.

Two ways to have one, both context managers that leave no process behind and say so loudly if one
stays:

``RunningFarm(folder, *arguments)``
    ``ffrtmp up`` in a folder. Ready when the block begins::

        with RunningFarm(tmp_path, "--slots", "1") as farm:
            job = farm.cli("jobs", "submit", "--scenario", "test-360p", "--wait", json=True)
            assert farm.client.job(job["id"]).status == "completed"
            farm.kill("agent-1")                 # by the names of farm.json
            farm.stop()                          # SIGINT; the block's end would do it too

``Terminals(folder)`` (in tests/acceptance/terminals.py)
    ``ffrtmp master`` and ``ffrtmp agent`` as separate processes, each in a "terminal"::

        with Terminals(tmp_path) as terminals:
            master = terminals.master("--node-timeout", "5s")
            agent = terminals.agent("--slots", "1", address="east")
            terminals.cli("jobs", "list", json=True)
            agent.kill(); agent.restart()

Both offer ``cli(*arguments)`` (a finished process; it must succeed unless ``check=False``),
``cli(*arguments, json=True)`` (its parsed stdout), ``submit(scenario=...)``, ``client`` (a
MasterClient), ``wait_for`` (a job's status), ``ffmpegs()`` and ``family`` (its processes).

Every process of a farm inherits an environment variable with a value of its own: that, and not a
name, is how leftovers are found; children such as ffmpeg, whose environment may be cleaned, are
found as descendants. When a test fails, conftest.py adds the logs of every farm it used.
"""

import contextlib
import json as json_module
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

import psutil

from ffrtmp.client import ClientError, Connection, MasterClient
from ffrtmp.schemas import JobAnswer
from tests.acceptance.processes import Family
from tests.waiting import wait_until

T = TypeVar("T")

FFRTMP = str(Path(sys.executable).parent / "ffrtmp")
READY_SECONDS = 60.0
STOP_SECONDS = 45.0
POLL_SECONDS = 0.05
LOG_TAIL_BYTES = 6000
SETTINGS_NAMES = ("MASTER_", "FFMPEG_RTMP_", "FFRTMP_")

Finished = subprocess.CompletedProcess[str]


class Farm:
    """What both kinds of farm share: a folder, a marker, the command line and the client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.family = Family()
        self._client: MasterClient | None = None

    @property
    def api_url(self) -> str:
        """Where the API is."""
        raise NotImplementedError

    @property
    def api_key(self) -> str | None:
        """What opens it."""
        raise NotImplementedError

    def log_files(self) -> Sequence[Path]:
        """Whatever parts have written, for a failing test's report."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it as a user would, and assert that no process is left."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.stop()
            else:
                with contextlib.suppress(AssertionError):
                    self.stop()
        finally:
            self._close_client()
            self._kill_leftovers()

    @property
    def client(self) -> MasterClient:
        """A client with the farm's own key; made once, closed with the farm."""
        if self._client is None:
            self._client = MasterClient(Connection(url=self.api_url, key=self.api_key))
        return self._client

    @overload
    def cli(
        self, *arguments: str, json: Literal[True], check: bool = True, seconds: float = 120.0
    ) -> Any: ...
    @overload
    def cli(
        self,
        *arguments: str,
        json: Literal[False] = False,
        check: bool = True,
        seconds: float = 120.0,
    ) -> Finished: ...
    def cli(
        self, *arguments: str, json: bool = False, check: bool = True, seconds: float = 120.0
    ) -> Any:
        """Run ``ffrtmp`` against this farm in its folder; ``json`` gives its parsed stdout."""
        extra = ("--output", "json") if json else ()
        finished = subprocess.run(
            [FFRTMP, *arguments, *extra],
            env=self.environment(cli=True),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and finished.returncode != 0:
            raise AssertionError(
                f"ffrtmp {' '.join(arguments)} ended with {finished.returncode}\n"
                f"stdout: {finished.stdout}\nstderr: {finished.stderr}"
            )
        return json_module.loads(finished.stdout) if json else finished

    def submit(self, **flags: str | int | bool) -> dict[str, Any]:
        """``jobs submit`` with these flags (``wait=True`` is ``--wait``); the job as JSON."""
        arguments: list[str] = []
        for name, value in flags.items():
            flag = f"--{name.replace('_', '-')}"
            arguments += [flag] if value is True else [flag, str(value)]
        job: dict[str, Any] = self.cli("jobs", "submit", *arguments, json=True)
        return job

    def wait_for(self, job: str | int, *statuses: str, seconds: float = 60.0) -> JobAnswer:
        """The job once it has one of these statuses; ``completed failed canceled`` by default."""
        wanted = statuses or ("completed", "failed", "canceled")

        def reached() -> JobAnswer | None:
            with contextlib.suppress(ClientError):
                found = self.client.job(str(job))
                return found if found.status in wanted else None
            return None

        return wait_until(reached, seconds=seconds, what=f"job {job} to be {' or '.join(wanted)}")

    def environment(self, *, cli: bool = False) -> dict[str, str]:
        """The tests' environment without settings of the farm, with this farm's marker.

        ``cli`` adds the address and key of the farm, and leaves the marker out: a command that
        is still running is not a leftover of the farm.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS_NAMES)}
        if not cli:
            return kept | self.family.environment
        key = {"FFMPEG_RTMP_API_KEY": self.api_key} if self.api_key else {}
        return kept | {"MASTER_URL": self.api_url} | key

    def ffmpegs(self) -> list[psutil.Process]:
        """The farm's ffmpeg processes."""
        return self.family.named("ffmpeg")

    def log_tails(self) -> Iterator[tuple[str, str]]:
        """Name and end of each log, for people."""
        for file in self.log_files():
            if file.exists():
                yield file.name, file.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _kill_leftovers(self) -> None:
        self.family.kill()


class RunningFarm(Farm):
    """``ffrtmp up`` on free ports in a folder, a reconcile pass a second unless told otherwise."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        super().__init__(folder)
        self.data_dir = folder / "farm"
        self.console = folder / "up.log"
        self._arguments = arguments
        self._extra = dict(environment or {})
        self._ready_seconds = ready_seconds
        self._up: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._kill_leftovers()
            self._reap()
            raise
        return self

    def start(self) -> None:
        """Start it and wait until it is ready; again after ``stop``, on the same data."""
        self.spawn()
        wait_until(self._is_ready, seconds=self._ready_seconds, what="farm.json")
        self.family.running()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it without waiting."""
        self._close_client()
        self._facts = {}
        interval = [] if "--scheduler-interval" in self._arguments else _QUICK
        port = [] if "--port" in self._arguments else ["--port", "0"]
        with self.console.open("ab") as console:
            self._up = subprocess.Popen(
                [
                    FFRTMP,
                    "up",
                    "--data-dir",
                    str(self.data_dir),
                    *port,
                    *interval,
                    *self._arguments,
                ],
                env=self.environment() | self._extra,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        return self._up

    @property
    def facts(self) -> dict[str, Any]:
        """``farm.json`` as it is now, or as it last was."""
        with contextlib.suppress(FileNotFoundError):
            self._facts = json_module.loads((self.data_dir / "farm.json").read_text())
        return self._facts

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return str(self.facts["api_url"])

    @property
    def api_key(self) -> str | None:
        """What opens it."""
        return str(self.facts["api_key"])

    @property
    def up(self) -> subprocess.Popen[bytes]:
        """The ``ffrtmp up`` process."""
        assert self._up is not None, "the farm was not started"
        return self._up

    def pid(self, name: str) -> int:
        """Process id of a part, by its name in farm.json."""
        return int(self.facts["processes"][name])

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a part a signal; its process id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def wait_restarted(self, name: str, *, old: int, seconds: float = 30.0) -> int:
        """The process id of a part's next life."""

        def restarted() -> int | None:
            pid = self.facts["processes"].get(name)
            return int(pid) if pid is not None and pid != old else None

        return wait_until(restarted, seconds=seconds, what=f"{name} to be restarted")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """One signal to ``ffrtmp up``; it must end with 0 and leave nothing."""
        status = self._end(number)
        self.family.assert_gone()
        assert status == 0, f"ffrtmp up ended with {status}"

    def _end(self, number: signal.Signals) -> int:
        if self._up is None:
            return 0
        self.family.running()
        if self._up.poll() is None:
            self._up.send_signal(number)
        try:
            return self._up.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"ffrtmp up did not stop in {STOP_SECONDS:.0f} s") from None
        finally:
            self._reap()

    def log_files(self) -> Sequence[Path]:
        """The console, then a log per part."""
        return [self.console, *sorted((self.data_dir / "logs").glob("*.log"))]

    def _is_ready(self) -> bool:
        if self.up.poll() is not None:
            said = self.console.read_text(errors="replace")
            raise AssertionError(f"ffrtmp up ended with {self.up.returncode}:\n{said}")
        return (self.data_dir / "farm.json").exists()

    def _reap(self) -> None:
        if self._up is None:
            return
        if self._up.poll() is None:
            self._up.kill()
            self._up.wait()
        self._up = None


_QUICK = ["--scheduler-interval", "1s"]
