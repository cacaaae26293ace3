"""What happened on the farm, and who did it."""

from collections.abc import Sequence

from ffrtmp.domain.event import Event
from ffrtmp.services.context import Context
from ffrtmp.store.events import EventFilter


class History:
    """Reads the events of everybody and everything."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(self, chosen: EventFilter, *, limit: int) -> Sequence[Event]:
        """Events newest first."""
        with self._context.store.read() as tx:
            return tx.events.list(chosen, limit=limit)
