"""The settings of an agent, and of whoever speaks to a master."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ffrtmp.config.base import Settings, Tracing
from ffrtmp.config.broker import BrokerSettings
from ffrtmp.config.values import Duration, Key, Name, Network, Port, Sandbox, Url, Whole
from ffrtmp.domain.ranking import Queue

WORKER_ENVIRONMENT = {
    "api_key": "FFMPEG_RTMP_API_KEY",
    "api_key_file": "FFMPEG_RTMP_API_KEY_FILE",
    "master_url": "MASTER_URL",
    "tls.ca": "MASTER_CA",
    "tls.insecure_skip_tls_verification": "FFRTMP_INSECURE_SKIP_TLS_VERIFICATION",
    "broker": "WORKER_BROKER",
}
INSECURE = (
    "WARNING: the master's certificate is not verified (insecure_skip_tls_verification): whoever "
    "is on the way to it can answer in its place, read the API key and use it"
)


class ClientTls(Settings):
    """TLS towards the master."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    insecure_skip_tls_verification: bool = False
    """Accept whatever certificate the master shows."""


class WorkerSettings(BrokerSettings):
    """The ``worker:`` section; without a ``broker`` it is the one the master names."""

    master_url: Url = "http://localhost:8080"
    api_key: Key | None = None
    api_key_file: Path | None = None
    """A file that holds it instead, readable by its owner alone."""
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
    s3_endpoint: Url | None = None
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
    sandbox: Sandbox = Sandbox.AUTO
    """The box around ffmpeg and whatever else reads media."""
    media_user: Name | None = None
    """As whom they run where the agent is root: an account's name or number; none is nobody."""
    metrics_port: Port | None = 9465
    ffmpeg: Path | None = None
    tracing: Tracing = Tracing()
    tls: ClientTls = ClientTls()
