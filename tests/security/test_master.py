"""Media that only the master could have opened: it never does."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agents import Master
from tests.security.attacker import WebServer
from tests.security.target import Target


@pytest.fixture
def idle(target: Target) -> Iterator[Master]:
    """The master, while no node takes anything."""
    (node,) = [
        node
        for node in target.master.client.nodes().nodes
        if node.address == target.agent.state.name
    ]
    target.master.client.drain(node.id)
    try:
        yield target.master
    finally:
        target.master.client.undrain(node.id)


def is_read(pipe: Path) -> bool:
    """Whether anybody has the pipe open, or waits to open it."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise
    return True


def test_master_opens_neither_the_file_nor_the_host_of_a_job(
    target: Target, idle: Master, web: WebServer
) -> None:
    pipe = target.media / "pipe.mp4"
    os.mkfifo(pipe)
    film = web.serve("film", target.film.read_bytes())

    for location in (str(pipe), film):
        job = target.attack(location, verify="decode", output=str(target.media / "never.mp4"))
        for look in (idle.client.job, idle.client.logs, idle.client.attempts, idle.client.events):
            look(job.id)
        idle.client.cancel(job.id)
        assert not is_read(pipe)

    assert web.asked == []


def test_pipe_shows_who_reads_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not is_read(pipe)

    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert is_read(pipe)
    finally:
        os.close(reader)
