"""Random interleavings of what clients, nodes, control and operators do, on the real services."""

from collections.abc import Sequence
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis.stateful import initialize, precondition, rule

from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.jobs import Idempotency
from tests import builders
from tests.contract.steps import MOSTLY, Agent, FarmSteps, at, key_of
from tests.contract.watch import Key

NODES = ("node-1", "node-2", "node-3")
NEEDS = ("auto:h264", "auto:av1")
ON_GPU = "gpu:h264"
WITH_GPU = "node-1"
PASS_SECONDS = 10
MOST_JOBS = 8
ROUNDS_TO_REST = 40

pick = st.integers(0, 11)
queues = st.sampled_from(list(Queue))
priorities = st.sampled_from(list(Priority))
needs = st.sampled_from([*NEEDS, NEEDS[0], ON_GPU])
devices = st.sampled_from([CPU_DEVICE, CPU_DEVICE, "gpu0"])
failures = st.sampled_from([None, None, FailureClass.ENCODER, FailureClass.BAD_INPUT])
hashes = st.sampled_from([builders.SHA_A, builders.SHA_B])
twice = st.booleans()


class FarmMachine(FarmSteps):
    """Whatever is sent may be repeated at once, or come again later."""

    # clients

    @precondition(lambda self: len(self.jobs) < MOST_JOBS)
    @rule(
        queue=queues, priority=priorities, requires=needs,
        is_stream=st.booleans(), retries=st.sampled_from([None, 0]), twice=twice,
    )  # fmt: skip
    def submit(
        self,
        queue: Queue,
        priority: Priority,
        requires: str,
        is_stream: bool,
        retries: int | None,
        twice: bool,
    ) -> None:
        asked = builders.request(
            queue=queue,
            priority=priority,
            requires=requires,
            is_stream=is_stream,
            max_retries=retries,
            hardware=Hardware.GPU if requires == ON_GPU else Hardware.AUTO,
        )
        key = Idempotency(key=f"k{len(self.jobs)}", body_sha256="x")
        jobs = self._send(lambda: self.farm.jobs.submit([asked], idempotency=key), twice=twice)
        assert jobs is not None
        assert self.jobs.count(jobs[0].id) == 0
        self.jobs.append(jobs[0].id)

    @precondition(lambda self: self.jobs)
    @rule(which=pick, twice=twice)
    def cancel(self, which: int, twice: bool) -> None:
        job_id = at(self.jobs, which)
        self._send(lambda: self.farm.jobs.cancel(job_id), twice=twice, confirms=False)

    @precondition(lambda self: self._ended())
    @rule(which=pick, twice=twice)
    def retry(self, which: int, twice: bool) -> None:
        job_id = at(self._ended(), which)
        self._send(lambda: self.farm.jobs.retry(job_id), twice=twice, retried=job_id)

    @precondition(lambda self: self.jobs)
    @rule(which=pick, queue=queues, priority=priorities, twice=twice)
    def reprioritize(self, which: int, queue: Queue, priority: Priority, twice: bool) -> None:
        job_id = at(self.jobs, which)
        self._send(
            lambda: self.farm.jobs.reprioritize(job_id, queue=queue, priority=priority),
            twice=twice,
        )

    @precondition(lambda self: self.grants)
    @rule(which=pick, is_paused=st.booleans(), twice=twice)
    def pause_or_resume(self, which: int, is_paused: bool, twice: bool) -> None:
        job_id = self._grant(which).job.id
        jobs = self.farm.jobs
        self._send(lambda: jobs.pause(job_id) if is_paused else jobs.resume(job_id), twice=twice)

    @rule(queue=queues, is_paused=st.sampled_from([True, False, False]), twice=twice)
    def pause_or_resume_queue(self, queue: Queue, is_paused: bool, twice: bool) -> None:
        service = self.farm.queues
        self._send(
            lambda: service.pause(queue, reason="r") if is_paused else service.resume(queue),
            twice=twice,
        )

    # nodes

    @initialize(
        asked=st.lists(st.tuples(queues, priorities, needs, st.booleans()), min_size=3, max_size=5),
        is_busy=st.booleans(),
    )
    def farm_begins(self, asked: list[tuple[Queue, Priority, str, bool]], is_busy: bool) -> None:
        """Some jobs, and three nodes, of which the first can run everything."""
        for queue, priority, requires, is_stream in asked:
            self.submit(queue, priority, requires, is_stream, retries=None, twice=False)
        self.register("node-1", 2, list(Queue), NEEDS, frozenset())
        self.register("node-2", 1, list(Queue), NEEDS[:1], frozenset())
        self.register("node-3", 1, list(Queue)[:1], NEEDS, frozenset())
        if is_busy:
            self.live_job_finds_all_busy(Priority.LOW, NEEDS[0])
            self.slot_changes_hands(0, CPU_DEVICE, resumes=True)

    def register(
        self,
        node_id: str,
        slots: int,
        queues: Sequence[Queue],
        able: Sequence[str],
        holding: frozenset[Key],
    ) -> None:
        """A new process of a node, which still holds some of the work of the last one."""
        said = builders.registration(
            node_id,
            devices=_devices(node_id, slots, able),
            queues=tuple(queues),
            holding=holding,
        )
        registered = self._send(lambda: self.farm.nodes.register(said), is_idempotent=False)
        assert registered is not None
        assert registered.refused == []
        self.agents[node_id] = Agent(registered.view.node.epoch)
        self.watch.heard[node_id] = self.watch.time.reading(self.world.clock())
        assert set(self.watch.rows.held_by(node_id)) == holding

    @precondition(lambda self: self._waiting())
    @rule(
        which=pick, device=devices, steps=st.integers(1, 4), failure=failures, moves=st.booleans()
    )
    def work(
        self, which: int, device: str, steps: int, failure: FailureClass | None, moves: bool
    ) -> None:
        """What a node does with a hint, up to some step; without it few jobs would get far."""
        known = len(self.grants)
        self.claim(which, device, twice=False)
        if len(self.grants) == known or steps < 2:
            return
        self.heartbeat(which, set(), moves, twice=False)
        if steps > 2 and failure is not None:
            self.fail(0, failure, twice=False)
        elif steps > 2:
            self.commit(0, builders.SHA_A, twice=False)
        if steps > 3 and failure is None:
            self.complete(0, builders.SHA_A, has_lease=1, twice=False)

    @rule(which=pick, device=devices, twice=twice)
    def claim(self, which: int, device: str, twice: bool) -> None:
        node_id, agent = at(list(self.agents.items()), which)
        agent.claims += 1
        claim_id = f"{agent.epoch}-{agent.claims}"
        device = device if node_id == WITH_GPU else CPU_DEVICE
        asked = builders.claim(node_id, claim_id, epoch=agent.epoch, seq=agent.seq, device=device)
        self.claims.append(asked)
        self._claim(asked, twice=twice)

    @precondition(lambda self: len(self.jobs) < MOST_JOBS - 2)
    @rule(priority=priorities, requires=needs)
    def live_job_finds_all_busy(self, priority: Priority, requires: str) -> None:
        """Every node claims batch jobs until it has no slot left; then a live one comes."""
        for _ in range(2):
            self.submit(Queue.BATCH, priority, NEEDS[0], False, retries=None, twice=False)
        for which in range(len(self.agents)):
            self.claim(which, CPU_DEVICE, twice=False)
            self.claim(which, "gpu0", twice=False)
        self.submit(Queue.LIVE, priority, requires, False, retries=None, twice=False)

    @precondition(lambda self: self.grants)
    @rule(which=pick, device=devices, resumes=st.booleans())
    def slot_changes_hands(self, which: int, device: str, resumes: bool) -> None:
        """A job is paused, another one gets its slot, and it is to go on."""
        job_id = self._grant(which).job.id
        self._send(lambda: self.farm.jobs.pause(job_id))
        self.claim(which, device, twice=False)
        if resumes:
            self._send(lambda: self.farm.jobs.resume(job_id))

    @precondition(lambda self: self.claims)
    @rule(which=pick)
    def claim_comes_late(self, which: int) -> None:
        self._claim(at(self.claims, which), twice=False)

    @rule(which=pick, omitted=st.sets(st.integers(0, 2)), moves=st.booleans(), twice=twice)
    def heartbeat(self, which: int, omitted: set[int], moves: bool, twice: bool) -> None:
        node_id, agent = at(list(self.agents.items()), which)
        agent.seq += 1
        mine = [grant for grant in self.grants if grant.attempt.node_id == node_id]
        mark = str(agent.seq) if moves else "still"
        said = [
            builders.progress_of(grant, mark=mark)
            for place, grant in enumerate(mine[-4:])
            if place not in omitted
        ]
        beat = builders.beat(node_id, *said, seq=agent.seq, epoch=agent.epoch)
        self.beats.append(beat)
        self._beat(beat, twice=twice)

    @precondition(lambda self: self.beats)
    @rule(which=pick)
    def heartbeat_comes_late(self, which: int) -> None:
        self._beat(at(self.beats, which), twice=False)

    @precondition(lambda self: self.grants)
    @rule(which=pick, sha256=hashes, twice=twice)
    def commit(self, which: int, sha256: str, twice: bool) -> None:
        grant = self._grant(which)
        is_file = not grant.job.is_stream

        def commit() -> object:
            return self.farm.attempts.commit(
                grant.job.id,
                grant.attempt.number,
                node_id=grant.attempt.node_id,
                lease=grant.attempt.lease,
                size=7 if is_file else None,
                sha256=sha256 if is_file else None,
            )

        if self._send(commit, twice=twice) is not None:
            self.watch.renewed(key_of(grant), self.world.clock())

    @precondition(lambda self: self.grants)
    @rule(which=pick, sha256=hashes, has_lease=st.integers(0, 7), twice=twice)
    def complete(self, which: int, sha256: str, has_lease: int, twice: bool) -> None:
        grant = self._grant(which)
        said = builders.completed(grant, sha256=sha256)
        if grant.job.is_stream:
            said = replace(said, sha256=None)
        self._report(grant, replace(said, lease=said.lease if has_lease else "x" * 16), twice)

    @precondition(lambda self: self.grants)
    @rule(which=pick, failure=st.sampled_from(list(FailureClass)), twice=twice)
    def fail(self, which: int, failure: FailureClass, twice: bool) -> None:
        grant = self._grant(which)
        self._report(grant, builders.failed(grant, failure), twice)

    @precondition(lambda self: self.grants)
    @rule(which=pick, by=pick, twice=twice)
    def release(self, which: int, by: int, twice: bool) -> None:
        grant = self._grant(which)
        node_id = grant.attempt.node_id if by < MOSTLY else "node-3"

        def release() -> bool:
            self.farm.attempts.release(
                grant.job.id,
                grant.attempt.number,
                node_id=node_id,
                lease=grant.attempt.lease,
                reason="drain",
            )
            return True

        self._send(release, twice=twice)

    @precondition(lambda self: self.grants)
    @rule(which=pick, offset=st.integers(0, 6), twice=twice)
    def log(self, which: int, offset: int, twice: bool) -> None:
        grant = self._grant(which)
        self._send(
            lambda: self.farm.attempts.append_log(
                grant.job.id,
                grant.attempt.number,
                node_id=grant.attempt.node_id,
                lease=grant.attempt.lease,
                offset=offset,
                text="abc",
            ),
            twice=twice,
        )

    @precondition(lambda self: self.sent)
    @rule(which=pick)
    def old_request_comes_again(self, which: int) -> None:
        call, confirms = at(self.sent, which)
        self._deliver(call, confirms=confirms)

    # operators, control and the world

    @rule(which=pick, keeps=st.integers(0, 2), is_able=st.booleans())
    def restart(self, which: int, keeps: int, is_able: bool) -> None:
        """A new process of a node, perhaps with other hardware."""
        node_id = at(NODES, which)
        holding = frozenset(self.watch.rows.held_by(node_id)[:keeps])
        able = NEEDS if is_able else NEEDS[:1]
        self.register(node_id, 1 + which % 3, list(Queue)[: 2 + is_able], able, holding)

    @rule(which=pick, what=st.sampled_from(["drain", "undrain", "remove"]), twice=twice)
    def operate(self, which: int, what: str, twice: bool) -> None:
        if what == "remove":
            self.remove_node(at(NODES, which))
        else:
            self.drain(at(NODES, which), is_draining=what == "drain", twice=twice)

    @rule(is_up=st.booleans())
    def broker_forgets(self, is_up: bool) -> None:
        self.world.bell.hints.clear()
        self.world.bell.is_up = is_up

    def drain(self, node_id: str, is_draining: bool, twice: bool) -> None:
        service = self.farm.nodes
        self._send(
            lambda: service.drain(node_id, reason="r") if is_draining else service.undrain(node_id),
            twice=twice,
            may_repeat=False,
        )

    def remove_node(self, node_id: str) -> None:
        held = self.watch.rows.held_by(node_id)
        known = node_id in self.watch.rows.nodes
        self._send(lambda: self.farm.nodes.remove(node_id), is_idempotent=False)
        assert (node_id in self.watch.rows.nodes) == bool(known and held)

    @rule(
        turns=st.sampled_from([1, 2, 4, 7]),
        is_api_up=st.sampled_from([True, True, False]),
        is_control_up=st.sampled_from([True, True, True, False]),
        retains=st.booleans(),
    )
    def time_passes(self, turns: int, is_api_up: bool, is_control_up: bool, retains: bool) -> None:
        for _ in range(turns):
            self.world.clock.pass_seconds(PASS_SECONDS)
            if is_api_up:
                self.farm.prove_alive()
                self.watch.time.api_was_alive = True
            if is_control_up:
                self._pass()
        if retains:
            self.farm.retention.run_once()
            self.watch.changed()

    @rule(seconds=st.sampled_from([1, 2, 4, 7, -30, 30, -600, 600]))
    def clock_moves(self, seconds: int) -> None:
        """Between passes, or by a step."""
        self.world.clock.pass_seconds(seconds)

    def teardown(self) -> None:
        """With every part alive and one node that can run all, every job ends."""
        self.world.bell.is_up = True
        for queue in Queue:
            self.pause_or_resume_queue(queue, is_paused=False, twice=False)
        for _ in range(ROUNDS_TO_REST):
            if all(row["completed_at"] for row in self.watch.rows.jobs.values()):
                return
            self.time_passes(2, is_api_up=True, is_control_up=True, retains=False)
            self.register("node-1", 3, list(Queue), NEEDS, frozenset())
            self.drain("node-1", is_draining=False, twice=False)
            known = len(self.grants)
            while len(self.grants) < known + 3 and self._starts_one():
                pass
            for which in range(len(self.grants) - known):
                self.commit(which, builders.SHA_A, twice=False)
                self.complete(which, builders.SHA_A, has_lease=1, twice=False)
        raise AssertionError(f"stuck: {self.watch.rows.jobs}")

    def _starts_one(self) -> bool:
        known = len(self.grants)
        for device in (CPU_DEVICE, "gpu0"):
            which = len(self.agents) - 1 - list(self.agents).index(WITH_GPU)
            self.claim(which, device, twice=False)
        return len(self.grants) > known


def _devices(node_id: str, slots: int, able: Sequence[str]) -> tuple[Device, ...]:
    cpu = builders.cpu(slots=slots, capabilities=tuple(able))
    return (cpu, builders.gpu(slots=1)) if node_id == WITH_GPU else (cpu,)
