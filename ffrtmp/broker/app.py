"""Every Celery setting of the farm, in one place.

Nine priority steps, of which each queue uses only its own three, and ``priority`` as the queue
order make kombu pop in rank order; whoever counts queues (Flower) must have the same steps.
"""

from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.worker.control import Panel
from kombu.entity import Queue

from ffrtmp.broker.link import VERIFIED_TRANSPORT, celery_link
from ffrtmp.broker.messages import COUNTS_TASK, RECONCILE_TASK, RETENTION_TASK
from ffrtmp.domain.hint import CONTROL_QUEUE, queue_names
from ffrtmp.domain.ranking import RANKS

NODE_TRANSPORT = "ffrtmp.broker.transport:NodeTransport"
CONTROL_TRANSPORT = "ffrtmp.broker.transport:ControlTransport"
SOCKET_TIMEOUT_SECONDS = 10.0
CONNECT_TIMEOUT_SECONDS = 5.0
HEALTH_CHECK_SECONDS = 10
RETENTION_INTERVAL_SECONDS = 3600.0
COUNTS_INTERVAL_SECONDS = 5.0

COMMANDS = frozenset(
    {
        *("ping", "stats", "active_queues", "registered", "conf"),
        *("scheduled", "active", "reserved", "revoked"),
    }
)
"""The remote commands that Flower asks for, all of which only look."""


def node_app(broker_url: str, *, queue_names: Sequence[str], concurrency: int) -> Celery:
    """The app of a node's Celery child; ``queue_names`` best first, in the order to poll.

    Late acknowledgement on threads with multiplier 1 reserves nothing beyond ``concurrency``.
    """
    restrict_remote_control()
    app = _app("ffrtmp.node", broker_url, transport=NODE_TRANSPORT)
    app.conf.update(
        task_queues=[celery_queue(name) for name in queue_names],
        worker_pool="threads",
        worker_concurrency=concurrency,
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        # A body that cannot start is not worth a second host: the store decides what runs again.
        task_reject_on_worker_lost=False,
    )
    return app


def control_app(
    broker_url: str,
    *,
    scheduler_interval_seconds: float,
    retention_interval_seconds: float = RETENTION_INTERVAL_SECONDS,
    counts_interval_seconds: float = COUNTS_INTERVAL_SECONDS,
) -> Celery:
    """The app of the control worker, with beat's schedule.

    A message expires when the next of its kind is due, so a control worker that was away finds
    no pile of passes to catch up on.
    """
    restrict_remote_control()
    app = _app("ffrtmp.control", broker_url, transport=CONTROL_TRANSPORT)
    app.conf.update(
        task_queues=[celery_queue(CONTROL_QUEUE)],
        task_default_queue=CONTROL_QUEUE,
        worker_pool="solo",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        # No shelve file: every entry is a plain interval, so there is nothing to remember.
        beat_scheduler="celery.beat:Scheduler",
        beat_schedule={
            "reconcile": _every(scheduler_interval_seconds, RECONCILE_TASK),
            "counts": _every(counts_interval_seconds, COUNTS_TASK),
            "retention": _every(retention_interval_seconds, RETENTION_TASK),
        },
    )
    return app


def beat_app(broker_url: str, *, scheduler_interval_seconds: float) -> Celery:
    """The app of beat: control's, but it sends."""
    app = control_app(broker_url, scheduler_interval_seconds=scheduler_interval_seconds)
    app.conf.broker_transport = VERIFIED_TRANSPORT
    return app


def publisher_app(broker_url: str, *, timeout_seconds: float = 1.0) -> Celery:
    """The app that only publishes: one try, short time-outs, nothing held up by a dead broker."""
    app = _app("ffrtmp.publisher", broker_url)
    app.conf.update(
        broker_connection_timeout=timeout_seconds,
        broker_pool_acquire_timeout=timeout_seconds,
        broker_transport_options=_transport_options(
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # Without this kombu connects again and again until its own time-out.
            max_retries=0,
        ),
    )
    return app


def flower_app(broker_url: str) -> Celery:
    """The app Flower looks through: the farm's queues and priority steps, no task of its own.

    Flower shows the queues of this app until it has inspected a worker.
    """
    # Flower takes the scheme of its URL from the transport, which therefore is kombu's own.
    app = _app("ffrtmp.flower", broker_url, transport=None)
    app.conf.update(
        task_queues=[celery_queue(name) for name in (*queue_names(with_gpu=True), CONTROL_QUEUE)],
        task_default_queue=CONTROL_QUEUE,
    )
    return app


def celery_queue(name: str) -> Queue:
    """A Celery queue; ``list_name`` says where its messages lie."""
    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]


def list_name(queue_name: str, rank: int) -> str:
    """The Redis list that holds the hints of one rank in a Celery queue."""
    return f"{queue_name}\x06\x16{rank}" if rank else queue_name


def restrict_remote_control() -> None:
    """Leave this process only the remote commands that Flower needs (Celery's registry is global).

    Whoever can write to the broker must not be able to shut a worker down, move its queues,
    or have it dump its memory.
    """
    for name in set(Panel.data) - COMMANDS:
        del Panel.data[name]
        Panel.meta.pop(name, None)


def _app(name: str, broker_url: str, *, transport: str | None = VERIFIED_TRANSPORT) -> Celery:
    app = Celery(name, set_as_current=False, loader="celery.loaders.app:AppLoader")
    app.conf.update(
        **celery_link(broker_url, transport=transport),
        broker_transport_options=_transport_options(),
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        # READONLY, MISCONF, OOM and NOPERM answers end the worker without this.
        broker_channel_error_retry=True,
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        result_backend=None,
        # Queues that expire are kept by scripts, which no user of the broker here may run.
        control_queue_expires=None,
        event_queue_expires=None,
        # With an expiry beat would add a daily clean-up of results that do not exist.
        result_expires=None,
        task_ignore_result=True,
        task_publish_retry=False,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_disable_rate_limits=True,
        worker_detect_quorum_queues=False,
        enable_utc=True,
        timezone="UTC",
    )
    return app


def _transport_options(**overrides: Any) -> dict[str, Any]:
    return {
        "priority_steps": list(RANKS),
        "ack_emulation": False,
        "queue_order_strategy": "priority",
        "socket_timeout": SOCKET_TIMEOUT_SECONDS,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": HEALTH_CHECK_SECONDS,
    } | overrides


def _every(seconds: float, task: str) -> dict[str, Any]:
    options = {"queue": CONTROL_QUEUE, "expires": seconds, "retry": False, "ignore_result": True}
    return {"task": task, "schedule": seconds, "options": options}
