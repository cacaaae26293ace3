"""The tables, as Alembic's migrations make them; a contract test compares the two."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which has no zones, keeps it without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse naive times: they are somebody's local time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give back what was put in."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A partial index serves a query only where the database can see the condition when it plans,
# so this stands in the text of statements, never as a bound value.
IS_ENDED: sa.ColumnClause[str] = sa.literal_column("'ended'")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("sequence_number", BIG, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("scenario", sa.String(64), nullable=False),
    sa.Column("queue", sa.String(16), nullable=False),
    sa.Column("priority", sa.String(16), nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("base_rank", sa.SmallInteger, nullable=False),
    sa.Column("queue_name", sa.String(64), nullable=False),
    sa.Column("engine", sa.String(16), nullable=False),
    sa.Column("hardware", sa.String(16), nullable=False),
    sa.Column("requires", sa.String(64), nullable=False),
    sa.Column("is_stream", sa.Boolean, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("max_retries", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("retry_at", UtcDateTime),
    sa.Column("avoid", sa.Text, nullable=False, default=""),
    sa.Column("avoid_until", UtcDateTime),
    sa.Column("hold_until_farm", sa.Float),
    sa.Column("waiting_farm", sa.Float, nullable=False, default=0.0),
    sa.Column("room_made_farm", sa.Float),
    sa.Column("started_at", UtcDateTime),
    sa.Column("completed_at", UtcDateTime),
    sa.Column("node_id", sa.String(36)),
    sa.Column("node_name", sa.String(255)),
    sa.Column("error", sa.Text),
    sa.Column("failure_reason", sa.String(32)),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("trace_parent", sa.String(64)),
    sa.Column("owner", sa.String(64), nullable=False, server_default="anyone"),
    sqlite_autoincrement=True,
)
# Whole indexes, not partial ones on pending: SQLite's planner prefers any plain index on status.
# The last columns let a claim pass over what its node cannot run without looking at the rows.
sa.Index(
    "ix_jobs_by_rank",
    jobs.c.status,
    jobs.c.rank,
    jobs.c.sequence_number,
    jobs.c.requires,
    jobs.c.queue,
)
# The best job of each need: which needs wait at all, and who of them is next.
sa.Index("ix_jobs_by_need", jobs.c.status, jobs.c.requires, jobs.c.rank, jobs.c.sequence_number)
# The last two let a pass count the due jobs of a queue without looking at their rows.
sa.Index(
    "ix_jobs_by_queue",
    jobs.c.status,
    jobs.c.queue_name,
    jobs.c.rank,
    jobs.c.sequence_number,
    jobs.c.retry_at,
    jobs.c.hold_until_farm,
)
# A page of an owner's jobs; how many of them wait.
sa.Index("ix_jobs_by_owner", jobs.c.owner, jobs.c.sequence_number)
sa.Index("ix_jobs_by_owner_and_status", jobs.c.owner, jobs.c.status)
sa.Index("ix_jobs_completed_at", jobs.c.completed_at)
sa.Index("ix_jobs_node_id", jobs.c.node_id)
sa.Index("ix_jobs_retry_at", jobs.c.retry_at)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("node_id", sa.String(36), nullable=False),
    sa.Column("node_name", sa.String(255), nullable=False),
    sa.Column("device", sa.String(16), nullable=False),
    sa.Column("hardware", sa.String(16), nullable=False),
    sa.Column("is_reserved", sa.Boolean, nullable=False),
    sa.Column("claimed_farm", sa.Float, nullable=False),
    sa.Column("pause", sa.String(16)),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("claim_id", sa.String(64), nullable=False),
    sa.Column("lease", sa.String(128), nullable=False),
    sa.Column("lease_expires_farm", sa.Float, nullable=False),
    sa.Column("claimed_after", sa.Integer, nullable=False),
    sa.Column("omissions", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("moved_farm", sa.Float, nullable=False),
    sa.Column("stall_after_seconds", sa.Float, nullable=False),
    sa.Column("listed_farm", sa.Float),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("progress_mark", sa.String(128), nullable=False),
    sa.Column("fps", sa.Float),
    sa.Column("speed", sa.Float),
    sa.Column("bits_per_second", sa.BigInteger),
    sa.Column("dropped_frames", sa.BigInteger),
    sa.Column("phase", sa.String(32)),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ended_farm", sa.Float),
    sa.Column("outcome", sa.String(16)),
    sa.Column("failure_class", sa.String(32)),
    sa.Column("error", sa.Text),
    sa.Column("exit_code", sa.Integer),
    sa.Column("argv", sa.JSON, nullable=False),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("sha256", sa.String(64)),
)
_live = attempts.c.state != IS_ENDED
sa.Index(
    "uq_attempts_one_live_lease",
    attempts.c.job_id,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)
sa.Index("ix_attempts_live_by_node", attempts.c.node_id, sqlite_where=_live, postgresql_where=_live)
sa.Index(
    "ix_attempts_live_by_expiry",
    attempts.c.lease_expires_farm,
    sqlite_where=_live,
    postgresql_where=_live,
)
sa.Index("ix_attempts_by_node_and_end", attempts.c.node_id, attempts.c.ended_farm)
sa.Index("uq_attempts_claim", attempts.c.node_id, attempts.c.claim_id, unique=True)

attempt_logs = sa.Table(
    "attempt_logs",
    metadata,
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("address", sa.String(255), nullable=False, unique=True),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("registration_id", sa.String(64)),
    sa.Column("devices", sa.JSON, nullable=False),
    sa.Column("has_gpu", sa.Boolean, nullable=False),
    sa.Column("reserve_live", sa.Integer, nullable=False),
    sa.Column("set_aside", sa.JSON, nullable=False, default={}),
    sa.Column("slots_lost", sa.Integer, nullable=False),
    sa.Column("queues", sa.JSON, nullable=False),
    sa.Column("hardware", sa.JSON, nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("is_draining", sa.Boolean, nullable=False),
    sa.Column("is_offline", sa.Boolean, nullable=False),
    sa.Column("drain_reason", sa.String(255)),
    sa.Column("trusted_farm", sa.Float, nullable=False, default=-1.0),
    sa.Column("heard_farm", sa.Float, nullable=False),
    sa.Column("heartbeat_seq", sa.Integer, nullable=False),
    sa.Column("last_heartbeat_at", UtcDateTime, nullable=False),
    sa.Column("registered_at", UtcDateTime, nullable=False),
    sa.Column("load", sa.JSON, nullable=False),
    sa.Column("clock_skew_seconds", sa.Float, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)
sa.Index("ix_nodes_heard", nodes.c.is_offline, nodes.c.heard_farm)
sa.Index("ix_nodes_has_gpu", nodes.c.has_gpu, nodes.c.heard_farm)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", BIG, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("job_id", sa.String(36)),
    sa.Column("node_id", sa.String(36)),
    sa.Column("attempt", sa.Integer),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)
sa.Index("ix_events_job_id", events.c.job_id, events.c.id)
sa.Index("ix_events_at", events.c.at)
sa.Index("ix_events_kind", events.c.kind, events.c.id)
sa.Index("ix_events_node_id", events.c.node_id, events.c.id)

submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("idempotency_key", sa.String(255), primary_key=True),
    sa.Column("body_sha256", sa.String(64), nullable=False),
    sa.Column("job_ids", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)
sa.Index("ix_submissions_created_at", submissions.c.created_at)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("prefix", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("replaced_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
    sa.Column("last_used_at", UtcDateTime),
)
_current = keys.c.replaced_at.is_(None) & keys.c.revoked_at.is_(None)
sa.Index(
    "uq_keys_one_current",
    keys.c.name,
    unique=True,
    sqlite_where=_current,
    postgresql_where=_current,
)

farm = sa.Table(
    "farm",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("last_pass_at", UtcDateTime, nullable=False),
    sa.Column("api_beats", BIG, nullable=False),
    sa.Column("beats_seen", BIG, nullable=False),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("paused_queues", sa.JSON, nullable=False, default={}),
)
FARM_ROW = 1
