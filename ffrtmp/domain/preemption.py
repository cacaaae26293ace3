"""Whose slot a live job takes when every slot that could run it is busy."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ffrtmp.domain.attempt import Attempt
from ffrtmp.domain.device import Device
from ffrtmp.domain.job import Job
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.placement import willing_devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A batch attempt that may have to make room; never a stream, never one that commits.

    ``is_local`` is true where its input is a file of the node, or a test source.
    """

    attempt: Attempt
    job_number: int
    rank: int
    is_local: bool

    @property
    def can_be_suspended(self) -> bool:
        """A stopped encoder on a GPU keeps its session, a remote input does not wait."""
        return self.is_local and self.attempt.hardware is Hardware.CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRoom:
    """One attempt makes room for one live job."""

    job: Job
    victim: Running


def without_room(
    waiting: Iterable[Job], nodes: Sequence[Node], occupancy: Occupancy, *, now: datetime
) -> Sequence[Job]:
    """The live jobs for which no slot is free, best first.

    A job for which one is takes it in the reckoning, so that the next does not count on it:
    ``occupancy`` is used up.
    """
    found = []
    for job in waiting:
        places = _places(job, nodes, now=now)
        free = next((p for p in places if occupancy.free(*p, is_live=True) > 0), None)
        if free is None:
            found.append(job)
        else:
            occupancy.take(*free, is_live=True)
    return found


def plan(
    waiting: Iterable[Job], nodes: Sequence[Node], running: Sequence[Running], *, now: datetime
) -> Sequence[MakeRoom]:
    """Who makes room for which of the live jobs that have none; nobody twice.

    Whom waiting has put before the live job makes none: the slot would be given back to it.
    """
    left = sorted(running, key=_least_loss)
    found = []
    for job in waiting:
        places = {(node.id, device.id) for node, device in _places(job, nodes, now=now)}
        turn = (job.rank, job.sequence_number)
        victim = next((one for one in left if _place(one) in places and _turn(one) > turn), None)
        if victim is not None:
            left.remove(victim)
            found.append(MakeRoom(job=job, victim=victim))
    return found


def _places(job: Job, nodes: Sequence[Node], *, now: datetime) -> Iterator[tuple[Node, Device]]:
    for node in nodes:
        for device in willing_devices(node, job, now=now):
            yield node, device


def _place(one: Running) -> tuple[str, str]:
    return one.attempt.node_id, one.attempt.device


def _turn(one: Running) -> tuple[int, int]:
    return one.rank, one.job_number


def _least_loss(one: Running) -> tuple[bool, int, float, int]:
    """Those that lose nothing first, then the worst rank, the least progress, the latest job."""
    return not one.can_be_suspended, -one.rank, one.attempt.progress, -one.job_number
