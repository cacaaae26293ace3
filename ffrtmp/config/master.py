"""The settings of a master."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ffrtmp.config.base import Settings, Tracing
from ffrtmp.config.broker import BrokerSettings
from ffrtmp.config.limits import Limits
from ffrtmp.config.values import Broker, Database, Duration, Key, Network, Port, Whole

MASTER_ENVIRONMENT = {
    "api_key": "MASTER_API_KEY",
    "api_key_file": "MASTER_API_KEY_FILE",
    "db": "MASTER_DB",
    "broker": "MASTER_BROKER",
    "node_broker": "MASTER_NODE_BROKER",
    "flower_broker": "MASTER_FLOWER_BROKER",
    "flower_password": "MASTER_FLOWER_PASSWORD",
}


class MasterTls(Settings):
    """TLS of the API."""

    enabled: bool = False
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    mtls: bool = False
    crl: Path | None = None
    """Lists of revoked certificates, one for each authority in ``ca``."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        # The server would rather speak plainly than miss a certificate.
        if self.enabled and not (self.cert and self.key):
            raise ValueError("HTTPS takes a certificate and its key; give --cert and --key")
        if self.mtls and not self.enabled:
            raise ValueError("--mtls is a part of TLS; give --tls with --cert and --key too")
        if self.mtls and not self.ca:
            raise ValueError("--mtls asks clients for certificates of an authority; give --ca")
        if self.crl and not self.mtls:
            raise ValueError("--crl is about certificates of clients; give --mtls too")
        return self


class MasterSettings(BrokerSettings):
    """The ``master:`` section; without a ``broker`` the embedded one is started."""

    host: str = "127.0.0.1"
    port: Port = 8080
    db: Database | None = Field(default=None, alias="db_path")
    """SQLite file or SQLAlchemy URL; none means ``ffrtmp.db`` in ``data_dir``."""
    data_dir: Path = Path("ffrtmp-data")
    node_broker: Broker | None = None
    """The broker's URL that nodes are given, with a user of their own; none gives ``broker``."""
    flower_broker: Broker | None = None
    """The same for Flower."""
    broker_port: Port = 0
    api_key: Key | None = None
    api_key_file: Path | None = None
    """A file that holds it instead, readable by its owner alone."""
    insecure: bool = False
    """Listen beyond loopback without a key."""
    trusted_proxies: list[Network] = []
    """Whose X-Forwarded-For says where a request comes from; of others it is not read."""
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
    limits: Limits = Limits()
    tls: MasterTls = MasterTls()
    only: Literal["api", "control", "beat"] | None = None

    model_config = ConfigDict(populate_by_name=True)

    @property
    def max_advance_seconds(self) -> float:
        """Farm time a single pass may add: two intervals, at most 10 s."""
        return min(10.0, 2 * self.scheduler_interval)

    @property
    def broker_url_of_nodes(self) -> str | None:
        """What nodes are told at registration; the files of TLS are their own."""
        return self.node_broker or self.broker

    @property
    def broker_url_of_flower(self) -> str | None:
        """The settled URL that Flower looks through."""
        url = self.flower_broker or self.broker
        return None if url is None else self.secured(url)

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the store."""
        if self.db and "://" in self.db:
            return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", self.db)
        path = Path(self.db) if self.db else self.data_dir / "ffrtmp.db"
        return f"sqlite:///{path.absolute()}"
