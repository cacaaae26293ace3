"""A hint: the message that tells some host there may be work. It carries no work itself."""

from dataclasses import dataclass

from ffrtmp.domain.job import Job
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.placement import needs_gpu
from ffrtmp.domain.ranking import Queue

HINT_VERSION = 1
GPU_SUFFIX = ".gpu"
CONTROL_QUEUE = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One message on one Celery queue; ``rank`` is its message priority there."""

    job_id: str
    rank: int
    queue_name: str


def queue_name(queue: Queue, hardware: Hardware) -> str:
    """The Celery queue of a job: ``live`` … ``batch``, or their ``.gpu`` family."""
    return f"{queue}{GPU_SUFFIX}" if needs_gpu(hardware) else str(queue)


def hint_of(job: Job, *, on_gpu: bool = False) -> Hint:
    """The message for a job: on the queue of its family, or on that of the GPUs."""
    name = queue_name(job.queue, Hardware.GPU if on_gpu else job.hardware)
    return Hint(job_id=job.id, rank=job.rank, queue_name=name)


def node_queue_name(node_id: str, *, is_gpu: bool = False) -> str:
    """The Celery queue only one node consumes, for jobs only few can run: of its CPU or GPUs."""
    return f"node.{node_id}{GPU_SUFFIX if is_gpu else ''}"


def queue_names(*, with_gpu: bool) -> tuple[str, ...]:
    """The shared Celery queues, best first: a GPU family stands beside its plain one."""
    families = ("", GPU_SUFFIX) if with_gpu else ("",)
    return tuple(f"{queue}{family}" for queue in Queue for family in families)
