"""Inputs that lead to hosts only the node can reach: never connected to, refused for good."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.chaos.disks import may_mount
from tests.security.attacker import Canary, WebServer, has_ipv6
from tests.security.target import Target

LOOPBACKS = ("127.0.0.2", *(("::1",) if has_ipv6() else ()))
ELSEWHERE = (
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/x.mp4",
    "https://192.168.0.1/x.mp4",
    "http://100.64.0.1/x.mp4",
    "http://[fd00::1]/x.mp4",
    "https://[fe80::1]/x.mp4",
    "http://[::ffff:10.0.0.1]/x.mp4",
    "http://[64:ff9b::10.0.0.1]/x.mp4",
    "http://2130706434/x.mp4",
    "http://0x7f.2/x.mp4",
    "http://0.0.0.0/x.mp4",
)


# an agent that has an /etc/hosts of its own
WITH_HOSTS = (
    "import os, sys; os.execvp('unshare', ['unshare', '--mount', 'sh', '-c', "
    '\'mount --bind "$0" /etc/hosts && exec "$@"\', sys.argv[1], '
    "sys.executable, '-m', 'workers'])"
)


@pytest.fixture(params=LOOPBACKS)
def canary(request: pytest.FixtureRequest) -> Iterator[Canary]:
    running = Canary(request.param)
    try:
        yield running
    finally:
        running.close()


def test_redirect_to_a_loopback_is_refused_and_not_followed(
    target: Target, web: WebServer, canary: Canary
) -> None:
    ways = [
        web.redirect(f"to-{scheme}", f"{scheme}://{canary.place}/x.mp4")
        for scheme in ("http", "https")
    ]
    web.redirect("step", web.url("to-http"))

    ended = [target.ended(target.attack(way)) for way in (*ways, web.url("step"))]

    assert canary.visits == 0
    assert [(job.attempt, job.failure_reason) for job in ended] == [
        (1, FailureClass.INPUT_REFUSED)
    ] * 3
    assert ended[0].error is not None
    assert "a loopback address; this node reads from public addresses" in ended[0].error
    assert web.asked.count("step") == 1


def test_loopback_named_outright_is_refused(target: Target, canary: Canary) -> None:
    ended = [
        target.ended(target.attack(f"{scheme}://{canary.place}/x.mp4"))
        for scheme in ("http", "https")
    ]

    assert canary.visits == 0
    assert [job.failure_reason for job in ended] == [FailureClass.INPUT_REFUSED] * 2


def test_places_beyond_the_public_net_are_refused_named_or_redirected_to(
    target: Target, web: WebServer
) -> None:
    redirected = [web.redirect(str(number), place) for number, place in enumerate(ELSEWHERE)]
    jobs = [target.attack(location) for location in (*ELSEWHERE, *redirected)]

    ended = [target.ended(job) for job in jobs]

    assert {(job.status, job.attempt, job.failure_reason) for job in ended} == {
        (JobStatus.FAILED, 1, FailureClass.INPUT_REFUSED)
    }


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://h/x"])
def test_redirect_to_another_protocol_is_refused(
    target: Target, web: WebServer, scheme: str
) -> None:
    failed = target.ended(target.attack(web.redirect("out", scheme)))

    assert (failed.attempt, failed.failure_reason) == (1, FailureClass.INPUT_REFUSED)


def test_film_whose_rest_is_sent_elsewhere_is_refused(target: Target, web: WebServer) -> None:
    canary = Canary("127.0.0.2")
    web.serve("film", target.film.read_bytes())

    failed = target.ended(target.attack(web.redirect("film", f"http://{canary.place}/x.mp4")))
    canary.close()

    assert canary.visits == 0
    assert (failed.attempt, failed.failure_reason) == (1, FailureClass.INPUT_REFUSED)
    assert web.asked.count("film") > 1


@pytest.mark.skipif(not may_mount(), reason="giving the node its own /etc/hosts takes mount rights")
def test_name_that_leads_inside_when_it_is_looked_up_again_is_refused(
    target: Target, web: WebServer, tmp_path: Path
) -> None:
    canary = Canary("127.0.0.2", web.server_port)
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 film.example\n")
    web.serve("film", target.film.read_bytes())
    web.after["film"] = lambda: hosts.write_text("127.0.0.2 film.example\n")
    with target.other_node(tmp_path, command=("-c", WITH_HOSTS, str(hosts))):
        failed = target.ended(target.attack(web.url("film", host="film.example")))
    canary.close()

    assert (canary.visits, web.asked) == (0, ["film"])
    assert (failed.attempt, failed.failure_reason) == (1, FailureClass.INPUT_REFUSED)
    assert "film.example is refused: 127.0.0.2 is a loopback address" in (failed.error or "")
