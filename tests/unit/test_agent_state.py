"""Identity, spool and ledger: what an agent remembers, on disk and in memory."""

import os
import stat
import time
from pathlib import Path

import pytest

from ffrtmp.schemas import ResultRequest
from workers.backoff import jittered_delays
from workers.errors import StateFolderTaken, StateUnreadable
from workers.identity import load_or_create, open_state_folder
from workers.ledger import Held, Ledger, Progress, StopReason
from workers.node import cpu_slots, encoder_threads
from workers.spool import Journal, Phase, Spool

LEASE = "lease-lease-lease-lease"


def _journal(**known: object) -> Journal:
    return Journal.model_validate(
        {"job_id": "job-1", "attempt": 2, "lease": LEASE, "phase": Phase.RUNNING} | known
    )


def _held(number: int = 1) -> Held:
    return Held(job_id="job-1", number=number, lease=LEASE)


def test_first_start_saves_an_identity_that_only_its_owner_can_read(tmp_path: Path) -> None:
    identity = load_or_create(tmp_path)

    assert load_or_create(tmp_path) == identity
    assert stat.S_IMODE((tmp_path / "node.json").stat().st_mode) == 0o600
    assert identity.token not in repr(identity)


def test_damaged_identity_is_named_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text("{")

    with pytest.raises(StateUnreadable, match=r"node\.json is damaged"):
        load_or_create(tmp_path)


def test_state_folder_in_use_is_refused_until_it_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    lock = open_state_folder(folder)

    with pytest.raises(StateFolderTaken, match="in use by another agent"):
        open_state_folder(folder)

    os.close(lock)
    os.close(open_state_folder(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_journal_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    result = ResultRequest(
        job_id="job-1", node_id="node", attempt=2, lease=LEASE, status="completed", logs="é\n"
    )
    journal = _journal(
        phase=Phase.ENCODED, sha256="a" * 64, size=7, temporary=Path("/x/.a.part"), result=result
    )
    Spool(tmp_path).save(_journal())

    Spool(tmp_path).save(journal)

    assert Spool(tmp_path).journals() == [journal]


def test_removed_journal_is_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.save(_journal())

    spool.remove(_journal())

    assert spool.journals() == []


def test_scratch_folder_is_private_starts_empty_and_goes_with_its_block(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    left = tmp_path / "job-1-2" / "scratch" / "left by a process that died"
    left.mkdir(parents=True)

    with spool.scratch_folder(_journal()) as folder:
        assert list(folder.iterdir()) == []
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "log").write_text("x")

    assert not left.parent.exists()


def test_damaged_journal_is_set_aside_and_does_not_hide_the_others(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.save(_journal())
    (tmp_path / "job-0-1").mkdir()
    (tmp_path / "job-0-1" / "journal.json").write_bytes(b"\x00\xff")

    assert spool.journals() == [_journal()]
    assert (tmp_path / "job-0-1.damaged").is_dir()


def test_job_id_that_is_a_path_is_not_used_as_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        Spool(tmp_path).save(_journal(job_id="../../etc"))


def test_claim_becomes_an_attempt_in_one_step() -> None:
    ledger = Ledger()
    claim = ledger.begin_claim()
    before = ledger.build_heartbeat()
    held = _held()

    ledger.admit(held, claim_id=claim.claim_id)

    after = ledger.build_heartbeat()
    assert (before.claims_in_flight, before.attempts) == ((claim.claim_id,), ())
    assert (after.claims_in_flight, after.attempts) == ((), (held,))
    assert (claim.heartbeat_seq, before.seq, after.seq) == (0, 1, 2)


def test_first_order_to_stop_stays() -> None:
    held, calls = _held(), []
    held.on_stop(lambda: calls.append("stopped"))

    held.stop(StopReason.CANCELED)
    held.stop(StopReason.RELEASED)

    assert held.stop_reason is StopReason.CANCELED
    assert calls == ["stopped"]


def test_process_that_starts_after_the_order_to_stop_is_stopped_at_once() -> None:
    held, calls = _held(), []
    held.stop(StopReason.GONE)

    held.on_stop(lambda: calls.append("stopped"))

    assert calls == ["stopped"]


def test_mark_of_a_silent_step_differs_in_every_heartbeat() -> None:
    held = _held()
    held.progress = Progress(
        phase="verifying", mark="verifying", ends_by=time.monotonic() + 60, is_silent=True
    )

    assert held.beat(1).mark != held.beat(2).mark


def test_mark_of_an_encode_that_does_not_move_stays() -> None:
    held = _held()
    held.progress = Progress(phase="encoding", mark="encoding 5", fraction=7.0)

    assert held.beat(1).mark == held.beat(2).mark
    assert held.beat(1).progress == 1.0


@pytest.mark.parametrize(
    ("asked", "cores", "expected"),
    [(None, 1, (1, 1)), (None, 2, (1, 2)), (None, 8, (4, 2)), (3, 8, (3, 2)), (9, 2, (9, 1))],
)
def test_slots_follow_the_cores_and_share_them(
    asked: int | None, cores: int, expected: tuple[int, int]
) -> None:
    slots = cpu_slots(asked, cores)

    assert (slots, encoder_threads(slots, cores)) == expected


@pytest.mark.parametrize("cores", [*range(1, 34), 48, 64, 96, 128, 256])
def test_encoder_threads_of_all_slots_never_exceed_the_cores(cores: int) -> None:
    for asked in (None, *range(1, 257)):
        on_cpu = cpu_slots(asked, cores)
        assert asked is None or on_cpu == asked
        for on_gpus in (0, 2, 16):
            slots = on_cpu + on_gpus
            threads = encoder_threads(slots, cores)

            assert (threads == 1) if slots > cores else (slots * threads <= cores)


def test_delays_grow_to_their_cap_and_are_spread() -> None:
    delays = jittered_delays(base_seconds=1, cap_seconds=4)

    drawn = [next(delays) for _ in range(5)]

    ceilings = [1, 2, 4, 4, 4]
    assert all(c / 2 <= d <= c for c, d in zip(ceilings, drawn, strict=True))
