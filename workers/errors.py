"""What ends an agent, and what ends an attempt.

AgentError              the agent cannot work; carries the process's exit code
├── StateFolderTaken    another agent process uses the state folder
├── StateUnreadable     the saved identity is damaged
├── AddressTaken        another identity is registered at this address
├── KeyRefused          the master does not accept the API key
├── RegistrationRefused the master refuses this node for a reason of its own
└── NoEncoder           there is no ffmpeg to run
AttemptFailed           the attempt failed; carries the failure class
UnsupportedSpec         what the job asks for cannot be made of this source, or here
OutputAway              the place an output is sent to does not take it now
AttemptStopped          somebody ordered the attempt to end; nothing is reported
"""

from ffrtmp.domain.retry import FailureClass

EXIT_FAILED = 1
EXIT_REFUSED = 5


class AgentError(Exception):
    """The agent cannot work; the text says why."""

    exit_code = EXIT_FAILED


class StateFolderTaken(AgentError):  # noqa: N818
    """Another agent process uses the state folder."""


class StateUnreadable(AgentError):  # noqa: N818
    """The saved identity is damaged."""


class AddressTaken(AgentError):  # noqa: N818
    """Another identity is registered at this address."""


class KeyRefused(AgentError):  # noqa: N818
    """The master does not accept the API key."""

    exit_code = EXIT_REFUSED


class RegistrationRefused(AgentError):  # noqa: N818
    """The master refuses this node for a reason of its own."""


class NoEncoder(AgentError):  # noqa: N818
    """There is no ffmpeg to run."""


class AttemptFailed(Exception):  # noqa: N818
    """The attempt failed."""

    def __init__(
        self, failure_class: FailureClass, message: str, *, exit_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.failure_class = failure_class
        self.message = message
        self.exit_code = exit_code


class UnsupportedSpec(Exception):  # noqa: N818
    """What the job asks for cannot be made of this source, or with this encoder."""


class OutputAway(Exception):  # noqa: N818
    """The place an output is sent to does not take it now; it may take it later."""


class AttemptStopped(Exception):  # noqa: N818
    """Somebody ordered the attempt to end."""
