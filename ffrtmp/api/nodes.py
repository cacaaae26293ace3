"""Nodes over HTTP."""

import secrets
from typing import Any

import uuid_utils
from fastapi import APIRouter, Depends, Request, Response, status

from ffrtmp import __version__
from ffrtmp.api import wire
from ffrtmp.api.auth import (
    FarmReader,
    GuardedRoute,
    NodeReader,
    NodeRoute,
    Operator,
    Registrant,
    SpeakingNode,
    speaks_for,
)
from ffrtmp.api.bodies import KIB, takes
from ffrtmp.api.body import UnusableBody
from ffrtmp.api.state import FarmDep, MetricsDep, NodeReference, SettingsDep
from ffrtmp.domain.access import Deed, hash_of
from ffrtmp.domain.attempt import AttemptProgress
from ffrtmp.domain.compatibility import why_refused
from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.errors import NotFound, VersionRefused
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.node import Registration
from ffrtmp.domain.placement import capabilities
from ffrtmp.schemas import (
    AttemptOrder,
    DrainRequest,
    Heartbeat,
    HeartbeatAnswer,
    HeldAttempt,
    NodeAnswer,
    NodeList,
    NodeRegistration,
    RegistrationAnswer,
)
from ffrtmp.services.farm import Farm
from ffrtmp.services.nodes import Beat, NodeView

router = APIRouter(tags=["nodes"], route_class=GuardedRoute)
spoken = APIRouter(tags=["nodes"], route_class=NodeRoute)
"""What nodes themselves say."""

EVERY_CPU_CODEC = capabilities((Hardware.CPU, codec) for codec in Codec)


async def known_version(request: Request, _caller: Registrant) -> None:
    """VersionRefused before the body is checked: another version may have other fields."""
    try:
        said: Any = await request.json()
    except UnusableBody:
        return
    version = said.get("version") if isinstance(said, dict) else None
    if isinstance(version, str):
        why = why_refused(version, master=__version__)
        if why is not None:
            raise VersionRefused(why, field="version")


@router.post(
    "/nodes/register",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Depends(known_version)],
    responses={200: {"model": RegistrationAnswer, "description": "The same node again"}},
)
@takes(body_bytes=1024 * KIB)
def register(
    body: NodeRegistration,
    farm: FarmDep,
    settings: SettingsDep,
    _caller: Registrant,
    response: Response,
) -> RegistrationAnswer:
    """Make a node, or speak again for one; 409 where another identity has the address."""
    new_token = None if body.node_token else secrets.token_urlsafe(32)
    registered = farm.nodes.register(
        Registration(
            node_id=body.node_id or str(uuid_utils.uuid7()),
            token_hash=hash_of(body.node_token or new_token or ""),
            address=body.address,
            name=body.name or body.address,
            type=body.type,
            devices=_devices(body),
            queues=tuple(dict.fromkeys(body.queues)),
            reserve_live=body.reserve_live,
            hardware=body.hardware,
            version=body.version,
            holding=frozenset((held.job_id, held.attempt) for held in body.holding),
            registration_id=body.registration_id,
            known_epoch=body.known_epoch,
        )
    )
    if not registered.is_new:
        response.status_code = status.HTTP_200_OK
    view = registered.view
    return RegistrationAnswer(
        **_answer(farm, view).model_dump(),
        node_token=new_token,
        broker_url=settings.broker_url_of_nodes,
        node_timeout_seconds=settings.node_timeout,
        lease_release=[
            HeldAttempt(job_id=job_id, attempt=number) for job_id, number in registered.refused
        ],
    )


