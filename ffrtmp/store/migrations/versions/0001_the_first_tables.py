"""The first tables"""

import sqlalchemy as sa
from alembic import op

from ffrtmp.store.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The first tables."""
    op.create_table(
        "attempt_logs",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempt_logs")),
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(length=36), nullable=False),
        sa.Column("node_name", sa.String(length=255), nullable=False),
        sa.Column("device", sa.String(length=16), nullable=False),
        sa.Column("hardware", sa.String(length=16), nullable=False),
        sa.Column("is_reserved", sa.Boolean(), nullable=False),
        sa.Column("claimed_farm", sa.Float(), nullable=False),
        sa.Column("pause", sa.String(length=16), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claim_id", sa.String(length=64), nullable=False),
        sa.Column("lease", sa.String(length=128), nullable=False),
        sa.Column("lease_expires_farm", sa.Float(), nullable=False),
        sa.Column("claimed_after", sa.Integer(), nullable=False),
        sa.Column("omissions", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("moved_farm", sa.Float(), nullable=False),
        sa.Column("stall_after_seconds", sa.Float(), nullable=False),
        sa.Column("listed_farm", sa.Float(), nullable=True),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("progress_mark", sa.String(length=128), nullable=False),
        sa.Column("fps", sa.Float(), nullable=True),
        sa.Column("speed", sa.Float(), nullable=True),
        sa.Column("phase", sa.String(length=32), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_farm", sa.Float(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("failure_class", sa.String(length=32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("argv", sa.JSON(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempts")),
    )
    op.create_index(
        "ix_attempts_live_by_expiry",
        "attempts",
        ["lease_expires_farm"],
        unique=False,
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.create_index(
        "ix_attempts_live_by_node",
        "attempts",
        ["node_id"],
        unique=False,
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.create_index(
        "ix_attempts_by_node_and_end", "attempts", ["node_id", "ended_farm"], unique=False
    )
    op.create_index("uq_attempts_claim", "attempts", ["node_id", "claim_id"], unique=True)
    op.create_index(
        "uq_attempts_one_live_lease",
        "attempts",
        ["job_id"],
        unique=True,
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("node_id", sa.String(length=36), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index("ix_events_job_id", "events", ["job_id", "id"], unique=False)
    op.create_table(
        "farm",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("last_pass_at", UtcDateTime(), nullable=False),
        sa.Column(
            "api_beats", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "beats_seen", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("paused_queues", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_farm")),
    )
    op.create_table(
        "jobs",
        sa.Column(
            "sequence_number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("scenario", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("base_rank", sa.SmallInteger(), nullable=False),
        sa.Column("queue_name", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=16), nullable=False),
        sa.Column("hardware", sa.String(length=16), nullable=False),
        sa.Column("requires", sa.String(length=64), nullable=False),
        sa.Column("is_stream", sa.Boolean(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("retry_at", UtcDateTime(), nullable=True),
        sa.Column("avoid", sa.Text(), nullable=False),
        sa.Column("avoid_until", UtcDateTime(), nullable=True),
        sa.Column("hold_until_farm", sa.Float(), nullable=True),
        sa.Column("waiting_farm", sa.Float(), nullable=False),
        sa.Column("room_made_farm", sa.Float(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("node_id", sa.String(length=36), nullable=True),
        sa.Column("node_name", sa.String(length=255), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.String(length=32), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("trace_parent", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("sequence_number", name=op.f("pk_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_jobs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_completed_at", "jobs", ["completed_at"], unique=False)
    op.create_index("ix_jobs_node_id", "jobs", ["node_id"], unique=False)
    op.create_index("ix_jobs_retry_at", "jobs", ["retry_at"], unique=False)
    op.create_index(
        "ix_jobs_by_queue",
        "jobs",
        ["status", "queue_name", "rank", "sequence_number", "retry_at", "hold_until_farm"],
        unique=False,
    )
    op.create_index(
        "ix_jobs_by_rank",
        "jobs",
        ["status", "rank", "sequence_number", "requires", "queue"],
        unique=False,
    )
    op.create_index(
        "ix_jobs_by_need",
        "jobs",
        ["status", "requires", "rank", "sequence_number"],
        unique=False,
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("registration_id", sa.String(length=64), nullable=True),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("has_gpu", sa.Boolean(), nullable=False),
        sa.Column("reserve_live", sa.Integer(), nullable=False),
        sa.Column("set_aside", sa.JSON(), nullable=False),
        sa.Column("slots_lost", sa.Integer(), nullable=False),
        sa.Column("queues", sa.JSON(), nullable=False),
        sa.Column("hardware", sa.JSON(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("is_draining", sa.Boolean(), nullable=False),
        sa.Column("is_offline", sa.Boolean(), nullable=False),
        sa.Column("drain_reason", sa.String(length=255), nullable=True),
        sa.Column("trusted_farm", sa.Float(), nullable=False),
        sa.Column("heard_farm", sa.Float(), nullable=False),
        sa.Column("heartbeat_seq", sa.Integer(), nullable=False),
        sa.Column("last_heartbeat_at", UtcDateTime(), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.Column("load", sa.JSON(), nullable=False),
        sa.Column("clock_skew_seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("address", name=op.f("uq_nodes_address")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_nodes_token_hash")),
    )
    op.create_index("ix_nodes_heard", "nodes", ["is_offline", "heard_farm"], unique=False)
    op.create_index("ix_nodes_has_gpu", "nodes", ["has_gpu", "heard_farm"], unique=False)
    op.create_table(
        "submissions",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("job_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "idempotency_key", name=op.f("pk_submissions")),
    )
    op.create_index("ix_submissions_created_at", "submissions", ["created_at"], unique=False)


def downgrade() -> None:
    """Undo it."""
    op.drop_index("ix_submissions_created_at", table_name="submissions")
    op.drop_table("submissions")
    op.drop_index("ix_nodes_has_gpu", table_name="nodes")
    op.drop_index("ix_nodes_heard", table_name="nodes")
    op.drop_table("nodes")
    op.drop_index("ix_jobs_by_need", table_name="jobs")
    op.drop_index("ix_jobs_by_rank", table_name="jobs")
    op.drop_index("ix_jobs_by_queue", table_name="jobs")
    op.drop_index("ix_jobs_retry_at", table_name="jobs")
    op.drop_index("ix_jobs_node_id", table_name="jobs")
    op.drop_index("ix_jobs_completed_at", table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("farm")
    op.drop_index("ix_events_job_id", table_name="events")
    op.drop_index("ix_events_at", table_name="events")
    op.drop_table("events")
    op.drop_index(
        "uq_attempts_one_live_lease",
        table_name="attempts",
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.drop_index("uq_attempts_claim", table_name="attempts")
    op.drop_index("ix_attempts_by_node_and_end", table_name="attempts")
    op.drop_index(
        "ix_attempts_live_by_node",
        table_name="attempts",
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.drop_index(
        "ix_attempts_live_by_expiry",
        table_name="attempts",
        sqlite_where=sa.text("state != 'ended'"),
        postgresql_where=sa.text("state != 'ended'"),
    )
    op.drop_table("attempts")
    op.drop_table("attempt_logs")
