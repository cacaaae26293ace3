"""Clients that come to a master from addresses of their own, all of this host."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

_numbers = itertools.count(1)


class Visitor:
    """Whoever asks from an address that nobody else has used, or from a given one."""

    def __init__(self, url: str, *, address: str | None = None) -> None:
        self.address = address or own_address()
        transport = httpx.HTTPTransport(local_address=self.address)
        self.http = httpx.Client(base_url=url, transport=transport, timeout=30)

    def leave(self) -> None:
        """Hang up."""
        self.http.close()

    def ask(
        self,
        path: str,
        credential: str | None = None,
        *,
        method: str = "GET",
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A request with a bearer credential, or with none."""
        given = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        return self.http.request(method, path, headers=given | dict(headers or {}), json=json)

    def post(self, path: str, credential: str, json: Any = None) -> httpx.Response:
        """A POST of a JSON body."""
        return self.ask(path, credential, method="POST", json=json)


def own_address() -> str:
    """One of this host that nobody has come from."""
    number = next(_numbers)
    return f"127.1.{number >> 8}.{number & 255}"


@contextlib.contextmanager
def visitors(url: str) -> Iterator[Callable[..., Visitor]]:
    """``come()`` and ``come(address=...)``: visitors that leave at the end of the block."""
    with contextlib.ExitStack() as leaving:

        def come(*, address: str | None = None) -> Visitor:
            visitor = Visitor(url, address=address)
            leaving.callback(visitor.leave)
            return visitor

        yield come
