"""The composition root: one farm of services, wired from settings or from given parts."""

import random
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

import uuid_utils

from ffrtmp.broker.publisher import RedisBell
from ffrtmp.config import MasterSettings
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.retry import RetryPolicy
from ffrtmp.services.bell import Bell
from ffrtmp.services.context import Context
from ffrtmp.services.farm import Farm
from ffrtmp.store.engine import Store

SECRET_BYTES = 32


def policy(settings: MasterSettings) -> FarmPolicy:
    """The rules that settings ask for."""
    return FarmPolicy(
        node_timeout_seconds=settings.node_timeout,
        max_advance_seconds=settings.max_advance_seconds,
        max_retries=settings.max_retries,
        retry=RetryPolicy(base_seconds=settings.retry_base, cap_seconds=settings.retry_cap),
        stall_seconds=settings.stall_timeout,
        live_stall_seconds=settings.live_stall_timeout,
        hint_window=settings.hint_window,
        set_aside_after=settings.set_aside_after,
        canary_after_seconds=settings.canary_after,
        max_wait_seconds=settings.max_wait,
        preempts_batch=settings.preempt == "batch",
        retention_seconds=settings.retention,
        max_nodes=settings.limits.nodes,
        max_pending=settings.limits.pending_jobs,
        max_pending_per_owner=settings.limits.pending_jobs_per_key,
    )


def farm(settings: MasterSettings) -> Farm:
    """The farm of a master process; ``settings.broker`` must be given."""
    if settings.broker_url is None:
        raise ValueError("the broker's URL is not settled")
    store = Store(settings.database_url)
    store.make_room()
    return farm_of(
        store=store,
        bell=RedisBell(settings.broker_url, window=settings.hint_window),
        rules=policy(settings),
    )


def farm_of(
    *, store: Store, bell: Bell, rules: FarmPolicy, now: Callable[[], datetime] | None = None
) -> Farm:
    """A farm of given parts in the real world."""
    return Farm.over(
        Context(
            store=store,
            bell=bell,
            policy=rules,
            now=now or (lambda: datetime.now(UTC)),
            new_id=lambda: str(uuid_utils.uuid7()),
            new_secret=lambda: secrets.token_urlsafe(SECRET_BYTES),
            fraction=random.SystemRandom().random,
        )
    )
