"""What waits, in a model of its own: no query and no rule of the code under test is used."""

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ffrtmp.domain.ranking import RANKS, Queue

Place = tuple[int, int]


@dataclass(slots=True, kw_only=True)
class Task:
    """A job: what it asks for, and how it stands in line."""

    id: str
    number: int
    queue: Queue
    asked: str
    base_rank: int
    since: float
    run_seconds: float
    needs: str
    rank: int
    is_pending: bool = True
    retry_at: float = 0.0
    avoid: frozenset[str] = frozenset()
    avoid_until: float = 0.0
    due_at: float = 0.0
    started_after: float | None = None
    is_ended: bool = False

    @property
    def place(self) -> Place:
        """What decides whose turn it is."""
        return self.rank, self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A slot that is free, and what may be started there."""

    node_id: str
    device: str
    queues: Collection[Queue]
    abilities: Collection[str]
    left_to_gpus: Collection[str]
    patience_seconds: float


class Pending:
    """Tasks in line, in heaps by need; those put back after a failure apart from them until
    nothing holds them up any more. ``step_seconds`` of waiting raise by one rank, None never."""

    def __init__(self, step_seconds: float | None) -> None:
        self._step = step_seconds
        self._lines: dict[tuple[Queue, str], list[list[int]]] = {}
        self._tasks: dict[int, Task] = {}
        self._held_up: dict[str, Task] = {}
        self._raises: list[tuple[float, int]] = []

    def add(self, task: Task) -> None:
        """It waits, from now on or again."""
        task.is_pending = True
        self._tasks[task.number] = task
        if task.avoid_until or task.retry_at:
            self._held_up[task.id] = task
        else:
            self._line_up(task)
        self._expect_raise(task)

    def take(self, task: Task) -> None:
        """It waits no longer."""
        task.is_pending = False
        task.retry_at = task.avoid_until = 0.0
        self._held_up.pop(task.id, None)

    def settle(self, seconds: float) -> None:
        """What is held up no longer lines up with the others."""
        free = [t for t in self._held_up.values() if max(t.avoid_until, t.retry_at) <= seconds]
        for task in free:
            del self._held_up[task.id]
            task.retry_at = task.avoid_until = 0.0
            self._line_up(task)

    def raise_due(self, seconds: float) -> Sequence[Task]:
        """Who is due moves up, as many ranks as its waiting is worth."""
        raised = []
        while self._raises and self._raises[0][0] <= seconds:
            task = self._tasks[heapq.heappop(self._raises)[1]]
            rank = self._rank_now(task, seconds)
            if not task.is_pending or rank == task.rank:
                continue
            task.rank = rank
            raised.append(task)
            if task.id not in self._held_up:
                self._line_up(task)
            self._expect_raise(task)
        return raised

    def best(self, asking: Asking, seconds: float) -> Task | None:
        """The one that must be started in this slot now."""
        fresh = self._best_in_line(asking, seconds)
        others = [t for t in self._held_up.values() if _may_start(t, asking, seconds)]
        found = [*others, fresh] if fresh is not None else others
        return min(found, key=lambda task: task.place, default=None)

    def oldest(self, asking: Asking, seconds: float) -> Task | None:
        """Of those that may be started in this slot, the one that has been due for the longest."""
        found = [t for t in self._held_up.values() if _may_start(t, asking, seconds)]
        for heads in self._heads(asking, seconds):
            found += heads
        return min(found, key=lambda task: task.due_at, default=None)

    def _best_in_line(self, asking: Asking, seconds: float) -> Task | None:
        first = next((heads for heads in self._heads(asking, seconds) if heads), ())
        return min(first, key=lambda task: task.number, default=None)

    def _heads(self, asking: Asking, seconds: float) -> Iterator[Sequence[Task]]:
        """Rank by rank, the first in each line that may be started in this slot."""
        lines = [
            (need, line)
            for need in asking.abilities
            for queue in asking.queues
            if (line := self._lines.get((queue, need))) is not None
        ]
        latest = seconds - asking.patience_seconds
        for rank in RANKS:
            yield [
                head
                for need, line in lines
                if line[rank]
                and (head := self._head(line[rank], rank, need)) is not None
                # The first in line has waited the longest of its rank and need.
                and not (need in asking.left_to_gpus and head.since > latest)
            ]

    def _head(self, heap: list[int], rank: int, need: str) -> Task | None:
        """The first that still waits there."""
        while heap:
            task = self._tasks[heap[0]]
            is_in_line = task.is_pending and task.id not in self._held_up
            if is_in_line and task.rank == rank and task.needs == need:
                return task
            heapq.heappop(heap)
        return None

    def _line_up(self, task: Task) -> None:
        line = self._lines.setdefault((task.queue, task.needs), [[] for _ in RANKS])
        heapq.heappush(line[task.rank], task.number)

    def _rank_now(self, task: Task, seconds: float) -> int:
        if self._step is None:
            return task.rank
        return max(0, task.base_rank - int((seconds - task.since) // self._step))

    def _expect_raise(self, task: Task) -> None:
        if self._step is not None and task.rank:
            due = task.since + self._step * (task.base_rank - task.rank + 1)
            heapq.heappush(self._raises, (due, task.number))


def _may_start(task: Task, asking: Asking, seconds: float) -> bool:
    if task.queue not in asking.queues or task.needs not in asking.abilities:
        return False
    if task.retry_at > seconds:
        return False
    is_avoiding = task.avoid_until > seconds
    places = {asking.node_id, f"{asking.node_id}/{asking.device}"}
    if is_avoiding and task.avoid & places:
        return False
    is_left = task.needs in asking.left_to_gpus
    has_waited = task.since <= seconds - asking.patience_seconds
    return not is_left or (has_waited and not is_avoiding)
