"""``python -m ffrtmp.master`` as a process: its parts, Flower's door, and what it refuses."""

import base64
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ffrtmp.broker.embedded import kept_url
from ffrtmp.config import MasterSettings, child_environment, python_module
from tests.waiting import free_port, wait_until

KEY = "a-key"


def settings(folder: Path, **options: Any) -> MasterSettings:
    given = {"port": 0, "metrics_port": 0, "data_dir": folder, "api_key": KEY} | options
    return MasterSettings(**given)


@contextmanager
def master(settled: MasterSettings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL; it must end cleanly on SIGTERM."""
    with subprocess.Popen(
        python_module("ffrtmp.master"),
        env=child_environment(settled),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith("master ready at http://"), line
            yield process, line.split()[-1]
            process.terminate()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def refusal(settled: MasterSettings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python_module("ffrtmp.master"),
        env=child_environment(settled),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def status(url: str, *, login: str | None = None) -> int:
    request = urllib.request.Request(url)  # noqa: S310
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_a_master_serves_restarts_a_killed_part_lets_only_its_user_into_flower_and_stops_whole(
    tmp_path: Path,
) -> None:
    port = free_port()
    settled = settings(tmp_path, flower_port=port, flower_password="a,b:c d")
    flower = f"http://127.0.0.1:{port}"
    with master(settled) as (process, url):
        children = psutil.Process(process.pid).children()
        lines = [" ".join(child.cmdline()) for child in children]
        assert status(f"{url}/health") == 200
        assert not any(KEY in line or "a,b:c d" in line for line in lines)

        wait_until(lambda: status(flower) != 0)
        assert status(flower) == 401
        assert status(flower, login="ffrtmp:wrong") == 401
        assert status(flower, login="ffrtmp:a,b:c d") == 200
        wait_until(lambda: _flower_knows_control(flower))

        broker = next(child for child in children if "valkey" in child.name())
        broker.kill()
        wait_until(lambda: _answers(kept_url(tmp_path)))
        assert status(f"{url}/health") == 200

    wait_until(lambda: not any(child.is_running() for child in children))


def test_a_master_without_a_key_refuses_to_listen_beyond_loopback(tmp_path: Path) -> None:
    refused = refusal(settings(tmp_path, host="0.0.0.0", api_key=None))  # noqa: S104

    assert refused.returncode == 2
    assert "--insecure" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = refusal(settings(tmp_path, port=port))

    assert refused.returncode == 1
    assert refused.stderr == (
        f"ffrtmp master: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another with --port, 0 takes a free one\n"
    )


def test_a_database_that_is_away_is_said_without_a_traceback(tmp_path: Path) -> None:
    refused = refusal(settings(tmp_path, db="postgresql://nobody:secret@127.0.0.1:9/farm"))

    assert refused.returncode == 1
    assert "the database does not answer" in refused.stderr
    assert "check --db" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "secret" not in refused.stderr


def test_a_folder_as_database_is_said_without_a_traceback(tmp_path: Path) -> None:
    refused = refusal(settings(tmp_path, db=str(tmp_path)))

    assert refused.returncode == 2
    assert refused.stderr == (
        f"ffrtmp master: db_path {tmp_path}: is a folder; name another file with --db\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_part_on_its_own_needs_a_broker(tmp_path: Path) -> None:
    refused = refusal(settings(tmp_path, only="control"))

    assert refused.returncode == 2
    assert "--only control needs --broker" in refused.stderr


def _flower_knows_control(flower: str) -> bool:
    request = urllib.request.Request(f"{flower}/api/workers?refresh=1")  # noqa: S310
    token = base64.b64encode(b"ffrtmp:a,b:c d").decode()
    request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return any(name.startswith("control-") for name in json.load(answer))
    except OSError:
        return False


def _answers(url: str | None) -> bool:
    from ffrtmp.broker.embedded import answers

    return url is not None and answers(url)
