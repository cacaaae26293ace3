"""A followed log from both ends: what the API streams, and what the client makes of a stream."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from ffrtmp.api.follow import MAX_BEHIND, PIECE_CHARACTERS, Tails
from ffrtmp.client import Connection, MasterClient, MasterUnreachable
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.jobs import JobLog, LogMark
from ffrtmp.store.engine import Store
from tests.builders import claim, registration, request
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


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FakeWorld]:
    world = FakeWorld.over(Store(f"sqlite:///{tmp_path}/farm.db"), FarmPolicy())
    yield world
    world.farm.close()


FIRST_ID = "00000000-0000-7000-8000-000000000001"
QUIET = ": nothing new\n\n"
END_CANCELED = 'event: end\ndata: {"status": "canceled"}\n\n'


def leased(world: FakeWorld) -> tuple[str, Callable[[int, str], None]]:
    """A running job, and what continues its log at an offset."""
    (job,) = world.farm.jobs.submit([request()])
    world.farm.nodes.register(registration())
    grant = world.farm.attempts.claim(claim())
    assert grant is not None

    def say(offset: int, text: str) -> None:
        world.farm.attempts.append_log(
            job.id, 1, node_id="node-1", lease=grant.attempt.lease, offset=offset, text=text
        )

    return job.id, say


def test_a_log_without_news_still_says_that_its_stream_lives(world: FakeWorld) -> None:
    world.farm.migrate()
    job = world.farm.jobs.submit([request()])[0]

    async def first() -> str:
        return await anext(Tails(world.farm).log_events(job.id, quiet_limit_seconds=0.01))

    assert anyio.run(first) == QUIET


def test_a_database_that_is_away_for_a_moment_does_not_cut_the_stream(world: FakeWorld) -> None:
    async def followed() -> list[str]:
        events = Tails(world.farm).log_events(FIRST_ID, quiet_limit_seconds=0.6)
        said = [await anext(events)]  # there is no table yet
        world.farm.migrate()
        (job,) = world.farm.jobs.submit([request()])
        world.farm.jobs.cancel(job.id)
        return said + [event async for event in events]

    said = anyio.run(followed)

    assert said[0] == QUIET
    assert [event for event in said if event != QUIET] == [END_CANCELED]


def test_all_who_follow_a_job_share_one_look_at_it_and_hear_the_same(world: FakeWorld) -> None:
    world.farm.migrate()
    job_id, say = leased(world)
    say(0, "one\n")
    looks = 0
    log_since = world.farm.jobs.log_since

    def counted(job_id: str, mark: LogMark | None) -> tuple[LogMark, JobLog] | None:
        nonlocal looks
        looks += 1
        return log_since(job_id, mark)

    world.farm.jobs.log_since = counted  # type: ignore[method-assign]

    async def followed() -> list[list[str]]:
        tails = Tails(world.farm)
        early = [tails.log_events(job_id) for _ in range(20)]
        heard = [[await anext(events)] for events in early]
        say(4, "two\n")
        late = tails.log_events(job_id)
        heard.append([await anext(late)])
        world.farm.jobs.cancel(job_id)
        for said, events in zip(heard, [*early, late], strict=True):
            said += [event async for event in events]
        return heard

    heard = anyio.run(followed)

    assert {"".join(said) for said in heard} == {
        "data: --- attempt 1 on node-1 ---\ndata: one\ndata: \n\n"
        "data: two\ndata: \n\n" + END_CANCELED
    }
    assert looks < 20


def test_whoever_does_not_keep_up_is_cut_off_and_told_no_end(
    world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ffrtmp.api.follow.POLL_SECONDS", 0.001)
    monkeypatch.setattr("ffrtmp.api.follow.LOOKS_PER_SECOND", 1_000.0)
    world.farm.migrate()
    job_id, say = leased(world)
    say(0, "0")

    async def followed() -> tuple[list[str], list[str]]:
        tails = Tails(world.farm)
        slow, quick = tails.log_events(job_id), tails.log_events(job_id)
        heard = [await anext(slow)], [await anext(quick)]
        for number in range(1, MAX_BEHIND + 5):
            say(number, "x")
            heard[1].append(await anext(quick))
        world.farm.jobs.cancel(job_id)
        for said, events in zip(heard, (slow, quick), strict=True):
            said += [event async for event in events]
        return heard

    slow, quick = anyio.run(followed)

    assert quick[-1] == END_CANCELED
    assert slow == quick[: MAX_BEHIND + 1]


def test_a_job_is_looked_at_only_while_somebody_follows_it(world: FakeWorld) -> None:
    world.farm.migrate()
    (job,) = world.farm.jobs.submit([request()])

    async def followed() -> int:
        tails = Tails(world.farm)
        events = tails.log_events(job.id, quiet_limit_seconds=0.01)
        await anext(events)
        await events.aclose()
        return len(tails)

    assert anyio.run(followed) == 0


def test_a_long_log_is_sent_in_pieces_that_make_it_whole(world: FakeWorld) -> None:
    world.farm.migrate()
    job_id, say = leased(world)
    text = "".join(f"line {number}\r\n" for number in range(5_000))
    say(0, text)
    world.farm.jobs.cancel(job_id)

    async def followed() -> list[str]:
        return [event async for event in Tails(world.farm).log_events(job_id)]

    events = anyio.run(followed)

    with streaming("".join(events)) as master:
        whole = "".join(master.follow_logs("1"))
    assert whole == "--- attempt 1 on node-1 ---\n" + text.replace("\r\n", "\n")
    assert max(map(len, events)) < 2 * PIECE_CHARACTERS
