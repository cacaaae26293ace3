"""What a browser that was sent here could be made to do with the API: nothing."""

import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.agents import KEY, Master
from tests.security.visitors import own_address, visitors

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ELSEWHERE = "evil.example"


def ask(master: Master, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """The path exactly as it is given, which clients would tidy up, from an address of its own:
    who sends many wrong credentials has to wait."""
    connection = http.client.HTTPConnection(
        urlsplit(master.url).netloc, timeout=30, source_address=(own_address(), 0)
    )
    connection.request(method, path, headers={"Authorization": f"Bearer {KEY}"} | headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/openapi.json"),
        ("GET", "/jobs"),
        ("GET", "/jobs/7"),
        ("GET", "/jobs?x=1"),
        ("GET", "/nowhere"),
        ("PUT", "/jobs"),
        ("POST", "/jobs"),
    ],
)
def test_every_answer_lets_a_browser_show_keep_embed_and_guess_nothing(
    lone_master: Master, method: str, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = ask(lone_master, method, path, **headers)

        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["Content-Type"] == "application/json"


def test_pages_of_other_origins_get_no_leave(lone_master: Master) -> None:
    origin = {"Origin": f"https://{ELSEWHERE}"}
    preflight = {"Access-Control-Request-Method": "POST"}
    for answer in (
        ask(lone_master, "GET", "/jobs", **origin),
        ask(lone_master, "OPTIONS", "/jobs", **origin, **preflight),
    ):
        assert [name for name in answer.headers if name.lower().startswith("access-control")] == []


def test_form_of_another_page_submits_nothing(lone_master: Master) -> None:
    """A page can send these kinds of body without asking first."""
    with visitors(lone_master.url) as come:
        visitor = come()
        before = visitor.ask("/jobs", KEY).json()["count"]
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            said = visitor.http.post(
                "/jobs",
                content=b'{"scenario": "720p"}',
                headers={"Content-Type": kind, "Authorization": f"Bearer {KEY}"},
            )

            assert said.status_code == 422
        assert visitor.ask("/jobs", KEY).json()["count"] == before


@pytest.mark.parametrize(
    "path",
    [
        *("/jobs/", "/health/", "//evil.example/", "//evil.example/%2e%2e", "/\\evil.example"),
        *("/jobs/1/", "/http://evil.example/", "/%2F%2Fevil.example", "/jobs//cancel"),
    ],
)
def test_no_request_is_sent_on_elsewhere(lone_master: Master, path: str) -> None:
    answer = ask(lone_master, "GET", path, Host=ELSEWHERE, **{"X-Forwarded-Host": ELSEWHERE})

    assert answer.status == 404
    assert answer.headers["Location"] is None


@pytest.mark.parametrize(
    "path",
    [
        *("/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/jobs/..%2f..%2fetc%2fpasswd"),
        *("/jobs/../health", "/jobs/%2e%2e/health", "/static/../../etc/passwd", "/.%00./x"),
        *("/nodes/..", "/nodes/..%2fjobs", "/docs", "/redoc", "/docs/oauth2-redirect"),
    ],
)
def test_path_leads_to_a_route_or_nowhere(lone_master: Master, path: str) -> None:
    assert ask(lone_master, "GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/jobs", "GET, POST"),
        ("TRACE", "/jobs", "GET, POST"),
        ("HEAD", "/health", "GET"),
        ("PATCHY", "/jobs/1", "GET, PATCH"),
        ("PUT", "/nodes/east", "DELETE, GET"),
        ("CONNECT", "/queues", "GET"),
    ],
)
def test_other_methods_are_refused_and_told_which_there_are(
    lone_master: Master, method: str, path: str, allowed: str
) -> None:
    answer = ask(lone_master, method, path)

    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("asked", [b"G\x1bT / HTTP/1.1", b"junk", b"GET / HTTP/1.1\r\nA\x1b: b"])
def test_request_that_is_none_is_refused_without_repeating_it(
    lone_master: Master, asked: bytes
) -> None:
    url = urlsplit(lone_master.url)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(asked + b"\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
    assert asked not in answer


def test_log_of_the_master_has_nothing_that_drives_a_terminal(lone_master: Master) -> None:
    ask(lone_master, "GET", "/jobs/%1b%5b31m%0a%0dforged%20line")
    text = Path(lone_master.output).read_bytes()

    assert b"\x1b" not in text
    assert b"\nforged" not in text
