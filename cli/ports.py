"""Ports nobody listens on."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from cli.exits import CliError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> Sequence[int]:
    """Different ports that were free a moment ago."""
    with ExitStack() as stack:
        bound = [stack.enter_context(_bound(LOOPBACK, 0)) for _ in range(count)]
        return [listener.getsockname()[1] for listener in bound]


def require_free(host: str, port: int, *, flag: str) -> None:
    """CliError where something listens there already."""
    try:
        _bound(host, port).close()
    except OSError as error:
        why = f"cannot listen on {host}:{port}: {error.strerror}"
        raise CliError(f"{why}; give another {flag}, 0 takes a free one") from error


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
