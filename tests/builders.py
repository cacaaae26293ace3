"""Values for tests, with defaults that make sense: a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

from ffrtmp.domain import placement
from ffrtmp.domain.attempt import AttemptProgress, Outcome, Report
from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.job import JobRequest
from ffrtmp.domain.media import Codec, Engine, Hardware
from ffrtmp.domain.node import Registration
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import JobSubmission
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.services.nodes import Beat

START = datetime(2026, 1, 1, tzinfo=UTC)
CPU_CAPABILITIES = placement.capabilities((Hardware.CPU, codec) for codec in Codec)
SHA_A = "a" * 64
SHA_B = "b" * 64


def request(
    *,
    queue: Queue = Queue.DEFAULT,
    priority: Priority = Priority.MEDIUM,
    requires: str = "auto:h264",
    is_stream: bool = False,
    max_retries: int | None = None,
    hardware: Hardware = Hardware.AUTO,
) -> JobRequest:
    if hardware is not Hardware.AUTO:
        requires = f"{hardware}:{requires.partition(':')[2]}"
    return JobRequest(
        scenario="720p-h264",
        queue=queue,
        priority=priority,
        engine=Engine.AUTO,
        hardware=hardware,
        requires=requires,
        is_stream=is_stream,
        parameters={},
        spec=spec(),
        max_retries=max_retries,
    )


def spec(scenario: str = "720p-h264", **parameters: Any) -> dict[str, Any]:
    body = {"scenario": scenario, "parameters": parameters}
    return dict(JobSubmission.model_validate(body).to_domain().spec)


def registration(
    node_id: str = "node-1",
    *,
    address: str | None = None,
    slots: int = 1,
    queues: tuple[Queue, ...] = tuple(Queue),
    capabilities: tuple[str, ...] = CPU_CAPABILITIES,
    token_hash: str | None = None,
    holding: frozenset[tuple[str, int]] = frozenset(),
    known_epoch: int | None = None,
    devices: tuple[Device, ...] = (),
    reserve_live: int = 0,
) -> Registration:
    return Registration(
        node_id=node_id,
        token_hash=token_hash or f"token of {node_id}",
        address=address or f"{node_id}.example",
        name=node_id,
        type="server",
        devices=devices or (cpu(slots=slots, capabilities=capabilities),),
        queues=queues,
        reserve_live=reserve_live,
        hardware={},
        version="0",
        holding=holding,
        known_epoch=known_epoch,
    )


def cpu(*, slots: int = 1, capabilities: tuple[str, ...] = CPU_CAPABILITIES) -> Device:
    return Device(id=CPU_DEVICE, name="CPU", slots=slots, capabilities=capabilities)


def gpu(
    number: int = 0, *, slots: int = 1, codecs: tuple[Codec, ...] = (Codec.H264, Codec.HEVC)
) -> Device:
    able = placement.capabilities((Hardware.NVENC, codec) for codec in codecs)
    return Device(id=f"gpu{number}", name="NVIDIA L4", slots=slots, capabilities=able)


def claim(
    node_id: str = "node-1",
    claim_id: str = "claim-1",
    *,
    epoch: int = 1,
    seq: int = 0,
    device: str = CPU_DEVICE,
    is_reserved: bool = False,
) -> Claim:
    return Claim(
        node_id=node_id,
        epoch=epoch,
        claim_id=claim_id,
        heartbeat_seq=seq,
        device=device,
        is_reserved=is_reserved,
    )


def beat(
    node_id: str = "node-1",
    *attempts: AttemptProgress,
    seq: int = 1,
    epoch: int = 1,
    in_flight: frozenset[str] = frozenset(),
) -> Beat:
    return Beat(
        node_id=node_id, epoch=epoch, seq=seq, attempts=attempts, claims_in_flight=in_flight
    )


def progress_of(grant: Grant, *, progress: float = 0.5, mark: str = "m") -> AttemptProgress:
    return AttemptProgress(
        job_id=grant.job.id,
        number=grant.attempt.number,
        progress=progress,
        mark=mark,
        phase="encoding",
    )


def completed(grant: Grant, *, sha256: str = SHA_A) -> Report:
    return _report(grant, Outcome.COMPLETED, sha256=sha256)


def failed(grant: Grant, failure: FailureClass = FailureClass.ENCODER) -> Report:
    return _report(grant, Outcome.FAILED, failure_class=failure, error="it broke")


def _report(grant: Grant, outcome: Outcome, **said: Any) -> Report:
    return Report(
        job_id=grant.job.id,
        node_id=grant.attempt.node_id,
        number=grant.attempt.number,
        lease=grant.attempt.lease,
        outcome=outcome,
        **said,
    )
