"""The node's own clock, which counts while the host sleeps and ignores every change of the date,
and how far its date is from the master's."""

import time
from datetime import UTC, datetime


def boot_seconds() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def skew_seconds(here: datetime, there: datetime, *, round_trip_seconds: float) -> float:
    """How far this node's date is ahead of the master's, at the least; negative where behind.

    ``there`` was read up to ``round_trip_seconds`` before ``here``; what that may explain is no
    skew.
    """
    most = (here - there).total_seconds()
    least = most - round_trip_seconds
    return least if least > 0 else min(most, 0.0)


def date_now() -> datetime:
    """The host's date, whatever it was set to."""
    return datetime.now(UTC)
