"""The agent's parts, put together over a master that answers by script."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.client import MasterRefused, MasterUnreachable
from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.spec import NO_LIMITS, Limits
from ffrtmp.schemas import (
    ClaimAnswer,
    ClaimRequest,
    CommitAnswer,
    CommitRequest,
    Heartbeat,
    HeartbeatAnswer,
    HeldAttempt,
    JobAnswer,
    LogChunk,
    NodeAnswer,
    NodeRegistration,
    RegistrationAnswer,
    ReleaseRequest,
    ResultRequest,
)
from tests.unit.test_agent_files import sha
from workers import recovery
from workers.box.box import NO_BOX, Box
from workers.claims import Claims
from workers.delivery import Delivery
from workers.encoder import Encoder
from workers.ffmpeg.target import CPU
from workers.gstreamer.found import Gstreamer
from workers.hardware.devices import Targets
from workers.heartbeat import Heart
from workers.ledger import Held, Ledger
from workers.limits.attempt import Limiter
from workers.limits.means import NO_GROUPS, Means
from workers.registration import Registrar
from workers.remote.stores import Stores
from workers.runner import Runner
from workers.spool import Journal, Phase, Spool
from workers.staging import Places, part_path
from workers.streamer import Streamer

ONLY_CPU: Targets = {CPU_DEVICE: {Hardware.CPU: CPU}}
NODE = "777a4c21-8691-47bc-bd68-cdfd0f43a4d5"
LOOPBACK = ip_network("127.0.0.1/32")
LEASE = "lease-lease-lease-lease"
AWAY = MasterUnreachable("nobody answers")
STALE = MasterRefused(409, "stale_lease", "attempt 1 has ended")
STALE_EPOCH = MasterRefused(409, "stale_epoch", "registered again since")


def registration_answer(epoch: int, lost: list[HeldAttempt]) -> RegistrationAnswer:
    return RegistrationAnswer.model_validate(
        {
            "id": NODE,
            "name": "one",
            "address": "one",
            "type": "server",
            "status": "available",
            "slots": 1,
            "slots_busy": 0,
            "queues": ["live"],
            "capabilities": [],
            "hardware": {},
            "load": {},
            "last_heartbeat": "2026-01-01T00:00:00Z",
            "registered_at": "2026-01-01T00:00:00Z",
            "running": [],
            "version": "1",
            "epoch": epoch,
            "broker_url": None,
            "node_timeout_seconds": 100.0,
            "lease_release": lost,
        }
    )


@dataclass
class ScriptedMaster:
    """Answers each call with what was put first in ``answers`` for it; an error is raised."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    epoch: int = 0
    lost: list[HeldAttempt] = field(default_factory=list)

    def said(self, verb: str) -> list[Any]:
        return [body for name, body in self.calls if name == verb]

    def register(self, body: NodeRegistration) -> RegistrationAnswer:
        self._answer("register", body)
        self.epoch += 1
        return registration_answer(self.epoch, self.lost)

    def node(self, node: str) -> NodeAnswer:
        self._answer("node", node)
        if self.epoch == 0:
            raise MasterRefused(404, "not_found", f"there is no node {node}")
        return registration_answer(self.epoch, [])

    def claim(self, body: ClaimRequest) -> ClaimAnswer | None:
        found: ClaimAnswer | None = self._answer("claim", body)
        return found

    def heartbeat(self, node_id: str, body: Heartbeat) -> HeartbeatAnswer:
        orders = self._answer("heartbeat", body, node_id) or []
        return HeartbeatAnswer(attempts=orders, drain=False, node_timeout_seconds=100)

    def commit(self, job_id: str, attempt: int, body: CommitRequest) -> CommitAnswer:
        self._answer("commit", body, job_id, attempt)
        return CommitAnswer(status=JobStatus.COMMITTING)

    def report(self, body: ResultRequest) -> JobAnswer:
        self._answer("report", body)
        return JobAnswer.model_construct()  # type: ignore[call-arg]

    def release(self, job_id: str, attempt: int, body: ReleaseRequest) -> None:
        self._answer("release", body, job_id, attempt)

    def append_log(self, job_id: str, attempt: int, body: LogChunk) -> None:
        self._answer("append_log", body, job_id, attempt)

    def _answer(self, verb: str, body: Any, *about: object) -> Any:
        assert all(about), "an id is missing"
        self.calls.append((verb, body))
        script = self.answers.get(verb, [])
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        return answer


