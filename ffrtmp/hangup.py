"""SIGHUP has two meanings: somebody asks a service to read its files again, or its terminal is
gone. Who was started without a terminal only knows the first."""

import os


class Hangups:
    """Tells the two apart; made at the start, while the terminal is there."""

    def __init__(self) -> None:
        self._had_terminal = has_terminal()

    def mean_stop(self) -> bool:
        """Whether the terminal that was there at the start is gone."""
        return self._had_terminal and not has_terminal()


def has_terminal() -> bool:
    """Whether this process belongs to a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
