"""Nodes on the wire."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

from ffrtmp.domain.attempt import Order
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.ranking import Queue
from ffrtmp.schemas.base import (
    Answer,
    Count,
    Facts,
    Name,
    Ordinal,
    Text,
    Token,
    Wire,
    example,
)

MAX_HELD_ATTEMPTS = 1024
MAX_DEVICES = 64
DeviceId = Annotated[StrictStr, Field(pattern=r"^(cpu|gpu[0-9]{1,3})$")]


class HeldAttempt(Wire):
    """Finished work of an earlier agent process, waiting in its spool."""

    job_id: Name
    attempt: Ordinal


class DeviceSaid(Wire):
    """What a node says of its CPU, or of one GPU."""

    id: DeviceId
    name: Annotated[Text, Field(max_length=255)] = ""
    slots: Annotated[StrictInt, Field(ge=0, le=256)]
    """Attempts at once."""
    capabilities: Annotated[list[Name], Field(max_length=256)]
    """What it can encode, ``<hardware>:<codec>`` each."""


class NodeRegistration(Wire):
    """The body of POST /nodes/register."""

    model_config = example({"address": "encoder-7", "slots": 4, "type": "server"})

    address: Name
    name: Name | None = None
    type: Annotated[Text, Field(max_length=32)] = "server"
    node_id: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] | (
        None
    ) = None
    """The identity the agent saved; none makes a new one."""
    node_token: Annotated[Token, Field(min_length=32, max_length=256)] | None = None
    """Its secret; none makes a new one, returned once."""
    slots: Annotated[StrictInt, Field(ge=1, le=256)] = 1
    queues: Annotated[list[Queue], Field(min_length=1, max_length=3)] = list(Queue)
    capabilities: Annotated[list[Name], Field(max_length=256)] = []
    """What it can encode, ``<hardware>:<codec>`` each; empty means every CPU codec."""
    devices: Annotated[list[DeviceSaid], Field(max_length=MAX_DEVICES)] = []
    """Its CPU and GPUs; none means a CPU with ``slots`` and ``capabilities``."""
    reserve_live: Annotated[StrictInt, Field(ge=0, le=256)] = 0
    """Slots of the CPU, and as many of all GPUs, that run nothing but the live queue."""
    hardware: Annotated[Facts, Field(max_length=64)] = {}
    version: Annotated[Text, Field(max_length=64)] = ""
    holding: Annotated[list[HeldAttempt], Field(max_length=MAX_HELD_ATTEMPTS)] = []
    registration_id: Annotated[Name, Field(min_length=16, max_length=64)] | None = None
    """The same on every repeat of one registration: a repeat changes nothing."""
    known_epoch: Count | None = None
    """The node's epoch just before, 0 for none: one that comes late, after a newer registration,
    is refused."""

    @model_validator(mode="after")
    def _identity_is_whole(self) -> Self:
        if (self.node_id is None) != (self.node_token is None):
            raise ValueError("node_id and node_token go together")
        ids = [device.id for device in self.devices]
        if len(set(ids)) < len(ids):
            raise ValueError("devices: two have the same id")
        return self


class RunningAttempt(Answer):
    """An attempt as a node's page shows it."""

    job_id: str
    sequence_number: int
    attempt: int
    progress: float


class DeviceAnswer(Answer):
    """A device as a node's page shows it."""

    id: str
    name: str
    slots: int
    slots_busy: int
    capabilities: list[str]
    set_aside: str | None = None
    """Why it gets no work, apart from a canary job now and then."""


class NodeAnswer(Answer):
    """A node as GET /nodes/{id} shows it."""

    id: str
    name: str
    address: str
    type: str
    status: NodeStatus
    slots: int
    slots_busy: int
    slots_lost: int = 0
    queues: list[Queue]
    capabilities: list[str]
    hardware: dict[str, Any]
    load: dict[str, Any]
    last_heartbeat: datetime
    registered_at: datetime
    running: list[RunningAttempt]
    devices: list[DeviceAnswer] = []
    reserve_live: int = 0
    version: str
    epoch: int = 0
    """How often it has registered: which of its processes speaks."""
    clock_skew_seconds: float = 0.0
    """How far its clock is ahead of the master's, at the least; negative where it is behind."""
    drain_reason: str | None = None
    revoked_at: datetime | None = None
    """Since when its token opens nothing."""


class RegistrationAnswer(NodeAnswer):
    """What a registered agent needs to work, besides its own node."""

    node_token: str | None = None
    """Only where the request had none: save it, it is not shown again."""
    broker_url: str | None
    node_timeout_seconds: float
    lease_release: list[HeldAttempt] = []
    """Attempts of earlier epochs that are no longer this node's: delete their files."""


class NodeList(Answer):
    """Every node."""

    nodes: list[NodeAnswer]
    count: int


class DrainRequest(Wire):
    """The body of POST /nodes/{id}/drain."""

    model_config = example({"reason": "new disk"})

    reason: Annotated[Text, Field(max_length=255)] | None = None


class AttemptBeat(Wire):
    """One attempt in a heartbeat."""

    job_id: Name
    attempt: Ordinal
    progress: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    mark: Annotated[Text, Field(max_length=128)] = ""
    """Any text that differs whenever anything moved."""
    phase: Annotated[Text, Field(max_length=32)] = ""
    fps: Annotated[float, Field(strict=True, ge=0, le=1e6)] | None = None
    speed: Annotated[float, Field(strict=True, ge=0, le=1e6)] | None = None
    bits_per_second: Annotated[int, Field(strict=True, ge=0, le=10**12)] | None = None
    dropped_frames: Annotated[int, Field(strict=True, ge=0, le=10**12)] | None = None


class Heartbeat(Wire):
    """The body of POST /nodes/{id}/heartbeat."""

    model_config = example(
        {
            "epoch": 1,
            "seq": 7,
            "attempts": [
                {
                    "job_id": "0198c0de-0000-7000-8000-000000000001",
                    "attempt": 1,
                    "progress": 0.4,
                    "mark": "frame=120",
                }
            ],
            "load": {"cpu_percent": 60},
        }
    )

    epoch: Ordinal
    seq: Ordinal
    """Heartbeats this process has built, this one included."""
    attempts: Annotated[list[AttemptBeat], Field(max_length=MAX_HELD_ATTEMPTS)] = []
    claims_in_flight: Annotated[list[Name], Field(max_length=MAX_HELD_ATTEMPTS)] = []
    """Claims sent and not answered when this heartbeat was built."""
    load: Annotated[Facts, Field(max_length=32)] = {}
    clock_skew_seconds: Annotated[float, Field(strict=True, ge=-1e10, le=1e10)] = 0.0
    """How far the node's clock is ahead of ``at`` in the last answer, at the least."""
    slots_lost: Annotated[StrictInt, Field(ge=0, le=256)] = 0
    """Slots written off because what runs there cannot be ended."""


class AttemptOrder(Answer):
    """What becomes of one listed attempt."""

    job_id: str
    attempt: int
    order: Order


class HeartbeatAnswer(Answer):
    """The master's orders."""

    attempts: list[AttemptOrder]
    drain: bool
    node_timeout_seconds: float
    at: datetime | None = None
    """The master's clock when it answered."""
    devices_aside: list[str] = []
    """Devices that are to claim nothing, except as ``canaries`` says."""
    canaries: list[str] = []
    """Devices that may claim one job now, although they or the node are set aside: it decides
    whether they are trusted again."""
