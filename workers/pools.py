"""The pools a node's slots are divided into, and the Celery queues that ring for each."""

from collections.abc import Collection
from enum import StrEnum

from ffrtmp.domain.hint import node_queue_name, queue_name
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Queue


class Pool(StrEnum):
    """Slots that the same hints are for: of the CPU or of all GPUs.

    Those of ``live`` pools are kept for the live queue; a pool without slots has no child.
    """

    CPU = "cpu"
    GPU = "gpu"
    LIVE = "live"
    LIVE_GPU = "live.gpu"

    @property
    def is_gpu(self) -> bool:
        """True where its slots are on GPUs."""
        return self in (Pool.GPU, Pool.LIVE_GPU)

    @property
    def is_reserved(self) -> bool:
        """True where its slots run nothing but the live queue."""
        return self in (Pool.LIVE, Pool.LIVE_GPU)


def pool_of(*, is_gpu: bool, is_reserved: bool) -> Pool:
    """The pool of such slots."""
    if is_gpu:
        return Pool.LIVE_GPU if is_reserved else Pool.GPU
    return Pool.LIVE if is_reserved else Pool.CPU


def queue_names(
    pool: Pool, *, node_id: str, queues: Collection[Queue], pools: Collection[Pool]
) -> tuple[str, ...]:
    """The Celery queues that ring for a pool of a node that has these ``pools``, best first.

    The node's own queue rings for the general slots; for those kept for live only without others.
    """
    hardware = Hardware.GPU if pool.is_gpu else Hardware.CPU
    served = [queue for queue in Queue if queue in queues]
    if pool.is_reserved:
        served = [queue for queue in served if queue is Queue.LIVE]
    hears_node = not pool.is_reserved or pool_of(is_gpu=pool.is_gpu, is_reserved=False) not in pools
    own = (node_queue_name(node_id, is_gpu=pool.is_gpu),) if hears_node else ()
    return (*own, *(queue_name(queue, hardware) for queue in served))
