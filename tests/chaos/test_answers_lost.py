"""The network delivers a request and loses its answer."""

from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm


def test_agent_that_does_not_hear_that_it_is_registered_registers_once(farm: ChaosFarm) -> None:
    farm.to_api.drop_answers(2)

    farm.start_agent("one").ready()

    assert farm.to_api.has_dropped
    with farm.store() as store, store.read() as tx:
        kinds = [event.kind for event in tx.events.after(0, limit=100)]
    assert kinds.count(EventKind.NODE_REGISTERED) == 1
    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1
