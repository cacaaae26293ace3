"""``ffrtmp master`` and ``ffrtmp agent`` as separate processes: see tests/acceptance/farm.py."""

import contextlib
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ffrtmp.client import ClientError
from tests.acceptance.farm import FFRTMP, READY_SECONDS, STOP_SECONDS, Farm
from tests.waiting import free_port, wait_until


class Terminal:
    """One long-running ``ffrtmp`` command, its output in ``log``."""

    def __init__(
        self, farm: "Terminals", name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = farm.folder / f"{name}.log"
        self._folder = farm.folder
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process of the command."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def runs(self) -> bool:
        """True while the command has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the command; does not wait for anything."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [FFRTMP, *self._arguments],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal Ctrl-C sends and wait; the exit status."""
        if self.runs:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop in {STOP_SECONDS:.0f} s") from None

    def kill(self) -> None:
        """``kill -9``, and wait for the process to be gone; its children are their own affair."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """The same command again, stopped first where it runs."""
        if self.runs:
            self.stop()
        self.start()


class Terminals(Farm):
    """``ffrtmp master`` and ``ffrtmp agent`` started one by one, as in three terminals."""

    def __init__(self, folder: Path, *, key: str | None = None) -> None:
        super().__init__(folder)
        self.port = free_port()
        self._key = key if key is not None else secrets.token_hex(16)
        self._terminals: list[Terminal] = []

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_key(self) -> str | None:
        """What opens it; none for ``key=""``."""
        return self._key or None

    def master(self, *arguments: str, name: str = "master", wait: bool = True) -> Terminal:
        """``ffrtmp master`` on this farm's port; ``wait`` returns when the API answers."""
        given = ["master", *_absent(arguments, "--db", str(self.folder / "master.db"))]
        given += _absent(arguments, "--data-dir", str(self.folder / "master"))
        given += _absent(arguments, "--scheduler-interval", "1s")
        given += _absent(arguments, "--metrics-port", str(free_port()))
        terminal = self.open(name, *given, "--port", str(self.port), *arguments)
        if wait:
            self.wait_for_api(terminal)
        return terminal

    def agent(
        self, *arguments: str, address: str = "node-1", wait: bool = True, seconds: float = 60.0
    ) -> Terminal:
        """``ffrtmp agent`` of this address; ``wait`` returns when the node is available."""
        given = ["agent", "--register", "--master", self.api_url, "--address", address]
        given += _absent(arguments, "--state-dir", str(self.folder / address))
        given += _absent(arguments, "--work-dir", str(self.folder / "output"))
        given += _absent(arguments, "--media-root", "/")
        given += _absent(arguments, "--output-root", "/")
        given += _absent(arguments, "--metrics-port", str(free_port()))
        terminal = self.open(address, *given, *arguments)
        if wait:
            self.wait_for_node(address, terminal, seconds=seconds)
        return terminal

    def open(self, name: str, *arguments: str) -> Terminal:
        """Any long-running ``ffrtmp`` command, started, stopped with the farm."""
        environment = self.environment()
        if self._key:
            environment |= {"MASTER_API_KEY": self._key, "FFMPEG_RTMP_API_KEY": self._key}
        terminal = Terminal(self, name, arguments, environment)
        self._terminals.append(terminal)
        terminal.start()
        return terminal

    def wait_for_api(self, terminal: Terminal, *, seconds: float = READY_SECONDS) -> None:
        """Return when /health answers; AssertionError where the command ends before."""
        wait_until(lambda: self._answers(terminal), seconds=seconds, what="the API")

    def wait_for_node(
        self, address: str, terminal: Terminal | None = None, *, seconds: float = 60.0
    ) -> None:
        """Return when the node is registered and takes work."""

        def takes_work() -> bool:
            _require_running(terminal)
            with contextlib.suppress(ClientError):
                return any(
                    node.address == address and node.status in ("available", "busy")
                    for node in self.client.nodes().nodes
                )
            return False

        wait_until(takes_work, seconds=seconds, what=f"node {address}")

    def stop(self) -> None:
        """Ctrl-C in each terminal, the last opened first; nothing is left."""
        self.family.running()
        for terminal in reversed(self._terminals):
            terminal.stop()
        self.family.assert_gone()

    def log_files(self) -> Sequence[Path]:
        """A log per terminal, and those the master keeps."""
        return [t.log for t in self._terminals] + sorted(self.folder.glob("master/logs/*.log"))

    def _kill_leftovers(self) -> None:
        super()._kill_leftovers()
        for terminal in self._terminals:
            if terminal.runs:
                terminal.kill()

    def _answers(self, terminal: Terminal) -> bool:
        _require_running(terminal)
        with contextlib.suppress(ClientError):
            self.client.health()
            return True
        return False


def _absent(arguments: Sequence[str], flag: str, value: str) -> list[str]:
    return [] if flag in arguments else [flag, value]


def _require_running(terminal: Terminal | None) -> None:
    if terminal is not None and not terminal.runs:
        said = terminal.log.read_text(errors="replace")
        raise AssertionError(f"{terminal.name} ended by itself:\n{said}")
