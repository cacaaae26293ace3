"""Ctrl-C at any moment, and the same data again."""

import random
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.acceptance.farm import RunningFarm
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

StartFarm = Callable[..., RunningFarm]
STOP_SECONDS = 45.0
SEED = 41


def interrupt(farm: RunningFarm) -> None:
    farm.up.send_signal(signal.SIGINT)
    farm.up.wait(STOP_SECONDS)
    farm.family.assert_gone()


def submit(farm: RunningFarm, duration: str) -> str:
    return farm.client.submit({"scenario": "test-360p", "parameters": {"duration": duration}}).id


def runs(farm: RunningFarm, job: str) -> bool:
    return farm.client.job(job).status == "running"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rounds", [1, 6])
def test_a_farm_interrupted_at_any_moment_goes_on_where_it_was(
    start_farm: StartFarm, rounds: int
) -> None:
    rng = random.Random(SEED)
    farm = start_farm("--slots", "1")
    long = submit(farm, "1h")
    waiting = [submit(farm, "0.1s") for _ in range(4)]
    for _ in range(rounds):
        wait_until(partial(runs, farm, long), what="the long job to run")
        interrupt(farm)
        # And in the middle of its start.
        farm.spawn()
        time.sleep(rng.uniform(0.1, 4.0))
        interrupt(farm)
        farm.start()
    wait_until(partial(runs, farm, long), what="the long job to run")
    seen = farm.client.job(long)
    farm.client.cancel(long)
    ended = [farm.wait_for(job, "completed") for job in waiting]

    assert seen.retry_count == 0
    assert seen.attempt >= rounds + 1
    assert [job.attempt for job in ended] == [1] * len(waiting)
