"""All services over one context."""

from dataclasses import dataclass
from typing import Self

from ffrtmp.services.access import AccessService
from ffrtmp.services.attempts import AttemptService
from ffrtmp.services.context import Context
from ffrtmp.services.counts import Counts
from ffrtmp.services.explain import Explain
from ffrtmp.services.history import History
from ffrtmp.services.jobs import JobService
from ffrtmp.services.keys import KeyService
from ffrtmp.services.nodes import NodeService
from ffrtmp.services.queues import QueueService
from ffrtmp.services.reconciler import Reconciler
from ffrtmp.services.retention import Retention
from ffrtmp.store.engine import Store


@dataclass(frozen=True, slots=True)
class Farm:
    """Every service over one context."""

    context: Context
    jobs: JobService
    attempts: AttemptService
    nodes: NodeService
    reconciler: Reconciler
    retention: Retention
    counts: Counts
    queues: QueueService
    explain: Explain
    access: AccessService
    keys: KeyService
    history: History

    @classmethod
    def over(cls, context: Context) -> Self:
        """The services of a context."""
        return cls(
            context=context,
            jobs=JobService(context),
            attempts=AttemptService(context),
            nodes=NodeService(context),
            reconciler=Reconciler(context),
            retention=Retention(context),
            counts=Counts(context),
            queues=QueueService(context),
            explain=Explain(context),
            access=AccessService(context),
            keys=KeyService(context),
            history=History(context),
        )

    @property
    def store(self) -> Store:
        """The database."""
        return self.context.store

    def migrate(self) -> None:
        """Bring the schema to this release's."""
        self.store.migrate(now=self.context.now())

    def prove_alive(self) -> None:
        """An API process beats: farm time may advance at the next pass."""
        with self.store.write() as tx:
            tx.clock.beat()

    def close(self) -> None:
        """Give back the database's connections."""
        self.store.close()