class Node:
    """An agent's parts around a scripted master; ``now`` is its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = ScriptedMaster()
        self.now = 0.0
        self.stop = threading.Event()
        self.ledger = Ledger()
        self.spool = Spool(folder / "attempts")
        self.registrar = Registrar(
            client=self.master,
            describe=lambda: NodeRegistration(address="one", node_id=NODE, node_token="t" * 32),
            on_lost=lambda lost: recovery.drop_lost(self.ledger, lost),
        )
        self.stores = Stores(allow_networks=(LOOPBACK,))
        self.delivery = self.new_delivery()

    def registered(self) -> "Node":
        assert self.registrar.register(self.stop) is not None
        return self

    def new_delivery(self) -> Delivery:
        return Delivery(
            client=self.master,
            spool=self.spool,
            ledger=self.ledger,
            stores=self.stores,
            node_timeout_seconds=lambda: 100.0,
            now=lambda: self.now,
        )

    def claims(self, on_nothing: Callable[[], None] = lambda: None) -> Claims:
        return Claims(
            client=self.master,
            registrar=self.registrar,
            ledger=self.ledger,
            stop=self.stop,
            on_nothing=on_nothing,
        )

    def heart(self) -> Heart:
        return Heart(
            client=self.master,
            registrar=self.registrar,
            ledger=self.ledger,
            load=dict,
            slots_lost=lambda: 0,
            idle_seconds=1,
            busy_seconds=1,
            on_answer=lambda _: None,
        )

    def runner(
        self,
        ffmpeg: Path = Path("/nonexistent/ffmpeg"),
        *,
        reconnect_seconds: float = 60.0,
        means: Means = NO_GROUPS,
        gstreamer: Gstreamer | None = None,
        ceilings: Limits = NO_LIMITS,
        targets: Targets = ONLY_CPU,
        box: Box = NO_BOX,
    ) -> Runner:
        return Runner(
            node_id=NODE,
            client=self.master,
            encoder=Encoder(ffmpeg=ffmpeg, threads=1, targets=targets),
            streamer=Streamer(
                ffmpeg=ffmpeg,
                threads=1,
                targets=targets,
                gstreamer=gstreamer,
                reconnect_seconds=reconnect_seconds,
            ),
            places=Places(
                output_folder=self.folder / "output",
                media_roots=(Path("/"),),
                allow_networks=(LOOPBACK,),
                output_roots=(Path("/"),),
            ),
            stores=self.stores,
            limiter=Limiter(means, cores=[0]),
            ceilings=ceilings,
            box=box,
            spool=self.spool,
            ledger=self.ledger,
            delivery=self.delivery,
            on_end=lambda _: None,
            kill_seconds=30.0,
        )

    def finished(self, *, phase: Phase = Phase.ENCODED) -> tuple[Held, Journal]:
        """A whole file under its temporary name, waiting to be committed."""
        destination = self.folder / "a.mp4"
        temporary = part_path(destination, "job-1", 1)
        temporary.write_bytes(b"whole")
        result = ResultRequest(
            job_id="job-1",
            node_id=NODE,
            attempt=1,
            lease=LEASE,
            status="completed",
            sha256=sha(b"whole"),
            size=5,
            logs="said",
        )
        journal = Journal(
            job_id="job-1",
            attempt=1,
            lease=LEASE,
            phase=phase,
            destination=destination,
            temporary=temporary,
            sha256=sha(b"whole"),
            size=5,
            result=result,
        )
        held = Held(job_id="job-1", number=1, lease=LEASE)
        self.ledger.admit(held)
        return held, journal

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)
