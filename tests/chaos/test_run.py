"""The randomized run itself: its plan, and a short one."""

import signal
from pathlib import Path

from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.chaos.plan import Fault, draw
from tests.chaos.run import run
from tests.invariants import file_violations, violations


def test_plan_is_the_seeds_own_and_long_ones_draw_every_fault() -> None:
    plan = draw(7, jobs=300, seconds=300)

    assert plan == draw(7, jobs=300, seconds=300)
    assert plan != draw(8, jobs=300, seconds=300)
    assert {strike.fault for strike in plan.strikes} == set(Fault)
    assert len(plan.requests) == 300


def test_short_run_of_random_faults_breaks_no_invariant(tmp_path: Path) -> None:
    outcome = run(draw(3, jobs=15, seconds=12), tmp_path)

    assert outcome.violations == []
    assert outcome.jobs[JobStatus.COMPLETED] > 0
    assert sum(outcome.faults.values()) > 2


def test_checker_sees_a_stuck_job_a_wrong_file_and_a_leftover(farm: ChaosFarm) -> None:
    agent = farm.start_agent("one").ready()
    done = farm.wait_for(farm.submit(), JobStatus.COMPLETED)
    assert done.result is not None
    agent.end(signal.SIGTERM)
    waiting = farm.submit()
    output = Path(done.result["output"])
    kept = output.read_bytes()
    leftover = output.with_suffix(".part")
    leftover.touch()
    output.write_bytes(b"something else")

    with farm.store() as store:
        found = violations(store) + file_violations(store, agent.state)

    assert f"job {waiting.sequence_number} is stuck: pending" in found
    assert any("is not the accepted file" in line for line in found)
    assert any("was left behind" in line for line in found)
    assert len(found) == 3
    output.write_bytes(kept)
    leftover.unlink()
