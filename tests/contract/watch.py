"""What must hold after every step, from rows and events, and from a small model beside the farm.

The model is told what was asked and answered; it works out by itself which job is best, how far
farm time is, and until when each lease runs. It never asks the services.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import attempt_logs, attempts, events, farm, jobs, nodes

Row = Mapping[str, Any]
Key = tuple[str, int]
TERMINAL = {"completed", "failed", "canceled"}
LEASED = {"running": "running", "paused": "running", "committing": "committing"}
"""Statuses of jobs that hold a lease, and the state that their attempt then has."""
MOVES = {
    "pending": {"running", "canceled"},
    "running": {"paused", "committing", "pending", "failed", "canceled"},
    "paused": {"running", "committing", "pending", "failed", "canceled"},
    "committing": {"completed", "pending", "failed"},
    "completed": set(),
    "failed": set(),
    "canceled": set(),
}
SPENDING = {"failed", "node_lost"}
QUEUE_WEIGHTS = {"live": 10, "default": 5, "batch": 1}
PRIORITY_WEIGHTS = {"high": 3, "medium": 2, "low": 1}


@dataclass(frozen=True, slots=True)
class Rows:
    """Every row of the farm that a refused request must leave as it is."""

    jobs: Mapping[str, Row]
    attempts: Mapping[Key, Row]
    nodes: Mapping[str, Row]
    logs: Mapping[Key, Row]
    paused: frozenset[str]
    last_event: int

    @classmethod
    def of(cls, store: Store) -> "Rows":
        with store.read() as tx:
            db = tx.clock._db
            return cls(
                jobs={row["id"]: row for row in _all(db, jobs)},
                attempts={(row["job_id"], row["number"]): row for row in _all(db, attempts)},
                nodes={row["id"]: row for row in _all(db, nodes)},
                logs={(row["job_id"], row["number"]): row for row in _all(db, attempt_logs)},
                paused=frozenset(db.execute(sa.select(farm.c.paused_queues)).scalar() or ()),
                last_event=db.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0,
            )

    def held_by(self, node_id: str) -> Sequence[Key]:
        """The leases of a node."""
        return [
            key
            for key, row in self.attempts.items()
            if row["node_id"] == node_id and row["state"] != "ended"
        ]

    def holders(self, node_id: str, device: str | None = None) -> Sequence[Key]:
        """The leases that take up slots of a node, or of one device: not suspended ones."""
        return [
            key
            for key in self.held_by(node_id)
            if self.attempts[key]["pause"] is None
            and device in (None, self.attempts[key]["device"])
        ]

    def has_room(self, node: Row, device: str) -> bool:
        """Whether a device has a free slot."""
        slots = slots_of(node)
        here = {name: len(self.holders(node["id"], name)) for name in slots}
        is_free = here[device] < slots[device]
        return is_free and sum(here.values()) < sum(slots.values()) - node["slots_lost"]

    def next_on(self, node_id: str, device: str) -> Key | None:
        """Of the attempts that made room there, the one whose job has the best place."""
        found = [
            key
            for key in self.held_by(node_id)
            if self.attempts[key]["pause"] == "preempted" and self.attempts[key]["device"] == device
        ]
        return min(found, key=lambda key: place(self.jobs[key[0]]), default=None)


@dataclass
class FarmTime:
    """Seconds in which the farm could have heard a node."""

    most: float
    last_pass: datetime
    seconds: float = 0.0
    api_was_alive: bool = False

    def made_pass(self, now: datetime) -> None:
        """Control made a pass."""
        if self.api_was_alive:
            self.seconds = self.reading(now)
        self.last_pass, self.api_was_alive = now, False

    def reading(self, now: datetime) -> float:
        """What something that happens now is stamped with."""
        gone = (now - self.last_pass).total_seconds()
        return self.seconds + min(max(gone, 0.0), self.most)


@dataclass
class Watch:
    """Compares the rows before and after each step; an AssertionError says what must not be.

    A lease surely runs until ``sure``, and perhaps until ``may``: whether a late heartbeat renews
    it is the farm's to choose. ``ended_here`` are attempts whose node said that they ended.
    """

    store: Store
    rules: FarmPolicy
    time: FarmTime
    sure: dict[Key, float] = field(default_factory=dict)
    may: dict[Key, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)
    ended_here: set[Key] = field(default_factory=set)
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Rows.of(self.store)

    def best_for(self, node: Row, device: str, now: datetime) -> str | None:
        """The id of the job that a claim for a device must be given, if it has room."""
        gpus = () if device != CPU_DEVICE else self._met_by_gpus_with_room()
        able = [
            row
            for row in self._due(now, self.time.reading(now))
            if row["queue"] in node["queues"]
            and row["requires"] in able_on(node, device)
            and not (_avoids(row, node["id"], device) and _leaves(row, now))
            and not (row["requires"] in gpus and self._is_left_to_gpus(row, now))
        ]
        return min(able, key=place)["id"] if able else None

    def _due(self, now: datetime, reading: float) -> Sequence[Row]:
        return [
            row
            for row in self.rows.jobs.values()
            if row["status"] == "pending"
            and row["queue"] not in self.rows.paused
            and (row["retry_at"] is None or row["retry_at"] <= now)
            and (row["hold_until_farm"] is None or row["hold_until_farm"] <= reading)
        ]

    def _met_by_gpus_with_room(self) -> set[str]:
        return {
            need
            for node in self.rows.nodes.values()
            if is_open(node)
            for device in slots_of(node)
            if device != CPU_DEVICE and self.rows.has_room(node, device)
            for need in able_on(node, device)
            if need.startswith("auto:")
        }

    def _is_left_to_gpus(self, row: Row, now: datetime) -> bool:
        patience = self.rules.gpu_patience_seconds
        return _leaves(row, now) or row["waiting_farm"] > self.time.reading(now) - patience

    def renewed(self, key: Key, now: datetime, *, surely: bool = True) -> None:
        """The farm said that this lease goes on."""
        until = self.time.reading(now) + self.rules.node_timeout_seconds
        self.may[key] = max(self.may.get(key, 0.0), until)
        if surely:
            self.sure[key] = until

    def nobody_publishes(self, key: Key, now: datetime) -> None:
        """A stream begins: every earlier attempt of it ended, or its lease has run out."""
        for other, until in self.may.items():
            if other[0] == key[0] and other[1] < key[1] and other not in self.ended_here:
                assert until <= self.time.reading(now), f"{key} begins while {other} may publish"

    def changed(self, *, retried: str | None = None, confirms: bool = True) -> None:
        """A step is over. ``retried`` is the job an operator asked again; ``confirms`` is False
        where attempts are ended without their node."""
        before, self.rows = self.rows, Rows.of(self.store)
        spent = self._ended_attempts(before, confirms=confirms)
        news = self._events_since(before.last_event)
        for job_id, was in before.jobs.items():
            self._job_moved(was, self.rows.jobs.get(job_id), spent[job_id], news[job_id], retried)
        held = defaultdict(list)
        for (job_id, number), attempt in self.rows.attempts.items():
            held[job_id].append((number, attempt))
        for node in self.rows.nodes.values():
            self._slots_suffice(node, before)
        for job in self.rows.jobs.values():
            _attempts_fit(job, sorted(held[job["id"]], key=lambda one: one[0]))
        assert held.keys() <= self.rows.jobs.keys(), "attempts without their job"

    def unchanged(self) -> None:
        """A request was refused, or repeated: every row is as before.

        Only a stream's hold may go: its node's last word came late, and was refused.
        """
        now = Rows.of(self.store)
        assert _without_holds(now) == _without_holds(self.rows)
        assert now.last_event == self.rows.last_event
        self.rows = now

    def passed(self, before: Rows) -> None:
        """After a pass: whoever was heard in time is kept, whoever was not is lost."""
        now = self.time.seconds
        with self.store.read() as tx:
            assert tx.clock.read().seconds == now, "farm time went another way"
        for key, row in self.rows.attempts.items():
            if row["state"] != "ended":
                assert self.may[key] > now, f"{key} outlives its lease"
            elif before.attempts[key]["state"] != "ended" and row["outcome"] == "node_lost":
                assert self.sure[key] <= now, f"{key} was lost before its time"
        for node_id, row in self.rows.nodes.items():
            is_silent = self.heard[node_id] <= now - self.rules.node_timeout_seconds
            assert row["is_offline"] == is_silent, f"{node_id} is offline: {row['is_offline']}"
            self._nobody_waits_for_nothing(row)

    def _nobody_waits_for_nothing(self, node: Row) -> None:
        """After a pass: what made room goes on where a slot is free and no better job waits."""
        for device in slots_of(node):
            key = self.rows.next_on(node["id"], device)
            if key is None or not self.rows.has_room(node, device):
                continue
            better = [
                row
                for row in self._due(self.time.last_pass, self.time.seconds)
                if row["queue"] in node["queues"]
                and row["requires"] in able_on(node, device)
                and place(row) < place(self.rows.jobs[key[0]])
            ]
            assert is_open(node), f"{key} waits, though no job may come"
            assert better, f"{key} waits for nothing"

    def _slots_suffice(self, node: Row, before: Rows) -> None:
        """Whoever starts or goes on has a slot of its device."""
        for device, slots in slots_of(node).items():
            holders = self.rows.holders(node["id"], device)
            began = [
                key
                for key in holders
                if key not in before.holders(node["id"], device)
                and self.rows.attempts[key]["state"] == "running"
            ]
            assert not began or len(holders) <= slots, f"{began} began beyond {slots} slots"

    def hints_suffice(self, waiting: Counter[str], now: datetime) -> None:
        """After a pass with a broker: every due job has a hint on its queue."""
        due = Counter(row["queue_name"] for row in self._due(now, self.time.seconds))
        assert due <= waiting, f"{due} jobs are due, {waiting} hints wait"

    def _ended_attempts(self, before: Rows, *, confirms: bool) -> Counter[str]:
        spent: Counter[str] = Counter()
        for key, was in before.attempts.items():
            now = self.rows.attempts.get(key)
            if was["state"] == "ended":
                assert now in (None, was), f"{key} changed after its end"
            elif now is not None and now["state"] == "ended":
                spent[key[0]] += now["outcome"] in SPENDING
                self._may_end(key, was, now, confirms=confirms)
                if confirms:
                    self.ended_here.add(key)
            else:
                assert now is not None, f"{key} vanished while it was live"
        return spent

    def _may_end(self, key: Key, was: Row, now: Row, *, confirms: bool) -> None:
        """The farm ends none as stalled while it is suspended, whatever its node may do; what
        makes room is a running batch encode."""
        is_stalled = was["pause"] and now["failure_class"] == "stalled"
        assert confirms or not is_stalled, f"{key} could not move"
        if now["outcome"] == "preempted":
            job = self.rows.jobs[key[0]]
            assert (was["state"], was["pause"]) == ("running", None), f"{key} had no slot to give"
            assert (job["queue"], job["is_stream"]) == ("batch", False), f"{key} made room"

    def _events_since(self, event_id: int) -> Mapping[str, Sequence[str]]:
        found = defaultdict(list)
        query = sa.select(events.c.job_id, events.c.kind).where(events.c.id > event_id)
        with self.store.read() as tx:
            for job_id, kind in tx.clock._db.execute(query.order_by(events.c.id)):
                found[job_id].append(kind)
        return found

    def _job_moved(
        self, was: Row, now: Row | None, spent: int, news: Sequence[str], retried: str | None
    ) -> None:
        name = f"job {was['sequence_number']} ({was['status']})"
        if now is None:
            assert was["status"] in TERMINAL, f"{name} vanished"
            return
        is_again = retried == was["id"] and now["status"] == "pending" != was["status"]
        if now["status"] != was["status"]:
            is_move = now["status"] in MOVES[was["status"]]
            assert is_move or is_again, f"{name} became {now['status']}"
        fresh = 0 if is_again else was["failures"] + spent
        # A node set aside gives its jobs their failures back.
        least = 0 if "job.failures_forgiven" in news else fresh
        assert least <= now["failures"] <= fresh, f"{name} has {now['failures']} not {fresh}"
        started = news.count("job.claimed")
        assert now["attempt"] == was["attempt"] + started, f"{name} counts its attempts wrongly"
        assert bool(news) or now["status"] == was["status"], f"{name} changed without an event"


def _attempts_fit(job: Row, held: Sequence[tuple[int, Row]]) -> None:
    name = f"job {job['sequence_number']} ({job['status']})"
    numbers = [number for number, _ in held]
    assert numbers == list(range(1, job["attempt"] + 1)), f"{name} has attempts {numbers}"
    live = {number: row["state"] for number, row in held if row["state"] != "ended"}
    is_leased = job["status"] in LEASED
    held_as = {job["attempt"]: LEASED[job["status"]]} if is_leased else {}
    assert live == held_as, f"{name} has {live}"
    suspended = [number for number, row in held if row["pause"] is not None]
    is_paused = job["status"] == "paused"
    assert suspended == ([job["attempt"]] if is_paused else []), f"{name}: {suspended} suspended"
    accepted = [row for _, row in held if row["outcome"] == "completed"]
    assert len(accepted) == (job["status"] == "completed"), f"{name} accepted {len(accepted)}"
    if accepted:
        assert job["result"]["sha256"] == accepted[0]["sha256"], f"{name} has another hash"
    assert job["failures"] <= 1 + job["max_retries"], f"{name} failed {job['failures']} times"
    node_id = held[-1][1]["node_id"] if held else None
    if is_leased or job["status"] == "pending":
        assert job["node_id"] == (node_id if is_leased else None), f"{name} names another node"
    assert (job["completed_at"] is not None) == (job["status"] in TERMINAL), f"{name}: when?"


def is_open(node: Row) -> bool:
    """Whether a node may be given work."""
    return not (node["is_draining"] or node["is_offline"])


def slots_of(node: Row) -> Mapping[str, int]:
    """How many slots each device of a node has."""
    return {device["id"]: device["slots"] for device in node["devices"]}


def able_on(node: Row, device: str) -> Sequence[str]:
    """What a device can run."""
    found = [one["capabilities"] for one in node["devices"] if one["id"] == device]
    return [need for able in found for need in able]


def _avoids(row: Row, node_id: str, device: str) -> bool:
    return f"|{node_id}|" in row["avoid"] or f"|{node_id}/{device}|" in row["avoid"]


def _leaves(row: Row, now: datetime) -> bool:
    return row["avoid_until"] is not None and row["avoid_until"] > now


def place(row: Row) -> tuple[int, int, int]:
    """Whose turn it is: the smaller one's."""
    return (
        -QUEUE_WEIGHTS[row["queue"]],
        -PRIORITY_WEIGHTS[row["priority"]],
        row["sequence_number"],
    )


def _all(db: sa.Connection, table: sa.Table) -> Iterator[Row]:
    return (dict(row._mapping) for row in db.execute(sa.select(table)))


def _without_holds(rows: Rows) -> object:
    held = {job_id: {**row, "hold_until_farm": None} for job_id, row in rows.jobs.items()}
    return (held, rows.attempts, rows.nodes, rows.logs, rows.paused)
