"""What a claim must be answered, worked out from the rows alone before it is."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ffrtmp.services.attempts import Claim
from tests.simulation.work import Key
from tests.simulation.world import RULES, World

TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
QUEUES, PRIORITIES = ("live", "default", "batch"), ("high", "medium", "low")
MOST_DOUBLINGS = 6

Place = tuple[int, int]
Taken = Counter[tuple[str, str, bool]]


@dataclass(frozen=True)
class Due:
    """``best`` is the job to be given, ``goes_on`` the suspended attempt that goes before it."""

    is_open: bool
    is_canary: bool
    has_room: bool
    best: str | None
    goes_on: Key | None


@dataclass(frozen=True)
class Row:
    """A node as its row has it."""

    id: str
    epoch: int
    devices: Sequence[Mapping[str, Any]]
    reserve_live: int
    slots_lost: int
    is_draining: bool
    is_offline: bool
    queues: Sequence[str]
    set_aside: Mapping[str, Mapping[str, Any]]

    @classmethod
    def all_of(cls, world: World) -> Mapping[str, "Row"]:
        """Every node by id."""
        rows = world.store.sql(
            "SELECT id, epoch, json(devices), reserve_live, slots_lost, is_draining, is_offline, "
            "json(queues), json(set_aside) FROM nodes"
        )
        return {
            row[0]: cls(row[0], row[1], json.loads(row[2]), *row[3:7], *map(json.loads, row[7:]))
            for row in rows
        }

    def free(self, device: Mapping[str, Any], taken: Taken, *, is_reserved: bool) -> bool:
        """Whether a slot of a device is free that is kept for the live queue, or one that is not.

        An attempt that commits after it was suspended takes a slot again, free or not.
        """
        busy = {
            one["id"]: taken[self.id, one["id"], False] + taken[self.id, one["id"], True]
            for one in self.devices
        }
        slots = sum(one["slots"] for one in self.devices)
        if busy[device["id"]] >= device["slots"]:
            return False
        if sum(busy.values()) >= slots - self.slots_lost:
            return False
        is_cpu = device["id"] == "cpu"
        alike = [one for one in self.devices if (one["id"] == "cpu") == is_cpu]
        every = sum(one["slots"] for one in alike)
        reserved = min(self.reserve_live, every)
        held = sum(taken[self.id, one["id"], is_reserved] for one in alike)
        return bool(held < (reserved if is_reserved else every - reserved))


def due_for(world: World, asked: Claim, row: Row, rows: Collection[Row]) -> Due:
    """Of a claim by a node that speaks for itself."""
    device = next(one for one in row.devices if one["id"] == asked.device)
    taken = slots_taken(world)
    is_aside = asked.device in row.set_aside or "node" in row.set_aside
    is_canary = is_aside and _may_prove_itself(world, row, asked.device)
    is_drained = row.is_draining and "node" not in row.set_aside
    has_room = row.free(device, taken, is_reserved=asked.is_reserved)
    goes_on = _suspended_on(world, asked)
    best = _best_for(world, asked, row, device, rows)
    goes_first = goes_on is not None and (best is None or goes_on[0] < best[0])
    return Due(
        is_open=not (row.is_offline or is_drained) and (is_canary or not is_aside),
        is_canary=is_canary,
        has_room=has_room,
        best=best[1] if best and has_room and not goes_first else None,
        goes_on=goes_on[1] if goes_on and has_room and goes_first else None,
    )


def slots_taken(world: World) -> Taken:
    """By node, device, and whether it is a reserved slot: of all attempts but suspended ones."""
    query = (
        "SELECT node_id, device, is_reserved FROM attempts WHERE state <> 'ended' AND pause IS NULL"
    )
    return Counter((row[0], row[1], bool(row[2])) for row in world.store.sql(query))


def farm_reading(world: World) -> float:
    """Farm time now."""
    ((seconds, last_pass_at),) = world.store.sql("SELECT seconds, last_pass_at FROM farm")
    last = datetime.strptime(last_pass_at, TIME_FORMAT).replace(tzinfo=UTC)
    gone = (world.now() - last).total_seconds()
    return float(seconds) + min(max(gone, 0.0), RULES.max_advance_seconds)


def base_rank(queue: str, priority: str) -> int:
    """0 for live/high, 8 for batch/low."""
    return QUEUES.index(queue) * len(PRIORITIES) + PRIORITIES.index(priority)


def _may_prove_itself(world: World, row: Row, device: str) -> bool:
    """One job at a time, after a while that doubles with each that failed."""
    query = "SELECT device FROM attempts WHERE node_id = ? AND state <> 'ended' AND pause IS NULL"
    running = [one for (one,) in world.store.sql(query, row.id)]
    is_node = "node" in row.set_aside
    due = {
        name: farm_reading(world)
        >= aside["since_farm"]
        + RULES.canary_after_seconds * 2 ** min(aside["canaries"], MOST_DOUBLINGS)
        for name, aside in row.set_aside.items()
    }
    if is_node:
        return due["node"] and not running and due.get(device, True)
    return due[device] and device not in running


def _suspended_on(world: World, asked: Claim) -> tuple[Place, Key] | None:
    rows = world.store.sql(
        "SELECT rank, sequence_number, job_id, number FROM attempts "
        "JOIN jobs ON jobs.id = job_id WHERE attempts.node_id = ? AND device = ? "
        "AND state <> 'ended' AND pause = 'preempted' AND is_reserved >= ? "
        "ORDER BY rank, sequence_number LIMIT 1",
        asked.node_id,
        asked.device,
        asked.is_reserved,
    )
    return ((rows[0][0], rows[0][1]), (rows[0][2], rows[0][3])) if rows else None


def _best_for(
    world: World, asked: Claim, row: Row, device: Mapping[str, Any], rows: Collection[Row]
) -> tuple[Place, str] | None:
    """Place and id of the best job that is due and that this slot may be given."""
    ((paused,),) = world.store.sql("SELECT json(paused_queues) FROM farm")
    heard = {*row.queues} - json.loads(paused).keys()
    if asked.is_reserved:
        heard &= {"live"}
    gpus = set() if asked.device != "cpu" else _met_by_gpus_with_room(rows, slots_taken(world))
    now, reading = world.now().strftime(TIME_FORMAT), farm_reading(world)
    found = world.store.sql(
        "SELECT rank, sequence_number, id, queue, priority, requires, waiting_farm, "
        "avoid, avoid_until FROM jobs WHERE status = 'pending' "
        "AND (retry_at IS NULL OR retry_at <= ?) "
        "AND (hold_until_farm IS NULL OR hold_until_farm <= ?)",
        now,
        reading,
    )
    able = []
    for rank, number, job_id, queue, priority, need, since, avoid, avoid_until in found:
        leaves = avoid_until is not None and avoid_until > now
        was_there = f"|{row.id}|" in avoid or f"|{row.id}/{asked.device}|" in avoid
        is_patient = leaves or since > reading - RULES.gpu_patience_seconds
        if queue not in heard or need not in device["capabilities"]:
            continue
        if (leaves and was_there) or (need in gpus and is_patient):
            continue
        order = base_rank(queue, priority) if world.rules.max_wait_seconds is None else rank
        able.append(((order, number), job_id))
    return min(able, default=None)


def _met_by_gpus_with_room(rows: Collection[Row], taken: Taken) -> set[str]:
    return {
        need
        for row in rows
        if not (row.is_offline or row.is_draining)
        for device in row.devices
        if device["id"] != "cpu" and device["id"] not in row.set_aside
        if row.free(device, taken, is_reserved=False)
        for need in device["capabilities"]
        if need.startswith("auto:")
    }
