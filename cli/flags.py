"""Flags of the long-running parts, and the settings they come to."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.options import GlobalOptions
from ffrtmp.config import (
    MASTER_ENVIRONMENT,
    WORKER_ENVIRONMENT,
    MasterSettings,
    WorkerSettings,
    load,
)


def _tuning(*names: str, say: str) -> Any:
    return typer.Option(*names, help=say, show_default=False, rich_help_panel="Tuning")


BrokerCa = Annotated[
    Path | None, typer.Option(help="who may sign the broker's certificate [the system's]")
]
BrokerCert = Annotated[
    Path | None, typer.Option(help="certificate to show to a broker that asks for one")
]
BrokerKey = Annotated[Path | None, typer.Option(help="its key")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterTuning:
    """How the master behaves; None leaves it to environment, file and defaults."""

    max_retries: Annotated[
        int | None, _tuning("--max-retries", say="failures that are tried again [3]")
    ] = None
    node_timeout: Annotated[
        str | None, _tuning("--node-timeout", say="silence after which a node is offline [120s]")
    ] = None
    scheduler_interval: Annotated[
        str | None, _tuning("--scheduler-interval", say="wait between reconcile passes [5s]")
    ] = None
    retry_base: Annotated[
        str | None, _tuning("--retry-base", say="wait before the first retry [5s]")
    ] = None
    retry_cap: Annotated[
        str | None, _tuning("--retry-cap", say="longest wait before a retry [300s]")
    ] = None
    stall_timeout: Annotated[
        str | None, _tuning("--stall-timeout", say="standstill that ends an attempt [300s]")
    ] = None
    live_stall_timeout: Annotated[
        str | None, _tuning("--live-stall-timeout", say="the same in the live queue [30s]")
    ] = None
    set_aside_after: Annotated[
        int | None,
        _tuning("--set-aside-after", say="jobs that fail in a row and set a node aside [3]"),
    ] = None
    canary_after: Annotated[
        str | None,
        _tuning(
            "--canary-after", say="wait before what was set aside gets a job to prove it [60s]"
        ),
    ] = None
    max_wait: Annotated[
        str | None,
        _tuning("--max-wait", say="raise waiting jobs: the lowest is first after this long [off]"),
    ] = None
    preempt: Annotated[
        Literal["none", "batch"] | None,
        _tuning("--preempt", say="whose slots a live job takes when all are busy [none]"),
    ] = None
    hint_window: Annotated[
        int | None, _tuning("--hint-window", say="most hints per broker queue [10000]")
    ] = None
    retention: Annotated[
        str | None, _tuning("--retention", say="how long finished jobs are kept [720h]")
    ] = None
    tracing: Annotated[
        bool | None, _tuning("--tracing/--no-tracing", say="send OpenTelemetry spans")
    ] = None
    tracing_endpoint: Annotated[
        str | None, _tuning("--tracing-endpoint", say="OTLP/HTTP receiver [localhost:4318]")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterFlags:
    """Where the master listens and what it stands on."""

    host: Annotated[str | None, typer.Option(help="address to listen on [127.0.0.1]")] = None
    port: Annotated[int | None, typer.Option(help="port of the API [8080]")] = None
    db: Annotated[
        str | None, typer.Option(help="SQLite file or PostgreSQL URL [DATA_DIR/ffrtmp.db]")
    ] = None
    data_dir: Annotated[
        Path | None, typer.Option(help="folder of database and embedded broker [ffrtmp-data]")
    ] = None
    broker: Annotated[
        str | None, typer.Option(help="Redis URL; without one an embedded broker starts")
    ] = None
    broker_ca: BrokerCa = None
    broker_cert: BrokerCert = None
    broker_key: BrokerKey = None
    broker_port: Annotated[
        int | None, typer.Option(help="port of the embedded broker [a free one]")
    ] = None
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="listen beyond loopback without a key")
    ] = None
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            help="network such as 10.0.0.7/32 whose X-Forwarded-For is believed; again for more",
        ),
    ] = None
    health_port: Annotated[
        int | None, typer.Option(help="loopback port that answers /health only")
    ] = None
    metrics_port: Annotated[int | None, typer.Option(help="port of /metrics [9464]")] = None
    flower_port: Annotated[int | None, typer.Option(help="start Flower on this port")] = None
    tls: Annotated[
        bool | None, typer.Option("--tls/--no-tls", help="serve HTTPS with --cert and --key")
    ] = None
    mtls: Annotated[
        bool | None, typer.Option("--mtls/--no-mtls", help="ask clients for a certificate of --ca")
    ] = None
    crl: Annotated[
        Path | None, typer.Option(help="with --mtls: certificates that were revoked, a PEM file")
    ] = None
    only: Annotated[
        Literal["api", "control", "beat"] | None, typer.Option(help="run this part alone")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFlags:
    """What the agent offers and where it keeps things."""

    broker: Annotated[
        str | None, typer.Option(help="Redis URL; the master names its own by default")
    ] = None
    broker_ca: BrokerCa = None
    broker_cert: BrokerCert = None
    broker_key: BrokerKey = None
    address: Annotated[
        str | None, typer.Option(help="what the node is known by [the host name]")
    ] = None
    name: Annotated[str | None, typer.Option(help="what people call it [its address]")] = None
    slots: Annotated[
        int | None, typer.Option(help="attempts at once on the CPU [by the cores]")
    ] = None
    gpu_slots: Annotated[
        int | None, typer.Option(help="attempts at once on each GPU, 0 to leave them alone [2]")
    ] = None
    reserve_live: Annotated[
        int | None, typer.Option(help="slots of the CPU, and of all GPUs, kept for live jobs [0]")
    ] = None
    queues: Annotated[str | None, typer.Option(help="such as live,default,batch [all]")] = None
    state_dir: Annotated[Path | None, typer.Option(help="folder of identity and spool")] = None
    work_dir: Annotated[
        Path | None, typer.Option(help="folder of outputs that name no path of their own")
    ] = None
    media_root: Annotated[
        list[Path] | None,
        typer.Option("--media-root", help="inputs lie under here; may be given again [nowhere]"),
    ] = None
    output_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--output-root", help="outputs lie under here or the work folder; again for more"
        ),
    ] = None
    allow_network: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-network", help="network such as 10.0.0.0/8 to read inputs from; again for more"
        ),
    ] = None
    s3_endpoint: Annotated[
        str | None, typer.Option(help="URL of the service of s3 inputs and outputs [AWS]")
    ] = None
    s3_region: Annotated[str | None, typer.Option(help="its region [what the AWS files say]")] = (
        None
    )
    heartbeat_interval: Annotated[
        str | None, typer.Option(help="wait between heartbeats while idle [30s]")
    ] = None
    busy_heartbeat_interval: Annotated[
        str | None, typer.Option(help="the same while attempts run [5s]")
    ] = None
    poll_interval: Annotated[
        str | None, typer.Option(help="wait between claims without a broker [10s]")
    ] = None
    consumer_timeout: Annotated[
        str | None, typer.Option(help="replace a Celery child that leaves hints this long [15s]")
    ] = None
    drain_timeout: Annotated[
        str | None, typer.Option(help="how long a stop lets attempts finish [10s]")
    ] = None
    kill_timeout: Annotated[
        str | None, typer.Option(help="wait for the end of a killed attempt [30s]")
    ] = None
    reconnect_timeout: Annotated[
        str | None, typer.Option(help="how long a broken stream is taken up again [60s]")
    ] = None
    attempt_timeout: Annotated[
        str | None, typer.Option(help="longest run of any attempt, whatever its job asks [none]")
    ] = None
    max_cpu_percent: Annotated[
        int | None, typer.Option(help="the same of a core, 250 is two and a half [none]")
    ] = None
    max_memory_mb: Annotated[int | None, typer.Option(help="the same of memory [none]")] = None
    max_disk_mb: Annotated[int | None, typer.Option(help="the same of what it writes [none]")] = (
        None
    )
    sandbox: Annotated[
        str | None,
        typer.Option(help="box around ffmpeg: auto, bubblewrap, user or off [auto]"),
    ] = None
    media_user: Annotated[
        str | None, typer.Option(help="account ffmpeg runs as, where the agent is root [nobody]")
    ] = None
    metrics_port: Annotated[int | None, typer.Option(help="port of /metrics [9465]")] = None
    ffmpeg: Annotated[
        Path | None, typer.Option(help="the ffmpeg to run [PATH's, else the bundled one]")
    ] = None
    tracing: Annotated[
        bool | None, typer.Option("--tracing/--no-tracing", help="send OpenTelemetry spans")
    ] = None
    tracing_endpoint: Annotated[
        str | None, typer.Option(help="OTLP/HTTP receiver [localhost:4318]")
    ] = None


def master_settings(
    options: GlobalOptions, *groups: MasterFlags | MasterTuning, **more: Any
) -> MasterSettings:
    """The ``master:`` section, settled; ConfigError names what is wrong."""
    flags = _merged(*groups) | more
    flags["trusted_proxies"] = flags.pop("trusted_proxy", None) or None
    _rename(flags, "tls", "tls.enabled")
    _rename(flags, "mtls", "tls.mtls")
    _rename(flags, "crl", "tls.crl")
    _rename_tracing(flags)
    flags |= {"api_key": options.api_key, "api_key_file": options.api_key_file}
    flags["tls.ca"] = options.ca
    flags |= {"tls.cert": options.cert, "tls.key": options.key}
    return load(
        MasterSettings,
        section="master",
        file=options.config,
        environment=os.environ,
        variables=MASTER_ENVIRONMENT,
        flags=flags,
    )


def worker_settings(
    options: GlobalOptions, flags: AgentFlags | None = None, **more: Any
) -> WorkerSettings:
    """The ``worker:`` section, settled; ConfigError names what is wrong."""
    given = (_merged(flags) if flags is not None else {}) | more
    for flag in ("media_root", "output_root", "allow_network"):
        given[f"{flag}s"] = given.pop(flag, None) or None
    _rename_tracing(given)
    if isinstance(given.get("queues"), str):
        given["queues"] = [name.strip() for name in given["queues"].split(",") if name.strip()]
    given |= {"api_key": options.api_key, "api_key_file": options.api_key_file}
    given |= {"master_url": options.master, "tls.ca": options.ca}
    given |= {"tls.cert": options.cert, "tls.key": options.key}
    given["tls.insecure_skip_tls_verification"] = options.insecure_skip_tls_verification
    return load(
        WorkerSettings,
        section="worker",
        file=options.config,
        environment=os.environ,
        variables=WORKER_ENVIRONMENT,
        flags=given,
    )


def _merged(*groups: MasterFlags | MasterTuning | AgentFlags) -> dict[str, Any]:
    return {f.name: getattr(group, f.name) for group in groups for f in fields(group)}


def _rename(flags: dict[str, Any], old: str, new: str) -> None:
    if old in flags:
        flags[new] = flags.pop(old)


def _rename_tracing(flags: dict[str, Any]) -> None:
    _rename(flags, "tracing", "tracing.enabled")
    _rename(flags, "tracing_endpoint", "tracing.endpoint")
