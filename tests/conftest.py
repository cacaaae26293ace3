"""What every tier's processes start from."""

import signal


def pytest_configure() -> None:
    """Let SIGINT reach what tests start.

    A shell starts what it puts in the background with SIGINT ignored, and that is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
