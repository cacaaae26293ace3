"""The broker over TLS: who is believed to be it, and what becomes of a farm where it is not."""

import contextlib
import ssl
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
import trustme

from ffrtmp.broker import acl
from ffrtmp.broker.app import beat_app, control_app, flower_app, node_app, publisher_app
from ffrtmp.broker.embedded import EmbeddedBroker
from ffrtmp.broker.link import connect
from ffrtmp.broker.publisher import RedisBell
from ffrtmp.config import MasterSettings
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.job import JobStatus
from tests.integration.agents import AgentProcess, Master, StartAgent, job_with
from tests.integration.tls_door import TlsDoor, door, server_context, written
from tests.integration.valkey import client_of, valkey
from tests.waiting import free_port, wait_until

NEVER = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A valkey behind TLS with a good certificate for ``localhost``."""

    broker: EmbeddedBroker
    authority: trustme.CA
    ca: Path
    other_ca: Path
    door: TlsDoor

    def settings(self, **more: object) -> MasterSettings:
        given = {"broker": self.url(acl.MASTER), "broker_ca": self.ca} | more
        return MasterSettings.model_validate(given)

    def url(self, user: str, *, host: str = "localhost", door: TlsDoor | None = None) -> str:
        plain = {
            acl.MASTER: self.broker.master_url,
            acl.NODE: self.broker.node_url,
            acl.FLOWER: self.broker.flower_url,
        }[user]
        credentials = plain.removeprefix("redis://").partition("@")[0]
        return f"rediss://{credentials}@{host}:{(door or self.door).port}/0"

    def settled(self, *, door: TlsDoor | None = None, ca: Path | None = None) -> str:
        settings = self.settings(broker=self.url(acl.MASTER, door=door), broker_ca=ca or self.ca)
        assert settings.broker_url is not None
        return settings.broker_url


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tls")
    authority, other = trustme.CA(), trustme.CA()
    (folder / "other").mkdir()
    context = server_context(authority.issue_cert("localhost"))
    with valkey(folder) as broker, door(broker.port, context) as opened:
        yield Place(
            broker=broker,
            authority=authority,
            ca=written(authority, folder),
            other_ca=written(other, folder / "other"),
            door=opened,
        )


def by_redis(url: str) -> None:
    with connect(url) as client:
        client.ping()


def by_celery(make: Callable[[str], object]) -> Callable[[str], None]:
    def ask(url: str) -> None:
        with make(url).connection() as connection:  # type: ignore[attr-defined]
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
            connection.default_channel.client.ping()

    return ask


WAYS = {
    "redis": by_redis,
    "node": by_celery(lambda url: node_app(url, queue_names=["live"], concurrency=1)),
    "control": by_celery(lambda url: control_app(url, scheduler_interval_seconds=5)),
    "beat": by_celery(lambda url: beat_app(url, scheduler_interval_seconds=5)),
    "publisher": by_celery(publisher_app),
    "flower": by_celery(flower_app),
}
every_way = pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)


@every_way
def test_broker_with_the_right_certificate_is_spoken_to(
    place: Place, ask: Callable[[str], None]
) -> None:
    ask(place.settled())


@every_way
def test_certificate_of_another_authority_is_refused(
    place: Place, ask: Callable[[str], None]
) -> None:
    with pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        ask(place.settled(ca=place.other_ca))


@every_way
def test_certificate_for_another_host_is_refused(place: Place, ask: Callable[[str], None]) -> None:
    context = server_context(place.authority.issue_cert("elsewhere.example"))
    with (
        door(place.broker.port, context) as opened,
        pytest.raises(Exception, match="certificate is not valid for 'localhost'"),
    ):
        ask(place.settled(door=opened))


@every_way
def test_expired_certificate_is_refused(place: Place, ask: Callable[[str], None]) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    context = server_context(place.authority.issue_cert("localhost", not_after=yesterday))
    with (
        door(place.broker.port, context) as opened,
        pytest.raises(Exception, match="certificate has expired"),
    ):
        ask(place.settled(door=opened))


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"flower"}))
def test_authorities_of_the_system_do_not_count_beside_a_given_one(
    place: Place, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flower's process takes the given one for the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(place.ca))

    with pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        WAYS[way](place.settled(ca=place.other_ca))
    WAYS[way](place.url(acl.MASTER))


def test_old_tls_is_refused(place: Place) -> None:
    context = server_context(place.authority.issue_cert("localhost"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with door(place.broker.port, context) as opened, pytest.raises(redis.ConnectionError):
        by_redis(place.settled(door=opened))


def test_broker_that_asks_for_a_certificate_gets_it(place: Place, tmp_path: Path) -> None:
    own = place.authority.issue_cert("the-master")
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    context = server_context(place.authority.issue_cert("localhost"))
    place.authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    with door(place.broker.port, context) as opened:
        settings = place.settings(
            broker=place.url(acl.MASTER, door=opened),
            broker_cert=tmp_path / "cert.pem",
            broker_key=tmp_path / "key.pem",
        )
        assert settings.broker_url is not None
        by_redis(settings.broker_url)
        WAYS["publisher"](settings.broker_url)
        with pytest.raises(redis.ConnectionError):
            by_redis(place.settled(door=opened))


def test_farm_runs_jobs_over_tls_with_a_user_for_each_and_without_hints_where_it_is_refused(
    place: Place, tmp_path: Path, start_agent: StartAgent
) -> None:
    with client_of(place.broker) as looking, over_tls(place, tmp_path) as master:
        looking.acl_log_reset()
        agent = start_agent(
            master, "one", poll_interval=NEVER, broker_ca=place.ca, metrics_port=free_port()
        ).ready()
        wait_until(lambda: agent.metric("ffrtmp_worker_takes_hints") == 1, seconds=60)
        short = {"scenario": "test-360p", "parameters": {"duration": 0.2, "preset": "ultrafast"}}
        job = master.client.submit(short)
        done = job_with(master, job, JobStatus.COMPLETED)
        nudged_away(master, agent)

        assert done.attempt == 1
        assert looking.acl_log() == []
        agent.end()

        stranger = start_agent(master, "stranger", broker_ca=place.other_ca).ready()
        job = master.client.submit(short)
        assert job_with(master, job, JobStatus.COMPLETED).attempt == 1
        wait_until(lambda: "certificate verify failed" in stranger.text())
        assert place.url(acl.NODE).partition("@")[0].rpartition(":")[2] not in stranger.text()


def test_master_that_cannot_verify_the_broker_says_so_without_its_password(place: Place) -> None:
    secret = place.url(acl.MASTER).partition("@")[0].rpartition(":")[2]
    with contextlib.closing(RedisBell(place.settled(ca=place.other_ca), window=10)) as bell:
        with pytest.raises(Unavailable, match="certificate verify failed") as refused:
            bell.waiting("live")

        assert secret not in str(refused.value)


def nudged_away(master: Master, agent: AgentProcess) -> None:
    """A cancel reaches the node long before its next heartbeat would."""
    job = master.client.submit({"scenario": "1080p30-h264", "parameters": {"duration": 3600}})
    wait_until(agent.ffmpegs)
    master.client.cancel(job.id)
    wait_until(lambda: not agent.ffmpegs())


@contextlib.contextmanager
def over_tls(place: Place, folder: Path, **settings: object) -> Iterator[Master]:
    given: dict[str, object] = {
        "broker": place.url(acl.MASTER),
        "node_broker": place.url(acl.NODE),
        "broker_ca": place.ca,
    }
    with contextlib.closing(Master(folder, **(given | settings))) as master:
        yield master
