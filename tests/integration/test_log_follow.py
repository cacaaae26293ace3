"""A followed log from both ends: what the API streams, and what the client makes of a stream."""

import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from ffrtmp.api.follow import log_events
from ffrtmp.client import Connection, MasterClient, MasterUnreachable
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from tests.builders import request
from tests.fakes import FakeWorld

PIECES = "data: one\ndata: \n\n: nothing new\n\ndata: two\n\n"
END = 'event: end\ndata: {"status": "completed"}\n\n'


@contextmanager
def streaming(events: str) -> Iterator[MasterClient]:
    """A client of a server that sends these events and hangs up."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            self.wfile.write((head + events).encode())

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with MasterClient(Connection(url=f"http://127.0.0.1:{server.server_address[1]}")) as it:
                yield it
        finally:
            server.shutdown()
            thread.join()


def test_the_client_gives_the_log_and_not_the_end_of_the_stream() -> None:
    with streaming(PIECES + END) as master:
        pieces = list(master.follow_logs("1"))

    assert pieces == ["one\n", "two"]


def test_a_stream_that_is_cut_is_said_to_be() -> None:
    with streaming(PIECES) as master, pytest.raises(MasterUnreachable, match="cut"):
        list(master.follow_logs("1"))


def test_a_log_without_news_still_says_that_its_stream_lives(tmp_path: Path) -> None:
    world = FakeWorld.over(Store(f"sqlite:///{tmp_path}/farm.db"), FarmPolicy())
    world.farm.migrate()
    job = world.farm.jobs.submit([request()])[0]

    async def first(events: AsyncIterator[str]) -> str:
        return await anext(events)

    said = anyio.run(first, log_events(world.farm, job.id, quiet_limit_seconds=0))
    world.farm.close()

    assert said == ": nothing new\n\n"


def test_a_database_that_is_away_for_a_moment_does_not_cut_the_stream(tmp_path: Path) -> None:
    world = FakeWorld.over(Store(f"sqlite:///{tmp_path}/farm.db"), FarmPolicy())
    first_id = "00000000-0000-7000-8000-000000000001"

    async def followed() -> list[str]:
        events = log_events(world.farm, first_id, quiet_limit_seconds=0)
        said = [await anext(events)]  # there is no table yet
        world.farm.migrate()
        (job,) = world.farm.jobs.submit([request()])
        world.farm.jobs.cancel(job.id)
        return said + [event async for event in events]

    said = anyio.run(followed)
    world.farm.close()

    assert said == [": nothing new\n\n", 'event: end\ndata: {"status": "canceled"}\n\n']
