"""The app, and the process that serves it."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.types import Scope

from ffrtmp import __version__, bootstrap, telemetry
from ffrtmp.api import attempts, errors, events, health, jobs, keys, nodes, queues
from ffrtmp.api.browsers import GuardedApp
from ffrtmp.api.connections import Guard, guarded, with_open_files
from ffrtmp.api.documents import DescribedApi
from ffrtmp.api.follow import Tails
from ffrtmp.api.heads import HeadLimit
from ffrtmp.api.load import Load
from ffrtmp.api.loops import HandshakeLoop
from ffrtmp.api.refusals import Refusals, keep_history, write_due
from ffrtmp.api.suspects import Suspects
from ffrtmp.config import MasterSettings
from ffrtmp.domain.errors import FarmError
from ffrtmp.hangup import Hangups
from ffrtmp.metrics import MasterMetrics, master_metrics, serve_metrics
from ffrtmp.services.farm import Farm

if TYPE_CHECKING:
    from ffrtmp.tls.serving import ServedTls

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
GRACEFUL_SECONDS = 3
KEEP_ALIVE_SECONDS = 30
"""Longer than clients keep an idle connection, which would otherwise end as they use it again."""


def create_app(farm: Farm, settings: MasterSettings, metrics: MasterMetrics) -> FastAPI:
    """The whole API over one farm."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        seconds = min(BEAT_SECONDS, settings.scheduler_interval / 2)
        tasks = [
            asyncio.create_task(_prove_alive(farm, seconds)),
            asyncio.create_task(keep_history(farm, refusals)),
        ]
        yield
        for task in tasks:
            task.cancel()
        await run_in_threadpool(write_due, farm, refusals)

    app = DescribedApi(
        title="ffrtmp",
        version=__version__,
        description="A transcoding farm: jobs in, verified files out.",
        lifespan=lifespan,
    )
    app.state.farm, app.state.settings, app.state.metrics = farm, settings, metrics
    app.state.suspects = Suspects()
    refusals = Refusals(counter=metrics.auth_failures, now=time.monotonic)
    app.state.refusals = refusals
    app.state.tails = Tails(farm)
    app.state.load = load = Load(limits=settings.limits)
    errors.install(app)
    # A farm without a key has strangers only, whom its routes let in.
    has_key = settings.api_key is not None
    app.add_middleware(HeadLimit, admit=load.admit_stranger if has_key else None)
    routers = [module.router for module in (jobs, nodes, queues, keys, events, attempts, health)]
    for router in (*routers, nodes.spoken):
        app.include_router(router, responses=errors.ANY_REFUSAL)
    return app


def health_app() -> FastAPI:
    """``GET /health`` and nothing else."""
    app = GuardedApp(openapi_url=None)
    errors.install(app)
    app.get("/health")(health.health)
    return app


def serve(settings: MasterSettings) -> None:
    """Serve until SIGTERM or SIGINT; TlsFileError where it cannot with these files."""
    farm = bootstrap.farm(settings)
    farm.migrate()
    metrics = master_metrics(farm.counts.last)
    if settings.metrics_port is not None:
        serve_metrics(settings.metrics_port, metrics.registry)
    app = create_app(farm, settings, metrics)
    if settings.tracing.enabled:
        _trace(app, settings.tracing.endpoint)
    try:
        tls = _served_tls(settings, metrics)
        loop = partial(HandshakeLoop, settings.limits.head_timeout)
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(_serve(app, settings, tls))
    finally:
        farm.close()


def _trace(app: FastAPI, endpoint: str) -> None:
    # Imported only where it is wanted: it is the slowest import of the process.
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    telemetry.start_tracing("ffrtmp-master", endpoint=endpoint)
    telemetry.instrument_celery()
    FastAPIInstrumentor.instrument_app(
        app,
        excluded_urls="health,ready",
        exclude_spans=["send"],
        server_request_hook=_without_query,
    )


def _without_query(span: "Span", scope: Scope) -> None:
    # Who puts a key there is refused; it must not lie in the traces all the same.
    span.set_attribute("http.url", str(URL(scope=scope).replace(query="")))


def _served_tls(settings: MasterSettings, metrics: MasterMetrics) -> "ServedTls | None":
    if not settings.tls.enabled:
        return None
    # What reads certificates is heavy, too.
    from ffrtmp.tls.serving import ServedTls

    return ServedTls(settings.tls, metrics.registry)


async def _prove_alive(farm: Farm, seconds: float) -> None:
    """From the event loop itself, so that a loop which hangs proves nothing."""
    while True:
        try:
            await run_in_threadpool(farm.prove_alive)
        except FarmError as error:
            log.warning("no proof of life: %s", error)
        except Exception:
            log.exception("no proof of life")
        await asyncio.sleep(seconds)


async def _serve(app: FastAPI, settings: MasterSettings, tls: "ServedTls | None") -> None:
    limits = with_open_files(settings.limits)
    metrics: MasterMetrics = app.state.metrics

    def count(reason: str) -> None:
        metrics.refused.labels(reason=reason).inc()

    guard, aside = (Guard(limits=limits, count=count) for _ in range(2))
    servers = [uvicorn.Server(_config(app, settings, guard, tls))]
    if settings.health_port is not None:
        plain = uvicorn.Config(
            health_app(),
            port=settings.health_port,
            log_config=None,
            log_level="warning",
            access_log=False,
            **guarded(aside),
        )
        servers.append(uvicorn.Server(plain))
    _reread_on_hangup(tls)
    watching = None if tls is None else asyncio.create_task(tls.watch())
    await asyncio.gather(*(server.serve() for server in servers))
    if watching is not None:
        watching.cancel()


def _config(
    app: FastAPI, settings: MasterSettings, guard: Guard, tls: "ServedTls | None"
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
        # Unless told so it would let anybody on this host say whose address a request is from.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        **guarded(guard),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls.context,
    )


def _reread_on_hangup(tls: "ServedTls | None") -> None:
    """From now on SIGHUP reads the files of TLS again, where there are any."""
    hangups = Hangups()

    def handle() -> None:
        if hangups.mean_stop():
            signal.raise_signal(signal.SIGTERM)
        elif tls is not None:
            tls.reread()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handle)
