"""Hosts of a farm, each with a network of its own, and encodes that go on when a test says so."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ffrtmp.client import Connection, MasterClient
from ffrtmp.schemas import JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.chaos.proxy import Proxy
from tests.chaos.wrapped import wrapped_ffmpeg
from tests.integration.agents import AgentProcess, kill_tree
from workers.spool import Journal, Phase


class Host:
    """One agent's host: its process, and its two ways through the network."""

    def __init__(self, farm: ChaosFarm, name: str, **settings: Any) -> None:
        """``settings`` are the agent's."""
        self._farm, self._settings = farm, settings
        self.name = name
        self.to_api, self.to_broker = Proxy(farm.settings.port), Proxy(farm.broker.port)
        self.agent = self._started()

    @property
    def output(self) -> Path:
        """The folder of outputs that name no path of their own."""
        return self.agent.state / "output"

    def restart(self, **settings: Any) -> None:
        """Start the agent again, with ``settings`` changed; as a supervisor would, it first makes
        sure that it is gone."""
        kill_tree(self.agent)
        self._settings |= settings
        self.agent = self._started()

    def cut_off(self) -> None:
        """Every packet from and to it is dropped; what was on its way is lost."""
        for way in (self.to_api, self.to_broker):
            way.freeze()
        self.to_api.lose_held()

    def come_back(self) -> None:
        """Its network is whole again."""
        for way in (self.to_api, self.to_broker):
            way.heal()

    def be_lost(self) -> None:
        """All of it ends at once, its connections with it."""
        for way in (self.to_api, self.to_broker):
            way.cut()
        kill_tree(self.agent)

    def spooled(self, *phases: Phase) -> list[Journal]:
        """Its attempts that are this far on disk."""
        found = [Journal.model_validate_json(path.read_bytes()) for path in self.agent.journals()]
        return [journal for journal in found if journal.phase in phases]

    def speaker(self) -> MasterClient:
        """Speaks to the API as this node, past its network."""
        known = json.loads((self.agent.state / "node.json").read_text())
        return MasterClient(Connection(url=self._farm.url, key=known["node_token"]))

    def close(self) -> None:
        """End the ways; the farm ends the agents."""
        self.to_api.close()
        self.to_broker.close()

    def _started(self) -> AgentProcess:
        return self._farm.start_agent(
            self.name, to_api=self.to_api, to_broker=self.to_broker, **self._settings
        )


class Gate:
    """Encodes that write a little and wait until they are let through.

    Give its ``ffmpeg`` to an agent.
    """

    def __init__(self, folder: Path) -> None:
        self._open = folder / "open"
        self._open.mkdir(parents=True)
        self.ffmpeg = wrapped_ffmpeg(
            folder / "ffmpeg",
            "for last; do :; done\n"
            'echo the beginning > "${last#file:}"\n'
            "while :; do\n"
            f"  for open in {self._open}/*; do\n"
            '    case "$last" in *"${open##*/}"*) break 2;; esac\n'
            "  done\n"
            "  sleep 0.05\n"
            "done",
        )

    def open(self, only: str = "part") -> None:
        """Let the real ffmpeg encode, now and later, where ``only`` is in its output's name."""
        (self._open / only).touch()


def output_of(job: JobAnswer) -> Path:
    """Where a completed job's file is."""
    assert job.result is not None
    return Path(job.result["output"])


def is_accepted(path: Path, job: JobAnswer) -> bool:
    """Whether the file is the one the master accepted."""
    assert job.result is not None
    return bool(job.result["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest())


def names(folder: Path) -> list[str]:
    """Of the files in it."""
    return sorted(path.name for path in folder.iterdir())
