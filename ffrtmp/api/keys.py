"""Keys over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status

from ffrtmp.api import wire
from ffrtmp.api.auth import GuardedRoute, KeyKeeper
from ffrtmp.api.state import FarmDep
from ffrtmp.schemas import KEY_NAME, KeyList, KeyRequest, KeyRotation, NewKeyAnswer

router = APIRouter(tags=["keys"], route_class=GuardedRoute)

KeyName = Annotated[str, Path(pattern=KEY_NAME)]


@router.post("/keys", status_code=status.HTTP_201_CREATED)
def create(body: KeyRequest, farm: FarmDep, caller: KeyKeeper, response: Response) -> NewKeyAnswer:
    """Make a key; this answer is the only one that has it."""
    made = farm.keys.create(
        body.name, body.role, expires_seconds=body.expires_seconds, by=caller.name
    )
    _keep_out_of_caches(response)
    return wire.new_key_answer(made, now=farm.context.now())


@router.get("/keys")
def list_keys(farm: FarmDep, _caller: KeyKeeper) -> KeyList:
    """Every key, without what opens anything."""
    found = [wire.key_answer(key, state) for key, state in farm.keys.list()]
    return KeyList(keys=found, count=len(found))


@router.post("/keys/{name}/rotate", status_code=status.HTTP_201_CREATED)
def rotate(
    name: KeyName,
    farm: FarmDep,
    caller: KeyKeeper,
    response: Response,
    body: KeyRotation | None = None,
) -> NewKeyAnswer:
    """Another key of the name; the old one goes on for the overlap."""
    asked = body or KeyRotation()
    made = farm.keys.rotate(
        name,
        overlap_seconds=asked.overlap_seconds,
        expires_seconds=asked.expires_seconds,
        by=caller.name,
    )
    _keep_out_of_caches(response)
    return wire.new_key_answer(made, now=farm.context.now())


@router.delete("/keys/{name}", status_code=status.HTTP_204_NO_CONTENT)
def revoke(name: KeyName, farm: FarmDep, caller: KeyKeeper) -> None:
    """No key of the name opens anything from now on; its jobs stay."""
    farm.keys.revoke(name, by=caller.name)


def _keep_out_of_caches(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
