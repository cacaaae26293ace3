"""The processes a master is made of, in the order they start."""

import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException
from typing import Literal

from ffrtmp.broker import embedded
from ffrtmp.config import MasterSettings, child_environment, python_module
from ffrtmp.supervisor import Part

BROKER_STAGE = 0
MASTER_STAGE = 1
AGENT_STAGE = 2
"""Agents stop first: they give their attempts back through the API."""

API_READY_SECONDS = 60.0
PROBE_SECONDS = 2.0
LOOPBACK = "127.0.0.1"
PART_VARIABLE = "FFRTMP_PART"
"""Set for a part whose supervisor has said what there is to say of the settings."""
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - listened on if asked


def master_parts(settings: MasterSettings) -> list[Part]:
    """The embedded broker where no other is given, API, control, beat, and Flower if it has a
    port. ``settings.port`` must be settled; the embedded broker's files are written here."""
    parts = []
    if settings.broker is None:
        broker = embedded.prepare(settings.data_dir, port=settings.broker_port)
        settings = settings.model_copy(
            update={
                "broker": broker.master_url,
                "node_broker": broker.node_url,
                "flower_broker": broker.flower_url,
                "broker_port": broker.port,
            }
        )
        parts.append(_broker_part(broker))
    parts += [_api_part(settings), _own_part("control", settings), _own_part("beat", settings)]
    if settings.flower_port:
        parts.append(_flower_part(settings))
    return parts


def broker_url(settings: MasterSettings) -> str | None:
    """The broker of a master whose parts were made: the given one, or the embedded one."""
    return settings.broker or embedded.kept_url(settings.data_dir)


def local_host(settings: MasterSettings) -> str:
    """The address by which this machine reaches the API."""
    return LOOPBACK if settings.host in EVERYWHERE else settings.host


def _broker_part(broker: embedded.EmbeddedBroker) -> Part:
    return Part(
        name="broker",
        argv=broker.argv,
        environment={},
        ready=partial(embedded.answers, broker.url),
        stage=BROKER_STAGE,
    )


def _api_part(settings: MasterSettings) -> Part:
    return Part(
        name="api",
        argv=python_module("ffrtmp.master"),
        environment=_environment(settings.model_copy(update={"only": "api"})),
        ready=_api_probe(settings),
        ready_seconds=API_READY_SECONDS,
        rereads=True,
        stage=MASTER_STAGE,
    )


def _own_part(only: Literal["control", "beat"], settings: MasterSettings) -> Part:
    alone = settings.model_copy(update={"only": only, "metrics_port": None, "health_port": None})
    unused = ("api_key", "flower_password", "flower_broker", "node_broker")
    needed = _without(alone, *unused, *(("db",) if only == "beat" else ()))
    return Part(
        name=only,
        argv=python_module("ffrtmp.master"),
        environment=_environment(needed),
        stage=MASTER_STAGE,
    )


def _environment(settings: MasterSettings) -> dict[str, str]:
    return child_environment(settings) | {PART_VARIABLE: "1"}


def _without(settings: MasterSettings, *names: str) -> MasterSettings:
    """For a part that has no use for them: what a process has not, nobody takes from it."""
    return settings.model_copy(update=dict.fromkeys(names))


def _flower_part(settings: MasterSettings) -> Part:
    own = settings.model_copy(update={"broker": settings.flower_broker or settings.broker})
    return Part(
        name="flower",
        argv=python_module("ffrtmp.flower"),
        environment=child_environment(_without(own, "api_key", "db", "node_broker")),
        stage=MASTER_STAGE,
    )


def _api_probe(settings: MasterSettings) -> Callable[[], bool]:
    if settings.health_port:
        return partial(is_healthy, LOOPBACK, settings.health_port)
    probe = is_listening if settings.tls.enabled else is_healthy
    return partial(probe, local_host(settings), settings.port)


def is_healthy(host: str, port: int) -> bool:
    """Whether GET /health answers 200 there."""
    with closing(HTTPConnection(host, port, timeout=PROBE_SECONDS)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


def is_listening(host: str, port: int) -> bool:
    """Whether somebody takes connections there; with TLS only its clients can ask for more."""
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True
