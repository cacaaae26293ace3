"""The agent is killed at the worst moments of handing its work over, and started again at once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.chaos.lines import COMMIT, REPORT
from tests.chaos.proxy import Proxy
from tests.integration.agents import kill_tree
from tests.waiting import wait_until

FARM_SETTINGS = {"node_timeout": 60.0}
"""A restart is in time on a busy machine too."""


@pytest.mark.parametrize(
    ("hold", "step", "status", "has_its_name"),
    [
        pytest.param(Proxy.hold_requests, COMMIT, JobStatus.RUNNING, False, id="before-commit"),
        pytest.param(Proxy.hold_answers, COMMIT, JobStatus.COMMITTING, False, id="before-rename"),
        pytest.param(Proxy.hold_requests, REPORT, JobStatus.COMMITTING, True, id="before-report"),
        pytest.param(Proxy.hold_answers, REPORT, JobStatus.COMPLETED, True, id="before-answer"),
    ],
)
def test_agent_killed_while_it_hands_over_a_file_completes_that_attempt_after_its_restart(
    farm: ChaosFarm,
    tmp_path: Path,
    hold: Callable[..., None],
    step: str,
    status: JobStatus,
    has_its_name: bool,
) -> None:
    output = tmp_path / "out.mp4"
    hold(farm.to_api, to=step)
    agent = farm.start_agent(f"dies-{tmp_path.name}")
    job = farm.submit(output=str(output))
    wait_until(lambda: farm.to_api.is_holding, what="the moment")
    farm.wait_for(job, status)
    assert output.exists() == has_its_name

    kill_tree(agent)
    farm.to_api.lose_held()
    farm.to_api.heal()
    again = farm.start_agent(agent.state.name)

    wait_until(lambda: again.says("registered ") and not agent.journals(), what="the hand-over")
    done = farm.wait_for(job, JobStatus.COMPLETED)
    assert (done.attempt, done.retry_count) == (1, 0)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [output.name]
    (attempt,) = farm.client.attempts(job.id).attempts
    assert attempt.outcome is Outcome.COMPLETED
    assert f"attempt {job.id}/1 reported as completed" in again.text()
    assert "no longer this node's" not in again.text()
    kinds = Counter(event.kind for event in farm.client.events(job.id).events)
    assert kinds[EventKind.JOB_COMMITTING] == kinds[EventKind.JOB_COMPLETED] == 1
