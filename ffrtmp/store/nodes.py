"""Nodes in the store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.breaker import SetAside
from ffrtmp.domain.device import Device
from ffrtmp.domain.node import Node, Registration
from ffrtmp.domain.ranking import Queue
from ffrtmp.store.tables import nodes

# Built once: composing them costs more than running them.
_OF_ID = sa.select(nodes).where(nodes.c.id == sa.bindparam("node_id"))
_OF_ID_HELD = _OF_ID.with_for_update()


class Nodes:
    """Finds, registers and marks nodes."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def get(self, node_id: str) -> Node | None:
        """The node of an id."""
        return self._one(_OF_ID, node_id=node_id)

    def lock(self, node_id: str) -> Node | None:
        """The same, held against other writers until the transaction ends."""
        return self._one(_OF_ID_HELD, node_id=node_id)

    def at_address(self, address: str) -> Node | None:
        """The node registered at an address."""
        return self._one(sa.select(nodes).where(nodes.c.address == address))

    def named(self, name: str) -> Node | None:
        """The node of a name, if only one has it."""
        found = self._all(sa.select(nodes).where(nodes.c.name == name).limit(2))
        return found[0] if len(found) == 1 else None

    def with_token(self, token_hash: str) -> Node | None:
        """The node that a token speaks for."""
        return self._one(sa.select(nodes).where(nodes.c.token_hash == token_hash))

    def every(self) -> Sequence[Node]:
        """All nodes by name."""
        return self._all(sa.select(nodes).order_by(nodes.c.name, nodes.c.id))

    def count(self) -> int:
        """How many nodes there are."""
        return int(self._db.execute(sa.select(sa.func.count()).select_from(nodes)).scalar_one())

    def accepting(self, *, limit: int) -> Sequence[Node]:
        """Nodes that may be given work, at most ``limit``, the latest heard first."""
        query = (
            sa.select(nodes)
            .where(~nodes.c.is_offline, ~nodes.c.is_draining)
            .order_by(nodes.c.heard_farm.desc(), nodes.c.id)
            .limit(limit)
        )
        return self._all(query)

    def out_of_work(self, *, limit: int) -> Sequence[Node]:
        """Nodes that are offline or draining, at most ``limit``, the latest heard first."""
        query = (
            sa.select(nodes)
            .where(nodes.c.is_offline | nodes.c.is_draining)
            .order_by(nodes.c.heard_farm.desc(), nodes.c.id)
            .limit(limit)
        )
        return self._all(query)

    def with_gpu(self, *, limit: int) -> Sequence[Node]:
        """Nodes with a GPU that may be given work, at most ``limit``, the latest heard first."""
        query = (
            sa.select(nodes)
            .where(nodes.c.has_gpu, ~nodes.c.is_offline, ~nodes.c.is_draining)
            .order_by(nodes.c.heard_farm.desc(), nodes.c.id)
            .limit(limit)
        )
        return self._all(query)

    def silent_since(self, farm_seconds: float) -> Sequence[str]:
        """Ids of nodes not heard after a reading of farm time and not yet marked offline."""
        query = sa.select(nodes.c.id).where(~nodes.c.is_offline, nodes.c.heard_farm <= farm_seconds)
        return self._db.execute(query).scalars().all()

    def insert(self, said: Registration, *, farm_seconds: float, now: datetime) -> None:
        """A new node at epoch 1; IntegrityError if id, token or address is taken."""
        self._db.execute(
            sa.insert(nodes).values(
                id=said.node_id,
                epoch=1,
                is_draining=False,
                registered_at=now,
                **_registered(said, farm_seconds=farm_seconds, now=now),
            )
        )

    def register_again(self, said: Registration, *, farm_seconds: float, now: datetime) -> None:
        """The same node, spoken for by a new process: epoch + 1."""
        self._db.execute(
            sa.update(nodes)
            .where(nodes.c.id == said.node_id)
            .values(
                epoch=nodes.c.epoch + 1, **_registered(said, farm_seconds=farm_seconds, now=now)
            )
        )

    def hear(
        self,
        node_id: str,
        *,
        seq: int,
        load: Mapping[str, Any],
        clock_skew_seconds: float,
        slots_lost: int,
        farm_seconds: float,
        now: datetime,
    ) -> None:
        """A heartbeat arrived."""
        self._db.execute(
            sa.update(nodes)
            .where(nodes.c.id == node_id)
            .values(
                heard_farm=farm_seconds,
                heartbeat_seq=seq,
                last_heartbeat_at=now,
                load=dict(load),
                clock_skew_seconds=clock_skew_seconds,
                slots_lost=slots_lost,
                is_offline=False,
            )
        )

    def mark_offline(self, node_id: str, *, silent_since: float) -> bool:
        """Offline, unless it was heard meanwhile or was offline before."""
        changed = self._db.execute(
            sa.update(nodes)
            .where(nodes.c.id == node_id, ~nodes.c.is_offline)
            .where(nodes.c.heard_farm <= silent_since)
            .values(is_offline=True)
        )
        return changed.rowcount == 1

    def set_draining(self, node_id: str, *, is_draining: bool, reason: str | None) -> None:
        """Start or end a drain."""
        self._db.execute(
            sa.update(nodes)
            .where(nodes.c.id == node_id)
            .values(is_draining=is_draining, drain_reason=reason)
        )

    def set_aside(self, node_id: str, aside: Mapping[str, SetAside]) -> None:
        """Which of its devices, or the node itself, are out of work for their own failures."""
        stored = {name: asdict(one) for name, one in aside.items()}
        self._db.execute(sa.update(nodes).where(nodes.c.id == node_id).values(set_aside=stored))

    def revoke(self, node_id: str, *, now: datetime) -> None:
        """Its token is dead: it will not be heard again."""
        gone = {"revoked_at": now, "is_offline": True}
        self._db.execute(sa.update(nodes).where(nodes.c.id == node_id).values(gone))

    def trust(self, node_id: str, *, farm_seconds: float) -> None:
        """What failed there until this reading of farm time does not count against it."""
        self._db.execute(
            sa.update(nodes)
            .where(nodes.c.id == node_id)
            .values(trusted_farm=farm_seconds, set_aside={})
        )

    def delete(self, node_id: str) -> None:
        """Forget a node; its attempts stay as history."""
        self._db.execute(sa.delete(nodes).where(nodes.c.id == node_id))

    def _one(self, query: sa.Select[Any], **asked: Any) -> Node | None:
        row = self._db.execute(query, asked).one_or_none()
        return None if row is None else _node(row)

    def _all(self, query: sa.Select[Any]) -> Sequence[Node]:
        return [_node(row) for row in self._db.execute(query)]


def _registered(said: Registration, *, farm_seconds: float, now: datetime) -> dict[str, Any]:
    return {
        "name": said.name,
        "address": said.address,
        "type": said.type,
        "token_hash": said.token_hash,
        "registration_id": said.registration_id,
        "devices": [asdict(device) for device in said.devices],
        "has_gpu": any(device.is_gpu for device in said.devices),
        "reserve_live": said.reserve_live,
        "slots_lost": 0,
        "queues": list(said.queues),
        "hardware": dict(said.hardware),
        "version": said.version,
        "is_offline": False,
        "heard_farm": farm_seconds,
        "heartbeat_seq": 0,
        "last_heartbeat_at": now,
        "load": {},
        "clock_skew_seconds": 0.0,
    }


def _node(row: sa.Row[Any]) -> Node:
    values = dict(row._mapping)
    values["queues"] = tuple(Queue(queue) for queue in values["queues"])
    values["devices"] = tuple(
        Device(**device | {"capabilities": tuple(device["capabilities"])})
        for device in values["devices"]
    )
    values["set_aside"] = {name: SetAside(**one) for name, one in values["set_aside"].items()}
    del values["has_gpu"]
    return Node(**values)
