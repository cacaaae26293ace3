"""Settings: flags over environment over YAML file over defaults; an unknown key is an error.

A process that starts another hands the settled settings on in one environment variable, so no
key ever stands in an argument list.
"""

import os
import re
import sys
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ffrtmp.domain.ranking import Queue

SETTINGS_VARIABLE = "FFRTMP_SETTINGS"
MASTER_ENVIRONMENT = {"api_key": "MASTER_API_KEY", "db": "MASTER_DB", "broker": "MASTER_BROKER"}
WORKER_ENVIRONMENT = {"api_key": "FFMPEG_RTMP_API_KEY", "master_url": "MASTER_URL"}

DATABASE_URL = r"(sqlite|postgres|postgresql(\+psycopg)?)://"

S = TypeVar("S", bound="Settings")


class ConfigError(Exception):
    """A setting is unknown, has a wrong type, or its file cannot be read; the text says which."""


def _no_switch(value: object) -> object:
    # YAML reads yes and on as true, which Python would count as 1.
    if isinstance(value, bool):
        raise ValueError("is a number, not true or false")
    return value


def _key(value: str) -> str:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
        raise ValueError("is not printable ASCII, or is empty, or has a blank at an end")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not re.fullmatch(r"[!-~]+", value):
        raise ValueError(f"{value!r} is no URL; give one such as http://host:8080")
    return value


def _broker(value: str) -> str:
    if not re.match(r"rediss?://[^/]", value):
        raise ValueError("is no Redis URL; give one such as redis://:password@host:6379/0")
    return value


def _database(value: str) -> str:
    if not value or ("://" in value and not re.match(DATABASE_URL, value)):
        raise ValueError("is neither a file nor a URL such as postgresql://user:password@host/name")
    return value


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value.strip())
    except ValueError as error:
        raise ValueError(f"{error}; give a network such as 10.0.0.0/8 or fd00::/8") from None


def parse_duration(value: object) -> object:
    """Seconds from ``5s``, ``2m``, ``1h``, ``500ms`` or a number."""
    if not isinstance(value, str):
        return _no_switch(value)
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?", value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 5s, 2m or 1h")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2] or "s"]


YEAR_SECONDS = 365 * 86_400.0

