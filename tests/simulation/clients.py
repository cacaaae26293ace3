"""Who submits jobs to the simulated farm, and repeats that until it is answered."""

from dataclasses import replace

from ffrtmp.domain.job import JobRequest
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.services.jobs import Idempotency
from tests import builders
from tests.simulation.network import Unreachable
from tests.simulation.work import Fate
from tests.simulation.world import World

FATES = {
    Fate.FINE: 65,
    Fate.BROKEN: 7,
    Fate.FLAKY: 11,
    Fate.POISON: 5,
    Fate.STUCK: 7,
    Fate.NOT_FOR_GPUS: 5,
}
NEEDS = {
    (Hardware.AUTO, "auto:h264"): 70,
    (Hardware.CPU, "cpu:hevc"): 15,
    (Hardware.GPU, "gpu:h264"): 15,
}
JOBS, JOBS_IN_A_RUSH = (6, 10), (9, 13)
STREAMS, NO_RETRIES, REMOTE = 0.2, 0.05, 0.2
RUSH, LIVE_FROM_SECONDS = 0.7, 18.0


class Clients:
    """A handful of jobs in the first part of the run."""

    def __init__(self, world: World, fates: dict[str, Fate]) -> None:
        self._world = world
        self._fates = fates
        self.known: list[str] = []
        self.submitted = world.rng.randint(
            *(JOBS_IN_A_RUSH if world.rules.preempts_batch else JOBS)
        )
        for number in range(self.submitted):
            world.after(world.rng.uniform(0.0, 45.0), lambda n=number: self._submit(n))  # type: ignore[misc]

    def _submit(self, number: int) -> None:
        fate = self._world.rng.choices(list(FATES), weights=list(FATES.values()))[0]
        self._send(number, self._request(), fate)

    def _request(self) -> JobRequest:
        rng = self._world.rng
        hardware, requires = rng.choices(list(NEEDS), weights=list(NEEDS.values()))[0]
        asked = builders.request(
            queue=self._queue(),
            priority=rng.choice(list(Priority)),
            requires=requires,
            is_stream=rng.random() < STREAMS,
            max_retries=0 if rng.random() < NO_RETRIES else None,
        )
        spec = dict(asked.spec)
        if rng.random() < REMOTE:
            spec["input"] = "https://example.com/in.mp4"
        return replace(asked, hardware=hardware, spec=spec)

    def _queue(self) -> Queue:
        """Any; where live jobs may take slots, batch ones come first and are in their way."""
        rng, queues = self._world.rng, list(Queue)
        if self._world.rules.preempts_batch and rng.random() < RUSH:
            return Queue.BATCH if self._world.seconds < LIVE_FROM_SECONDS else Queue.LIVE
        return rng.choice(queues)

    def _send(self, number: int, asked: JobRequest, fate: Fate) -> None:
        world = self._world
        key = Idempotency(key=f"k{number}", body_sha256="x")

        def submit() -> str:
            (job,) = world.farm.jobs.submit([asked], idempotency=key)
            self._fates[job.id] = fate
            return job.id

        try:
            self.known.append(world.network.call(submit, can_reach=lambda: True))
        except Unreachable:
            world.after(world.jitter(2.0), lambda: self._send(number, asked, fate))
