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

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import attempt_logs, attempts, events, jobs, nodes

Row = Mapping[str, Any]
Key = tuple[str, int]
TERMINAL = {"completed", "failed", "canceled"}
LEASED = {"running", "committing"}
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
                last_event=db.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0,
            )

    def held_by(self, node_id: str) -> Sequence[Key]:
        """The leases of a node."""
        return [
            key
            for key, row in self.attempts.items()
            if row["node_id"] == node_id and row["state"] != "ended"
        ]


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

    def best_for(self, node: Row, now: datetime) -> str | None:
        """The id of the job that a claim by this node must be given."""
        reading = self.time.reading(now)
        able = [
            row
            for row in self.rows.jobs.values()
            if row["status"] == "pending"
            and (row["retry_at"] is None or row["retry_at"] <= now)
            and (row["hold_until_farm"] is None or row["hold_until_farm"] <= reading)
            and row["queue"] in node["queues"]
            and any(row["requires"] in device["capabilities"] for device in node["devices"])
            and not (
                f"|{node['id']}|" in row["avoid"]
                and row["avoid_until"] is not None
                and row["avoid_until"] > now
            )
        ]
        return min(able, key=_place)["id"] if able else None

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

    def hints_suffice(self, waiting: Counter[str], now: datetime) -> None:
        """After a pass with a broker: every due job has a hint on its queue."""
        due = Counter(
            row["queue_name"]
            for row in self.rows.jobs.values()
            if row["status"] == "pending"
            and (row["retry_at"] is None or row["retry_at"] <= now)
            and (row["hold_until_farm"] is None or row["hold_until_farm"] <= self.time.seconds)
        )
        assert due <= waiting, f"{due} jobs are due, {waiting} hints wait"

    def _ended_attempts(self, before: Rows, *, confirms: bool) -> Counter[str]:
        spent: Counter[str] = Counter()
        for key, was in before.attempts.items():
            now = self.rows.attempts.get(key)
            if was["state"] == "ended":
                assert now in (None, was), f"{key} changed after its end"
            elif now is not None and now["state"] == "ended":
                spent[key[0]] += now["outcome"] in SPENDING
                if confirms:
                    self.ended_here.add(key)
            else:
                assert now is not None, f"{key} vanished while it was live"
        return spent

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
        if was["status"] in TERMINAL:
            assert now["status"] == was["status"] or is_again, f"{name} became {now['status']}"
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
    assert live == ({job["attempt"]: job["status"]} if is_leased else {}), f"{name} has {live}"
    accepted = [row for _, row in held if row["outcome"] == "completed"]
    assert len(accepted) == (job["status"] == "completed"), f"{name} accepted {len(accepted)}"
    if accepted:
        assert job["result"]["sha256"] == accepted[0]["sha256"], f"{name} has another hash"
    assert job["failures"] <= 1 + job["max_retries"], f"{name} failed {job['failures']} times"
    node_id = held[-1][1]["node_id"] if held else None
    if is_leased or job["status"] == "pending":
        assert job["node_id"] == (node_id if is_leased else None), f"{name} names another node"
    assert (job["completed_at"] is not None) == (job["status"] in TERMINAL), f"{name}: when?"


def _place(row: Row) -> tuple[int, int, int]:
    return (
        -QUEUE_WEIGHTS[row["queue"]],
        -PRIORITY_WEIGHTS[row["priority"]],
        row["sequence_number"],
    )


def _all(db: sa.Connection, table: sa.Table) -> Iterator[Row]:
    return (dict(row._mapping) for row in db.execute(sa.select(table)))


def _without_holds(rows: Rows) -> object:
    held = {job_id: {**row, "hold_until_farm": None} for job_id, row in rows.jobs.items()}
    return (held, rows.attempts, rows.nodes, rows.logs)
