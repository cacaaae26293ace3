"""Idempotency keys: what was submitted under each, per owner."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from ffrtmp.store.tables import submissions


class Submissions:
    """Remembers which jobs a key made."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def find(self, *, owner: str, key: str) -> tuple[str, Sequence[str]] | None:
        """The body's sha256 and the job ids of an earlier submit under this key."""
        query = sa.select(submissions.c.body_sha256, submissions.c.job_ids).where(
            submissions.c.owner == owner, submissions.c.idempotency_key == key
        )
        row = self._db.execute(query).one_or_none()
        return None if row is None else (row.body_sha256, row.job_ids)

    def remember(
        self, *, owner: str, key: str, body_sha256: str, job_ids: Sequence[str], now: datetime
    ) -> None:
        """Bind a key to the jobs it made; IntegrityError if another request was first."""
        self._db.execute(
            sa.insert(submissions).values(
                owner=owner,
                idempotency_key=key,
                body_sha256=body_sha256,
                job_ids=list(job_ids),
                created_at=now,
            )
        )

    def delete_before(self, moment: datetime, *, limit: int) -> int:
        """Forget at most ``limit`` old keys; how many were."""
        old = (
            sa.select(submissions.c.owner, submissions.c.idempotency_key)
            .where(submissions.c.created_at < moment)
            .limit(limit)
        )
        pair = sa.tuple_(submissions.c.owner, submissions.c.idempotency_key)
        return self._db.execute(sa.delete(submissions).where(pair.in_(old))).rowcount
