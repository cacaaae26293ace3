"""When a waiting job may be expected to start."""

import heapq
from collections.abc import Iterable

SIMULATED_JOBS = 1000
"""Beyond as many jobs ahead the average decides: turn by turn would say no more."""


def seconds_until_start(
    *, jobs_ahead: int, free_slots: int, remaining_seconds: Iterable[float], run_seconds: float
) -> float | None:
    """Seconds until a job starts behind ``jobs_ahead`` others that each run ``run_seconds``.

    ``remaining_seconds`` is what each busy slot that it may use still has to run; None without
    slots.
    """
    slots = [0.0] * free_slots + [max(0.0, seconds) for seconds in remaining_seconds]
    if not slots:
        return None
    heapq.heapify(slots)
    for _ in range(min(jobs_ahead, SIMULATED_JOBS)):
        heapq.heapreplace(slots, slots[0] + run_seconds)
    beyond = max(0, jobs_ahead - SIMULATED_JOBS)
    return slots[0] + beyond * run_seconds / len(slots)


def remaining_of(*, elapsed_seconds: float, progress: float, run_seconds: float | None) -> float:
    """What a running attempt still needs: by its own progress, else by what is usual."""
    if progress > 0:
        return elapsed_seconds * (1 - progress) / progress
    return max(0.0, (run_seconds or 0.0) - elapsed_seconds)
