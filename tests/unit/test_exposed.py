"""Which ways to broker and database are said to be open to others."""

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from ffrtmp.config import MASTER_ENVIRONMENT, ConfigError, MasterSettings, WorkerSettings, load
from ffrtmp.config.broker import is_usable
from ffrtmp.config.exposed import exposed

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"broker": f"redis://:{PASSWORD}@broker.example:6379/0"}, ["broker at broker.example"]),
        ({"broker": f"redis://:{PASSWORD}@10.0.0.7:6379/0"}, ["broker at 10.0.0.7"]),
        ({"broker": f"rediss://:{PASSWORD}@broker.example:6379/0"}, []),
        ({"broker": "redis://127.0.0.1:6379/0"}, []),
        ({"broker": "redis://[::1]:6379/0"}, []),
        ({}, []),
        ({"db": "/var/lib/farm.db"}, []),
        ({"db": f"postgresql://me:{PASSWORD}@db.example/farm"}, ["database at db.example"]),
        ({"db": f"postgres://me:{PASSWORD}@db.example/farm?sslmode=require"}, ["db.example"]),
        ({"db": f"postgresql://me:{PASSWORD}@db.example/farm?sslmode=verify-full"}, []),
        ({"db": "postgresql:///farm?host=/run/postgresql"}, []),
        ({"db": "postgresql://localhost/farm"}, []),
    ],
    ids=str,
)
def test_what_others_could_read_is_said_without_its_password(
    settings: dict[str, str], words: list[str]
) -> None:
    said = list(exposed(MasterSettings.model_validate(settings)))

    assert len(said) == len(words)
    assert all(word in line for word, line in zip(words, said, strict=True))
    assert PASSWORD not in "".join(said)


@pytest.mark.parametrize(
    "url",
    [
        f"rediss://:{PASSWORD}@host:6379/0?ssl_cert_reqs=none",
        f"rediss://:{PASSWORD}@host/0#x",
        f"redis://:{PASSWORD}@host/0/../1",
        f"redis://:{PASSWORD}@host:x/0",
        f"http://:{PASSWORD}@host/0",
        f"redis://:{PASSWORD}@/0",
        f"redis://:{PASSWORD} @host/0",
    ],
)
def test_url_that_could_switch_checks_off_is_none_and_is_not_repeated(url: str) -> None:
    assert not is_usable(url)
    with pytest.raises(ConfigError) as refused:
        settled({"MASTER_BROKER": url})

    assert "master.broker" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_database_url_that_is_none_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as refused:
        settled({"MASTER_DB": f"postgresql://me:{PASSWORD}@host:x/farm"})

    assert "master.db" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_files_of_tls_are_readable_and_for_tls(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with pytest.raises(ValidationError, match="cannot be read"):
        WorkerSettings(broker_ca=file)
    file.touch()
    WorkerSettings(broker_ca=file)
    with pytest.raises(ValidationError, match="are for a broker at rediss://"):
        WorkerSettings(broker_ca=file, broker="redis://host/0")
    with pytest.raises(ValidationError, match="together or not at all"):
        WorkerSettings(broker_cert=file)


def test_secrets_come_from_files_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "broker"
    file.write_text("redis://:x@127.0.0.1:1/0\n")
    file.chmod(stat.S_IRUSR)
    assert settled({"MASTER_BROKER_FILE": str(file)}).broker == "redis://:x@127.0.0.1:1/0"

    file.chmod(stat.S_IRUSR | stat.S_IROTH)
    with pytest.raises(ConfigError, match=r"MASTER_BROKER_FILE: .*chmod 600"):
        settled({"MASTER_BROKER_FILE": str(file)})
    with pytest.raises(ConfigError, match="both MASTER_BROKER and MASTER_BROKER_FILE"):
        settled({"MASTER_BROKER": "redis://h/0", "MASTER_BROKER_FILE": str(file)})


def settled(environment: dict[str, str]) -> MasterSettings:
    return load(
        MasterSettings,
        section="master",
        file=None,
        environment=environment,
        variables=MASTER_ENVIRONMENT,
        flags={},
    )
