"""Room for attempts."""

import threading

WAKE_SECONDS = 0.5


class Slots:
    """A fixed number of slots, taken and given back by threads."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._busy = 0
        self._lost = 0
        self._changed = threading.Condition()

    @property
    def busy(self) -> int:
        """Slots taken now."""
        return self._busy

    @property
    def free(self) -> int:
        """Slots open now."""
        return self.count - self._busy - self._lost

    @property
    def lost(self) -> int:
        """Slots written off: what ran in them cannot be ended."""
        return self._lost

    def try_take(self) -> bool:
        """Take a slot if one is open."""
        with self._changed:
            if self._busy + self._lost >= self.count:
                return False
            self._busy += 1
            return True

    def give_back(self) -> None:
        """Open a slot again."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def write_off(self) -> None:
        """A taken slot is not to be counted on until it is recovered."""
        with self._changed:
            self._busy -= 1
            self._lost += 1
            self._changed.notify_all()

    def recover(self) -> None:
        """Open a slot that was written off."""
        with self._changed:
            self._lost -= 1
            self._changed.notify_all()

    def wait_for_change(self) -> None:
        """Return when a slot was given back, or after a moment."""
        with self._changed:
            self._changed.wait(WAKE_SECONDS)

    def wait_until_idle(self, *, timeout_seconds: float) -> bool:
        """True as soon as no slot is taken, False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, timeout_seconds)
