"""The node's own clock: it counts while the host sleeps and ignores every change of the date."""

import time


def boot_seconds() -> float:
    """Seconds since boot, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
