"""Exit codes and one-line errors, against a tiny real HTTP server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli.main import run

Answer = tuple[int, dict[str, Any]]


class StandInMaster(ThreadingHTTPServer):
    """Answers every request with what it was told, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StandInMaster

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        missing: Answer = (404, {"error": {"code": "not_found", "message": "no such thing"}})
        status, document = self.server.answers.get(self.path.partition("?")[0], missing)
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInMaster]:
    with StandInMaster() as server:
        monkeypatch.setenv("MASTER_URL", server.url)
        monkeypatch.delenv("FFMPEG_RTMP_API_KEY", raising=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 5), (403, 5), (404, 4), (409, 1), (413, 1), (422, 2), (500, 1), (503, 3)],
)
def test_each_answer_of_the_master_has_its_exit_code_and_one_line(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    refusal = {"error": {"code": "x", "message": "not\nlike \x1b[31mthat", "field": "queue"}}
    master.answers["/jobs/7"] = (status, refusal)

    assert run(["jobs", "status", "7"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "queue: not like that" in err
    assert "\x1b" not in err


def test_an_absent_master_is_exit_3_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--master", "http://127.0.0.1:9", "nodes", "list"]) == 3

    err = capsys.readouterr().err
    assert "http://127.0.0.1:9" in err
    assert "--master" in err


def test_something_else_that_listens_there_is_exit_3(master: StandInMaster) -> None:
    master.answers["/nodes"] = (200, {"hello": "world"})

    assert run(["nodes", "list"]) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["jobs", "submit"],
        ["jobs", "list", "--queue", "slow"],
        ["jobs", "list", "--since", "yesterday"],
        ["jobs", "logs", "1", "-f", "--attempt", "1"],
        ["jobs", "reprioritize", "1"],
        ["jobs", "list", "--master", "localhost:8080"],
        ["jobs", "list", "--master", ""],
        ["jobs", "list", "--master", "http://host:port"],
        ["jobs", "list", "--master", "http://[::1"],
        ["jobs", "list", "--master", "http://a b"],
        ["jobs", "list", "--api-key", "ключ"],
        ["jobs", "list", "--api-key", "two\nlines"],
        ["jobs", "list", "--since", "999999999999h"],
        ["jobs", "status", "\udcff"],
        ["jobs", "submit", "--scenario", "720p", "--idempotency-key", ""],
        ["jobs", "submit", "--scenario", "720p", "--idempotency-key", "ü"],
        ["master", "--api-key", ""],
        ["master", "--preempt", "live"],
        ["master", "--max-wait", "0s"],
        ["master", "--tls"],
        ["master", "--tls", "--cert", "c.pem"],
        ["master", "--mtls", "--ca", "ca.pem"],
        ["master", "--tls", "--cert", "c.pem", "--key", "k.pem", "--mtls"],
        ["master", "--cert", "c.pem", "--key", "k.pem"],
        ["agent", "--queues", ""],
        ["config", "show", "--config", "/nowhere.yaml"],
        ["master", "--node-timeout", "soon"],
        ["agent", "--queues", "live,slow"],
    ],
)
def test_a_wrong_command_line_is_exit_2_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("ffrtmp: ")


@pytest.mark.parametrize("reference", ["", ".", "..", "1/logs", "../nodes", "1?x=1", "#", "ü"])
def test_a_strange_reference_reaches_no_other_route(master: StandInMaster, reference: str) -> None:
    assert run(["jobs", "status", reference]) == 4
    [(_, path, _, _)] = master.asked
    assert path.startswith("/jobs/")
    assert path.count("/") == 2
    assert "?" not in path


def test_the_key_of_the_flag_goes_before_that_of_the_environment(
    master: StandInMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_RTMP_API_KEY", "from-environment")
    run(["jobs", "status", "1"])
    run(["--api-key", "outer", "jobs", "status", "1"])
    run(["--api-key", "outer", "jobs", "status", "1", "--api-key", "inner"])

    sent = [headers["Authorization"] for _, _, headers, _ in master.asked]
    assert sent == ["Bearer from-environment", "Bearer outer", "Bearer inner"]
