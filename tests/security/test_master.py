"""Media that only the master could have opened: it never does."""

import errno
import os
from pathlib import Path

from tests.security.attacker import WebServer
from tests.security.target import Target


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
    target: Target, web: WebServer
) -> None:
    pipe = target.media / "pipe.mp4"
    os.mkfifo(pipe)
    film = web.serve("film", target.film.read_bytes())

    client = target.master.client
    with target.idle():
        for location in (str(pipe), film):
            job = target.attack(location, verify="decode", output=str(target.out / "never.mp4"))
            for look in (client.job, client.logs, client.attempts, client.events):
                look(job.id)
            client.cancel(job.id)
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