@spoken.post("/nodes/{node_id}/heartbeat")
@takes(body_bytes=1024 * KIB)
def heartbeat(
    node_id: str,
    body: Heartbeat,
    farm: FarmDep,
    settings: SettingsDep,
    metrics: MetricsDep,
    node: SpeakingNode,
) -> HeartbeatAnswer:
    """Renew the leases of the listed attempts; the answer says what becomes of each."""
    speaks_for(node, node_id)
    said = [
        AttemptProgress(
            job_id=one.job_id,
            number=one.attempt,
            progress=one.progress,
            mark=one.mark,
            phase=one.phase,
            fps=one.fps,
            speed=one.speed,
            bits_per_second=one.bits_per_second,
            dropped_frames=one.dropped_frames,
        )
        for one in body.attempts
    ]
    answer = farm.nodes.heartbeat(
        Beat(
            node_id=node_id,
            epoch=body.epoch,
            seq=body.seq,
            attempts=said,
            claims_in_flight=frozenset(body.claims_in_flight),
            load=body.load,
            clock_skew_seconds=body.clock_skew_seconds,
            slots_lost=body.slots_lost,
        )
    )
    for _, order in answer.orders:
        metrics.orders.labels(order=order).inc()
    orders = [
        AttemptOrder(job_id=one.job_id, attempt=one.number, order=order)
        for one, order in answer.orders
    ]
    return HeartbeatAnswer(
        attempts=orders,
        drain=answer.drain,
        node_timeout_seconds=settings.node_timeout,
        at=farm.context.now(),
        devices_aside=list(answer.devices_aside),
        canaries=list(answer.canaries),
    )


@router.get("/nodes")
def list_nodes(farm: FarmDep, _caller: FarmReader) -> NodeList:
    """Every node."""
    views = farm.nodes.list()
    numbers = farm.jobs.numbers(wire.job_ids(views))
    nodes = [wire.node_answer(view, numbers=numbers) for view in views]
    return NodeList(nodes=nodes, count=len(nodes))


@router.get("/nodes/{node}")
def get_node(node: NodeReference, farm: FarmDep, caller: NodeReader) -> NodeAnswer:
    """One node, by id, address or name; with a key of role node by id only."""
    view = farm.nodes.get(node)
    if view.node.id != node and not caller.may(Deed.SEE_FARM):
        raise NotFound(f"there is no node {node}")
    return _answer(farm, view)


@router.post("/nodes/{node}/drain")
def drain(
    node: NodeReference, farm: FarmDep, caller: Operator, body: DrainRequest | None = None
) -> NodeAnswer:
    """Nothing new for this node; what runs finishes."""
    reason = body.reason if body else None
    return _answer(farm, farm.nodes.drain(node, reason=reason, by=caller.name))


@router.post("/nodes/{node}/undrain")
def undrain(node: NodeReference, farm: FarmDep, caller: Operator) -> NodeAnswer:
    """The node takes work again."""
    return _answer(farm, farm.nodes.undrain(node, by=caller.name))


@router.post("/nodes/{node}/revoke")
def revoke(node: NodeReference, farm: FarmDep, caller: Operator) -> NodeAnswer:
    """The node's token opens nothing any more; its jobs run elsewhere."""
    return _answer(farm, farm.nodes.revoke(node, by=caller.name))


@router.delete("/nodes/{node}", status_code=status.HTTP_204_NO_CONTENT)
def remove(node: NodeReference, farm: FarmDep, caller: Operator) -> None:
    """Forget a node; 409 while it runs attempts."""
    farm.nodes.remove(node, by=caller.name)


def _devices(body: NodeRegistration) -> tuple[Device, ...]:
    if not body.devices:
        able = tuple(body.capabilities) or EVERY_CPU_CODEC
        return (Device(id=CPU_DEVICE, name="CPU", slots=body.slots, capabilities=able),)
    return tuple(
        Device(id=one.id, name=one.name, slots=one.slots, capabilities=tuple(one.capabilities))
        for one in body.devices
    )


def _answer(farm: Farm, view: NodeView) -> NodeAnswer:
    return wire.node_answer(view, numbers=farm.jobs.numbers(wire.job_ids([view])))
