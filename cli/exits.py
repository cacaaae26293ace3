"""How the command ends: the exit codes, and the one place that turns an error into one.

CliError            something this command cannot do; one line, and what to do next
├── UsageError      asked in a way that cannot be
├── SubmitUnsure    no answer says whether the job was taken
├── JobNotCompleted the job that was waited for ended otherwise
└── StillRunning    the node that was waited for still runs something
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus

from ffrtmp.client import (
    ClientError,
    MasterBusy,
    MasterNotTrusted,
    MasterRefused,
    MasterUnavailable,
    MasterUnreachable,
)
from ffrtmp.config import ConfigError
from ffrtmp.tls import TlsFileError


class ExitCode(IntEnum):
    """What a script reads."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    REFUSED = 5


class CliError(Exception):
    """Something this command cannot do; the text is one line that says what to do next."""

    code = ExitCode.FAILED


class UsageError(CliError):
    """The command was asked in a way that cannot be."""

    code = ExitCode.USAGE


class SubmitUnsure(CliError):  # noqa: N818
    """No answer says whether the job was taken."""

    code = ExitCode.UNREACHABLE


class JobNotCompleted(CliError):  # noqa: N818
    """The job that was waited for failed or was canceled."""


class StillRunning(CliError):  # noqa: N818
    """The node that was waited for still runs something."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An exit code, and the line for stderr."""

    code: ExitCode
    message: str


EXPECTED_ERRORS = (CliError, ClientError, ConfigError, TlsFileError, OSError)
START_OR_NAME_MASTER = "is it running? start it with 'ffrtmp up', or give --master URL"
GIVE_KEY = "set FFMPEG_RTMP_API_KEY, or FFMPEG_RTMP_API_KEY_FILE to the file that has the key"
OTHER_KEY = "use a key that is made for this"


def ending_of(error: Exception) -> Ending:
    """The ending one of EXPECTED_ERRORS leads to."""
    for kind, ending in _ENDINGS:
        if isinstance(error, kind):
            return ending(error)
    raise error


def _of_cli(error: Exception) -> Ending:
    code = error.code if isinstance(error, CliError) else ExitCode.FAILED
    return Ending(code, str(error))


def _of_tls_file(error: Exception) -> Ending:
    return Ending(ExitCode.FAILED, str(error))


def _of_system(error: Exception) -> Ending:
    return Ending(ExitCode.FAILED, f"{error}; mend that and run it again")


def _of_config(error: Exception) -> Ending:
    return Ending(ExitCode.USAGE, f"{error}; 'ffrtmp config show' lists the settings")


def _of_unreachable(error: Exception) -> Ending:
    return Ending(
        ExitCode.UNREACHABLE, f"no answer from the master: {error}; {START_OR_NAME_MASTER}"
    )


def _of_not_trusted(error: Exception) -> Ending:
    return Ending(ExitCode.UNREACHABLE, f"no trust between here and the master: {error}")


def _of_unavailable(error: Exception) -> Ending:
    return Ending(ExitCode.UNREACHABLE, f"the master cannot now: {error}; try again in a moment")


def _of_busy(error: Exception) -> Ending:
    return Ending(ExitCode.FAILED, f"the master has too much to do: {error}; try again later")


def _of_refusal(error: Exception) -> Ending:
    status = error.status if isinstance(error, MasterRefused) else 0
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return Ending(ExitCode.REFUSED, f"refused: {error}; {GIVE_KEY}")
        case HTTPStatus.FORBIDDEN:
            return Ending(ExitCode.REFUSED, f"refused: {error}; {OTHER_KEY}")
        case HTTPStatus.NOT_FOUND:
            return Ending(ExitCode.NOT_FOUND, f"not found: {error}; the list commands show what is")
        case HTTPStatus.UNPROCESSABLE_ENTITY | HTTPStatus.BAD_REQUEST:
            return Ending(ExitCode.USAGE, f"{error}; change it and ask again")
        case HTTPStatus.CONFLICT:
            return Ending(ExitCode.FAILED, f"not possible now: {error}; look at its status")
    return Ending(ExitCode.FAILED, f"the master answered HTTP {status}: {error}; see its log")


_ENDINGS: tuple[tuple[type[Exception], Callable[[Exception], Ending]], ...] = (
    (CliError, _of_cli),
    (ConfigError, _of_config),
    (TlsFileError, _of_tls_file),
    (MasterNotTrusted, _of_not_trusted),
    (MasterUnreachable, _of_unreachable),
    (MasterBusy, _of_busy),
    (MasterUnavailable, _of_unavailable),
    (ClientError, _of_refusal),
    (OSError, _of_system),
)
