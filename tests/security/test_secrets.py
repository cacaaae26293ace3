"""Keys and passwords of a whole farm at work are where they must be, and nowhere else."""

import contextlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from ffrtmp.broker.embedded import kept_url
from tests.acceptance.farm import RunningFarm
from tests.otlp import Receiver, receiving
from tests.waiting import wait_until

MASTER_KEY = "the-known-key-of-the-whole-farm-5d1f"
WRONG_KEY = "a-wrong-key-that-somebody-tried-93ac"
URL_PASSWORD = "a-password-in-a-refused-url-71be"
ROLES = {
    "up": "ffrtmp up",
    "master": "-m ffrtmp.master",
    "flower": "-m ffrtmp.flower",
    "child": "-m workers.celery_child",
    "agent": "-m workers",
    "valkey": "valkey-server",
    "ffmpeg": "ffmpeg-",
}
WITH_KEYS = {
    *("farm.json", "api_key", "broker/valkey.conf", "agents/1/node.json"),
}
"""Files of a farm's folder that may hold a secret."""


@dataclass(slots=True)
class Watched:
    """A farm that has worked and refused, and what was seen of it meanwhile."""

    farm: RunningFarm
    secrets: Mapping[str, str]
    spans: Receiver
    answers: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    environments: dict[str, str] = field(default_factory=dict)

    def named_in(self, text: str) -> list[str]:
        """The names of the secrets that a text holds."""
        return [name for name, secret in self.secrets.items() if secret in text]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder: Path = tmp_path_factory.mktemp("secrets")
    with receiving() as spans:
        endpoint = f"127.0.0.1:{spans.server_port}"
        tracing = ("--tracing", "--tracing-endpoint", endpoint)
        known = {"MASTER_API_KEY": MASTER_KEY}
        with RunningFarm(folder, "--slots", "2", *tracing, environment=known) as farm:
            seen = Watched(farm=farm, secrets=secrets_of(farm), spans=spans)
            work(seen)
            yield seen


def secrets_of(farm: RunningFarm) -> Mapping[str, str]:
    made = farm.cli("keys", "create", "tenant", "--role", "submit", json=True)
    node = json.loads((farm.data_dir / "agents" / "1" / "node.json").read_text())
    return {
        "master key": MASTER_KEY,
        "wrong key": WRONG_KEY,
        "password in a URL": URL_PASSWORD,
        "submit key": made["key"],
        "broker password": password(kept_url(farm.data_dir, user="master")),
        "broker password of nodes": password(kept_url(farm.data_dir, user="node")),
        "the broker's own password": password(kept_url(farm.data_dir)),
        "Flower password": farm.facts["flower_password"],
        "node token": node["node_token"],
    }


def password(url: str | None) -> str:
    """That of a URL, which has one."""
    found = urlsplit(url or "").password
    assert found
    return found


def work(seen: Watched) -> None:
    """Jobs that end well and badly, and whoever must not get in."""
    farm = seen.farm
    farm.submit(scenario="test-360p", duration="0.2s", wait=True)
    busy = farm.submit(scenario="test-360p", duration="600s")
    farm.wait_for(busy["id"], "running")
    wait_until(farm.ffmpegs, what="an ffmpeg")
    look(seen)
    with httpx.Client(base_url=farm.api_url) as http:
        for key in (WRONG_KEY, f"{MASTER_KEY}x", seen.secrets["node token"]):
            refused = http.get("/keys", headers={"Authorization": f"Bearer {key}"})
            assert refused.status_code in (401, 403, 429)
            seen.answers.append(refused.text)
        http.headers["Authorization"] = f"Bearer {MASTER_KEY}"
        url = f"http://user:{URL_PASSWORD}@host/film.mp4"
        body = {"scenario": "720p", "parameters": {"input": url}}
        for answer in (
            http.post("/jobs", json=body),
            http.get(f"/jobs?api_key={MASTER_KEY}"),
            *map(http.get, ("/jobs", "/nodes", "/keys", "/queues", f"/jobs/{busy['id']}/events")),
        ):
            seen.answers.append(answer.text)
        httpx.get(f"{farm.facts['flower_url']}/workers", auth=("ffrtmp", WRONG_KEY))
        look(seen)
        http.post(f"/jobs/{busy['id']}/cancel")
    farm.wait_for(busy["id"], "canceled")


