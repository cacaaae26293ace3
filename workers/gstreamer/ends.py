"""What the end of a GStreamer process means; see ``player``."""

import signal as signals
from typing import Final

from ffrtmp.domain.retry import FailureClass
from workers.ffmpeg.failures import MAX_MESSAGE_LENGTH, Failure

EXIT_INPUT: Final = 65
EXIT_CONNECTION: Final = 69
_CLASSES: Final = {
    EXIT_INPUT: FailureClass.BAD_INPUT,
    EXIT_CONNECTION: FailureClass.CONNECTION,
}
_ERROR: Final = "[error] "


def failure(*, exit_code: int | None, signal: int | None, stderr: str) -> Failure:
    """The failure of one run."""
    if signal is not None:
        name = signals.Signals(signal).name if signal in set(signals.Signals) else str(signal)
        return Failure(failure_class=FailureClass.KILLED, message=f"GStreamer was ended by {name}")
    said = [line for line in stderr.splitlines() if line.startswith(_ERROR)]
    message = said[-1].removeprefix(_ERROR) if said else f"GStreamer ended with {exit_code}"
    return Failure(
        failure_class=_CLASSES.get(exit_code or 0, FailureClass.ENCODER),
        message=message[:MAX_MESSAGE_LENGTH],
    )
