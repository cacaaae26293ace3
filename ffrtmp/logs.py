"""The log of a process: one record is one line, whoever's words stand in it."""

import logging
import re
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MAX_CHARACTERS = 8 << 10
"""Of a message, and of each line of a traceback; the rest is cut off."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
INDENT = "    "


class OneRecord(logging.Formatter):
    """Escapes what would begin a line or drive a terminal, and cuts what is too long. A traceback
    stands below its record, indented, so that no line of it looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The record's line."""
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802
        """The traceback, indented."""
        return _below(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """The stack, indented."""
        return _below(super().formatStack(stack_info))


def log_to_stderr(*quiet: str, level: int = logging.INFO, words: str = FORMAT) -> None:
    """Everything to stderr, of the loggers named only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneRecord(words))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)


def plain(text: str) -> str:
    """Text on one line, no longer than it may be; what was escaped can be told."""
    shown = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text[: MAX_CHARACTERS + 1])
    return shown if len(shown) <= MAX_CHARACTERS else f"{shown[:MAX_CHARACTERS]} [cut]"


def _below(text: str) -> str:
    return "\n".join(INDENT + plain(line) for line in text.split("\n"))
