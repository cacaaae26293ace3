"""Named keys, owners of jobs, revoked nodes"""

import sqlalchemy as sa
from alembic import op

from ffrtmp.store.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CURRENT = sa.text("replaced_at IS NULL AND revoked_at IS NULL")


def upgrade() -> None:
    """What was submitted before belongs to the one key that there was."""
    op.create_table(
        "keys",
        sa.Column("prefix", sa.String(8), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("replaced_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("prefix", name="pk_keys"),
    )
    op.create_index(
        "uq_keys_one_current",
        "keys",
        ["name"],
        unique=True,
        sqlite_where=CURRENT,
        postgresql_where=CURRENT,
    )
    owner = sa.Column("owner", sa.String(64), nullable=False, server_default="anyone")
    op.add_column("jobs", owner)
    op.execute("UPDATE jobs SET owner = 'bootstrap'")
    op.execute("UPDATE submissions SET owner = 'bootstrap' WHERE owner = 'key'")
    op.create_index("ix_jobs_by_owner", "jobs", ["owner", "sequence_number"])
    op.create_index("ix_jobs_by_owner_and_status", "jobs", ["owner", "status"])
    op.create_index("ix_events_kind", "events", ["kind", "id"])
    op.create_index("ix_events_node_id", "events", ["node_id", "id"])
    op.add_column("nodes", sa.Column("revoked_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Without them."""
    op.drop_column("nodes", "revoked_at")
    op.drop_index("ix_events_node_id", "events")
    op.drop_index("ix_events_kind", "events")
    op.drop_index("ix_jobs_by_owner_and_status", "jobs")
    op.drop_index("ix_jobs_by_owner", "jobs")
    op.execute("UPDATE submissions SET owner = 'key' WHERE owner = 'bootstrap'")
    op.drop_column("jobs", "owner")
    op.drop_index("uq_keys_one_current", "keys")
    op.drop_table("keys")