Duration = Annotated[
    float, BeforeValidator(parse_duration), Field(gt=0, le=10 * YEAR_SECONDS, allow_inf_nan=False)
]
Whole = Annotated[int, BeforeValidator(_no_switch)]
Port = Annotated[Whole, Field(ge=0, le=65535)]
Key = Annotated[str, AfterValidator(_key)]
Broker = Annotated[str, AfterValidator(_broker)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Name = Annotated[str, Field(min_length=1, max_length=255)]


class Settings(BaseModel):
    """A section of the settings; frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_environment(self) -> dict[str, str]:
        """What a child process needs to have the same settings."""
        return {SETTINGS_VARIABLE: self.model_dump_json()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The settings the parent process handed on, or the defaults."""
        return cls.model_validate_json(environment.get(SETTINGS_VARIABLE, "{}"))


class Tracing(Settings):
    """OpenTelemetry over OTLP/HTTP."""

    enabled: bool = False
    endpoint: str = "localhost:4318"


class MasterTls(Settings):
    """TLS of the API."""

    enabled: bool = False
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    mtls: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        # The server would rather speak plainly than miss a certificate.
        if self.enabled and not (self.cert and self.key):
            raise ValueError("serving HTTPS takes both cert and key")
        if self.mtls and not (self.enabled and self.ca):
            raise ValueError("asking clients for certificates (mtls) takes TLS and a ca")
        return self


class ClientTls(Settings):
    """TLS towards the master."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None


class MasterSettings(Settings):
    """The ``master:`` section."""

    host: str = "127.0.0.1"
    port: Port = 8080
    db: Annotated[str, AfterValidator(_database)] | None = Field(default=None, alias="db_path")
    """SQLite file or SQLAlchemy URL; none means ``ffrtmp.db`` in ``data_dir``."""
    data_dir: Path = Path("ffrtmp-data")
    broker: Broker | None = None
    """Redis URL; none starts the embedded broker."""
    broker_port: Port = 0
    api_key: Key | None = None
    insecure: bool = False
    """Listen beyond loopback without a key."""
    max_retries: Annotated[Whole, Field(ge=0, le=100)] = 3
    retry_base: Duration = 5.0
    retry_cap: Duration = 300.0
    node_timeout: Duration = 120.0
    scheduler_interval: Duration = 5.0
    stall_timeout: Duration = 300.0
    """Without progress for this long an attempt has stalled."""
    live_stall_timeout: Duration = 30.0
    set_aside_after: Annotated[Whole, Field(ge=0, le=100)] = 3
    """Different jobs in a row that fail for a node's own sake and set it aside; 0 for never."""
    canary_after: Duration = 60.0
    """How long a node or GPU that was set aside waits for a job to prove itself with; twice as
    long after each that fails."""
    max_wait: Duration | None = None
    """Waiting raises a job rank by rank, so that the lowest is first after this long; none keeps
    strict order."""
    preempt: Literal["none", "batch"] = "none"
    """Whose slots a live job takes when all are busy."""
    hint_window: Annotated[Whole, Field(ge=1)] = 10_000
    retention: Duration = 30 * 86_400.0
    """How long finished jobs, their logs and events are kept."""
    health_port: Port | None = None
    """A second, plain, loopback port that answers /health only."""
    metrics_port: Port | None = 9464
    flower_port: Port | None = None
    flower_password: str | None = None
    tracing: Tracing = Tracing()
    tls: MasterTls = MasterTls()
    only: Literal["api", "control", "beat"] | None = None

    model_config = ConfigDict(populate_by_name=True)

    @property
    def max_advance_seconds(self) -> float:
        """Farm time a single pass may add: two intervals, at most 10 s."""
        return min(10.0, 2 * self.scheduler_interval)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the store."""
        if self.db and "://" in self.db:
            return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", self.db)
        path = Path(self.db) if self.db else self.data_dir / "ffrtmp.db"
        return f"sqlite:///{path.absolute()}"


class WorkerSettings(Settings):
    """The ``worker:`` section."""

    master_url: Annotated[str, AfterValidator(_url)] = "http://localhost:8080"
    api_key: Key | None = None
    broker: Broker | None = None
    """Redis URL; none takes the one the master names at registration."""
    address: Name | None = None
    """What the node is known by; none is the host name."""
    name: Name | None = None
    slots: Annotated[Whole, Field(ge=1, le=256)] | None = None
    """Attempts at once on the CPU; none follows the number of cores."""
    reserve_live: Annotated[Whole, Field(ge=0, le=256)] = 0
    """Slots of the CPU, and as many of all GPUs, that run nothing but the live queue."""
    gpu_slots: Annotated[Whole, Field(ge=0, le=64)] = 2
    """Attempts at once on each GPU; 0 leaves GPUs alone."""
    queues: Annotated[list[Queue], Field(min_length=1, max_length=len(Queue))] = list(Queue)
    state_dir: Path | None = None
    """Identity and spool; none is a folder of the user's state home."""
    work_dir: Path | None = None
    """Where outputs without a path of their own go; none is ``output`` in the state folder."""
    media_roots: list[Path] = []
    """Local inputs must lie under one of these; none given allows no local input."""
    output_roots: list[Path] = []
    """Local outputs must lie under one of these or under ``work_dir``."""
    allow_networks: list[Network] = []
    """Where remote inputs may lie besides public addresses."""
    s3_endpoint: Annotated[str, AfterValidator(_url)] | None = None
    """Service that s3 inputs and outputs are on; none is AWS. Credentials are no setting: they
    are found in the agent's environment and AWS files."""
    s3_region: Name | None = None
    """Its region; none is what the AWS files say."""
    heartbeat_interval: Duration = 30.0
    busy_heartbeat_interval: Duration = 5.0
    poll_interval: Duration = 10.0
    """Wait between claims while the broker is away."""
    consumer_timeout: Duration = 15.0
    """Hints that wait this long while the Celery child could take them mean that it is stuck."""
    drain_timeout: Duration = 10.0
    """How long SIGTERM lets running attempts finish."""
    kill_timeout: Duration = 30.0
    """How long an attempt may outlive the order to end before its slot is written off."""
    reconnect_timeout: Duration = 60.0
    """How long a stream that broke off is taken up by its attempt before that fails."""
    attempt_timeout: Duration | None = None
    """The longest run of any attempt here, as the next three whatever its job asks for."""
    max_cpu_percent: Annotated[Whole, Field(ge=1, le=100_000)] | None = None
    """Of one core."""
    max_memory_mb: Annotated[Whole, Field(ge=64, le=1 << 24)] | None = None
    max_disk_mb: Annotated[Whole, Field(ge=1, le=1 << 30)] | None = None
    metrics_port: Port | None = 9465
    ffmpeg: Path | None = None
    tracing: Tracing = Tracing()
    tls: ClientTls = ClientTls()


def load(
    kind: type[S],
    *,
    section: str,
    file: Path | None,
    environment: Mapping[str, str],
    variables: Mapping[str, str],
    flags: Mapping[str, Any],
) -> S:
    """Settle one section. ``variables`` maps setting to environment variable; a flag or setting
    named ``tls.cert`` stands for a nested key; a flag of None was not given."""
    settled: dict[str, Any] = _section_of(file, section, kind) if file else {}
    given = {name: environment[v] for name, v in variables.items() if environment.get(v)}
    given |= {name: value for name, value in flags.items() if value is not None}
    for name, value in given.items():
        _put(settled, name, value)
    try:
        return kind.model_validate(settled)
    except ValidationError as error:
        raise ConfigError(_explain(error, file, section, given)) from error


def _put(settled: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for part in path:
        settled = settled.setdefault(part, {})
    settled[last] = value


class _OnceLoader(yaml.SafeLoader):
    """Safe YAML in which a key stands once: the later of two would win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                problem=f"{twice[0]!r} is given twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


def _section_of(file: Path, section: str, kind: type[Settings]) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), _OnceLoader) or {}  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: is not a mapping with master: and worker: sections")
    unknown = sorted(str(key) for key in document if key not in ("master", "worker"))
    if unknown:
        raise ConfigError(f"{file}: unknown key {unknown[0]!r}; there are master: and worker:")
    found = document.get(section) or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: {section}: is not a mapping")
    return _by_field_name(found, kind)


def _by_field_name(found: dict[str, Any], kind: type[Settings]) -> dict[str, Any]:
    aliases = {field.alias: name for name, field in kind.model_fields.items() if field.alias}
    return {aliases.get(key, str(key)): value for key, value in found.items()}


def _explain(
    error: ValidationError, file: Path | None, section: str, given: Mapping[str, Any]
) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    where = f"{section}.{path}"
    place = f"{file}: " if file and path not in given else ""
    if first["type"] == "extra_forbidden":
        return f"{place}unknown key {where!r}"
    return f"{place}{where}: {first['msg'].removeprefix('Value error, ')}"


def python_module(module: str) -> list[str]:
    """The argument list that runs a module of this installation."""
    return [sys.executable, "-m", module]


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with the settings in place of the keys they came from."""
    dropped = {"MASTER_API_KEY", "FFMPEG_RTMP_API_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | settings.to_environment()