def look(seen: Watched) -> None:
    """Arguments and environment of every process that is there now."""
    for process in seen.farm.family.running():
        with contextlib.suppress(psutil.Error, OSError):
            arguments = process.cmdline()
            environment = Path(f"/proc/{process.pid}/environ").read_text()
            name = f"{process.pid} {role_of(arguments, environment)}"
            seen.arguments[name], seen.environments[name] = " ".join(arguments), environment


def role_of(arguments: list[str], environment: str) -> str:
    """What a process is for."""
    for role, sign in ROLES.items():
        if sign in " ".join(arguments[:4]):
            only = re.search(r'"only":"(\w+)"', environment)
            return only[1] if role == "master" and only else role
    return Path(arguments[0]).name


def named(seen: Watched, texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Which secrets the texts hold, by the names of those that hold any."""
    return {name: found for name, text in texts.items() if (found := seen.named_in(text))}


def test_no_argument_list_holds_a_secret(watched: Watched) -> None:
    assert len(watched.arguments) > 6
    assert named(watched, watched.arguments) == {}


def test_environment_of_a_process_holds_what_it_needs(watched: Watched) -> None:
    found = named(watched, watched.environments)
    holders = {
        secret: {name.split()[1] for name, held in found.items() if secret in held}
        for secret in watched.secrets
    }

    assert {"ffmpeg", "valkey"} <= {name.split()[1] for name in watched.environments}
    assert holders["master key"] == {"up", "api", "agent"}
    assert holders["Flower password"] <= {"up", "api", "flower"}
    assert holders["broker password"] <= {"api", "control", "beat"}
    assert holders["broker password of nodes"] <= {"api", "agent", "child"}
    for secret in ("wrong key", "password in a URL", "submit key", "node token"):
        assert holders[secret] == set()


def test_file_with_a_secret_is_a_known_one_that_only_its_owner_reads(watched: Watched) -> None:
    folder = watched.farm.data_dir
    texts = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a folder, or gone by now
            texts[str(path.relative_to(folder))] = path.read_bytes().decode("latin-1")
    holders = set(named(watched, texts))

    assert {"farm.json", "agents/1/node.json", "broker/valkey.conf"} <= holders <= WITH_KEYS
    for name in (*holders, "ffrtmp.db", "ffrtmp.db-wal", "broker/users.acl"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    for closed in (folder, folder / "broker", folder / "agents" / "1"):
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700, closed


def test_answers_and_traces_hold_no_secret(watched: Watched) -> None:
    wait_until(lambda: {"GET /jobs", "GET /keys"} <= watched.spans.spans.keys(), what="traces")
    spans = [str(span) for _, span in watched.spans.received]

    assert len(watched.answers) > 8
    assert named(watched, dict(enumerate_texts(watched.answers))) == {}
    assert named(watched, dict(enumerate_texts(spans))) == {}


def test_commands_show_no_key_that_they_were_given(watched: Watched) -> None:
    farm = watched.farm
    shown = {
        "settings": farm.cli("config", "show"),
        "a wrong key": farm.cli("jobs", "list", "--api-key", WRONG_KEY, check=False),
        "keys": farm.cli("keys", "list"),
    }

    assert shown["a wrong key"].returncode == 5
    assert named(watched, {name: it.stdout + it.stderr for name, it in shown.items()}) == {}


def enumerate_texts(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Each with a name."""
    yield from ((f"{number}: {text[:60]}", text) for number, text in enumerate(texts))
