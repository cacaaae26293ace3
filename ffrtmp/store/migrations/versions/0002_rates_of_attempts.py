"""The bit rate and the dropped frames of attempts"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns, empty for attempts of before."""
    op.add_column("attempts", sa.Column("bits_per_second", sa.BigInteger(), nullable=True))
    op.add_column("attempts", sa.Column("dropped_frames", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Without them."""
    op.drop_column("attempts", "dropped_frames")
    op.drop_column("attempts", "bits_per_second")
