"""A node without an agent: the test itself speaks for it, request by request."""

import hashlib
import uuid
from types import TracebackType
from typing import Any, Self

from ffrtmp.client import Connection, MasterClient
from ffrtmp.schemas import (
    AttemptBeat,
    ClaimAnswer,
    ClaimRequest,
    CommitRequest,
    Heartbeat,
    JobAnswer,
    NodeRegistration,
    ResultRequest,
)
from tests.chaos.farm import ChaosFarm

SHA256 = hashlib.sha256(b"").hexdigest()
SIZE = 1


class HandNode:
    """Registered when it is entered, removed from use (drained) when it is left."""

    def __init__(self, farm: ChaosFarm, address: str, *, slots: int = 16) -> None:
        self._farm = farm
        answer = farm.client.register(NodeRegistration(address=address, slots=slots))
        self._beats = 0
        self.id, self.epoch = answer.id, answer.epoch
        self.client = MasterClient(Connection(url=farm.url, key=answer.node_token))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._farm.client.drain(self.id)
        self.client.close()

    def beat(self, *held: ClaimAnswer) -> None:
        """A heartbeat that lists these."""
        self._beats += 1
        attempts = [AttemptBeat(job_id=one.job_id, attempt=one.attempt) for one in held]
        self.client.heartbeat(
            self.id, Heartbeat(epoch=self.epoch, seq=self._beats, attempts=attempts)
        )

    def claim(self) -> ClaimAnswer:
        """The best job, which must be there."""
        answer = self.client.claim(
            ClaimRequest(
                node_id=self.id,
                epoch=self.epoch,
                claim_id=uuid.uuid4().hex,
                heartbeat_seq=self._beats,
            )
        )
        assert answer is not None
        return answer

    def commit(self, lease: ClaimAnswer) -> None:
        said = CommitRequest(lease=lease.lease, size=SIZE, sha256=SHA256)
        self.client.commit(lease.job_id, lease.attempt, said)

    def report(self, lease: ClaimAnswer, **said: Any) -> JobAnswer:
        """Completed unless told otherwise."""
        known = {
            "job_id": lease.job_id,
            "node_id": self.id,
            "attempt": lease.attempt,
            "lease": lease.lease,
            "status": "completed",
            "sha256": SHA256,
            "size": SIZE,
        }
        return self.client.report(ResultRequest.model_validate(known | said))
