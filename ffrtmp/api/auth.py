"""Who speaks: a key for people and registrations, a node token for everything a node does."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from ffrtmp.api.body import StrictRoute
from ffrtmp.api.heads import address_of
from ffrtmp.api.refusals import Refusals
from ffrtmp.api.state import (
    FarmDep,
    JobReference,
    farm_of,
    load_of,
    settings_of,
    suspects_of,
)
from ffrtmp.domain.access import ANYONE, Caller, Deed, Refusal, hash_of
from ffrtmp.domain.errors import Forbidden, NotFound, TooMany, Unauthenticated
from ffrtmp.domain.node import Node

SCHEME = "bearer"
# These only tell OpenAPI what a route asks for; GuardedRoute reads the header.
API_KEY = HTTPBearer(scheme_name="apiKey", auto_error=False)
NODE_TOKEN = HTTPBearer(
    scheme_name="nodeToken", auto_error=False, description="What POST /nodes/register answered"
)


class GuardedRoute(StrictRoute):
    """A route for known speakers only: who is none, or asks too often, is refused before the
    body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the door."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                speaker = request.state.speaker = await run_in_threadpool(self.identify, request)
                load_of(request).admit(speaker, address=address_of(request.scope))
                return await handle(request)
            except Unauthenticated as error:
                note_refused(request, error.reason, name=error.name)
                raise
            except Forbidden:
                note_refused(request, Refusal.ROLE)
                raise

        return guarded

    def identify(self, request: Request) -> Caller | Node:
        """Whose credential a request carries; Unauthenticated, or TooMany where wrong ones came
        from its address until just now."""
        return identify(request)


class NodeRoute(GuardedRoute):
    """A route for nodes: the key of the settings is none of theirs and is not looked at, so wrong
    tokens are no guesses and make nobody wait. A farm's worth of nodes behind one address may be
    forgotten at once, and each has to hear it."""

    def identify(self, request: Request) -> Caller | Node:
        """Whose token a request carries; Unauthenticated."""
        return identify_node(request)


def bearer(request: Request) -> str | None:
    """The one bearer credential of a request; Unauthenticated for two or another scheme."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, credential = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != SCHEME or not credential.strip():
        raise Unauthenticated(
            "give one header: Authorization: Bearer KEY", reason=Refusal.MALFORMED
        )
    return credential.strip()


def identify(request: Request) -> Caller | Node:
    """Who speaks where keys are asked for; Unauthenticated, or TooMany.

    What comes from an address with many wrong ones is looked at for keys and tokens that the farm
    made, which nobody guesses: neighbours of whoever guesses go on. For the key of the settings it
    is looked at in turns, and out of turn a right one is answered as a wrong one.
    """
    address = address_of(request.scope)
    is_guesser = suspects_of(request).is_guesser(address)
    try:
        return _identify(request, is_guess=is_guesser)
    except Unauthenticated as error:
        if error.reason is Refusal.MISSING:
            if settings_of(request).api_key is None:
                # With a key in the settings they were counted when their head came.
                load_of(request).admit_stranger(address)
            raise
        if is_guesser:
            return _identify_in_turn(request, address)
        suspects_of(request).note_wrong(address, now=time.monotonic())
        load_of(request).admit_stranger(address)
        raise


def _identify_in_turn(request: Request, address: str) -> Caller | Node:
    now, suspects = time.monotonic(), suspects_of(request)
    wait_seconds = suspects.turn(address, now=now)
    if wait_seconds > 0:
        note_refused(request, Refusal.THROTTLED)
        raise TooMany(
            "too many wrong credentials from this address; wait and send a right one",
            retry_after_seconds=wait_seconds,
        )
    speaker = _identify(request, is_guess=False)
    suspects.note_right(address, now=now)
    return speaker


def identify_node(request: Request) -> Caller | Node:
    """Who speaks where node tokens are asked for."""
    try:
        return _identify(request, is_guess=True)
    except Unauthenticated as error:
        if error.reason is not Refusal.MISSING:
            load_of(request).admit_stranger(address_of(request.scope))
        raise


def note_refused(request: Request, reason: Refusal, *, name: str | None = None) -> None:
    """Count that a request was not let in."""
    refusals: Refusals = request.app.state.refusals
    route = getattr(request.scope.get("route"), "path", "")
    refusals.note(
        reason,
        address=address_of(request.scope),
        name=name or _name_of(getattr(request.state, "speaker", None)),
        route=f"{request.method} {route}",
    )


def _name_of(speaker: Caller | Node | None) -> str | None:
    return None if speaker is None else speaker.name


def _identify(request: Request, *, is_guess: bool) -> Caller | Node:
    key = settings_of(request).api_key
    bootstrap = None if key is None else hash_of(key)
    credential = bearer(request)
    return farm_of(request).access.identify(credential, bootstrap=bootstrap, is_guess=is_guess)


def may(deed: Deed) -> Callable[..., Awaitable[Caller]]:
    """The caller of a request, if its key is for this; Forbidden otherwise."""

    async def allowed(request: Request, _said: Annotated[object, Depends(API_KEY)]) -> Caller:
        speaker: Caller | Node = request.state.speaker
        if isinstance(speaker, Node):
            raise Forbidden("this is a node's token; it opens what its node does, nothing else")
        if not speaker.may(deed):
            raise Forbidden(f"a key of role {speaker.role} may not {deed}")
        return speaker

    return allowed


async def require_node(request: Request, _said: Annotated[object, Depends(NODE_TOKEN)]) -> Node:
    """The node whose token the request carries."""
    speaker: Caller | Node = request.state.speaker
    if isinstance(speaker, Node):
        return speaker
    if speaker == ANYONE:
        raise Unauthenticated("this node token is unknown; register the node again")
    raise Forbidden("this is a key, not a node's token; register the node and use its own")


JobReader = Annotated[Caller, Depends(may(Deed.SEE_JOBS))]
JobWriter = Annotated[Caller, Depends(may(Deed.CHANGE_JOBS))]
QueueReader = Annotated[Caller, Depends(may(Deed.SEE_QUEUES))]
NodeReader = Annotated[Caller, Depends(may(Deed.SEE_A_NODE))]
FarmReader = Annotated[Caller, Depends(may(Deed.SEE_FARM))]
Operator = Annotated[Caller, Depends(may(Deed.OPERATE))]
KeyKeeper = Annotated[Caller, Depends(may(Deed.MANAGE_KEYS))]
Registrant = Annotated[Caller, Depends(may(Deed.REGISTER))]
SpeakingNode = Annotated[Node, Depends(require_node)]


def seen_job(job: JobReference, farm: FarmDep, caller: JobReader) -> str | int:
    """The reference of a job this caller may see; NotFound for another's, as if it were not."""
    if caller.scope is not None and farm.jobs.get(job).owner != caller.scope:
        raise NotFound(f"there is no job {job}")
    return job


SeenJob = Annotated[str | int, Depends(seen_job)]


def speaks_for(node: Node, node_id: str) -> None:
    """Forbidden unless the token is that node's own."""
    if node.id != node_id:
        raise Forbidden("this token speaks for another node")
