"""Who speaks: an API key for people and registration, a node token for everything a node does."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from ffrtmp.api.state import FarmDep, SettingsDep
from ffrtmp.domain.errors import Forbidden, Unauthenticated
from ffrtmp.domain.node import Node

SCHEME = "bearer"
# These only tell OpenAPI what a route asks for; ``bearer`` reads the header.
API_KEY = HTTPBearer(scheme_name="apiKey", auto_error=False)
NODE_TOKEN = HTTPBearer(
    scheme_name="nodeToken", auto_error=False, description="What POST /nodes/register answered"
)


def token_hash(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def bearer(request: Request) -> str | None:
    """The one bearer credential of a request; Unauthenticated for two or another scheme."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, credential = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != SCHEME or not credential.strip():
        raise Unauthenticated("give one header: Authorization: Bearer KEY")
    return credential.strip()


def require_key(
    request: Request, settings: SettingsDep, _said: Annotated[object, Depends(API_KEY)]
) -> str:
    """Let in whoever has the API key, or anyone where none is configured; returns the owner."""
    given = bearer(request)
    if settings.api_key is None:
        return "anyone"
    if given is None:
        raise Unauthenticated("an API key is needed: Authorization: Bearer KEY")
    # Hashes are compared so that neither length nor prefix shows in the time it takes.
    if not hmac.compare_digest(token_hash(given), token_hash(settings.api_key)):
        raise Unauthenticated("this API key is wrong")
    return "key"


def require_node(
    request: Request, farm: FarmDep, _said: Annotated[object, Depends(NODE_TOKEN)]
) -> Node:
    """The node whose token the request carries."""
    given = bearer(request)
    if given is None:
        raise Unauthenticated("a node token is needed; register the node first")
    node = farm.nodes.with_token(token_hash(given))
    if node is None:
        raise Unauthenticated("this node token is unknown; register the node again")
    return node


KeyOwner = Annotated[str, Depends(require_key)]
SpeakingNode = Annotated[Node, Depends(require_node)]


def speaks_for(node: Node, node_id: str) -> None:
    """Forbidden unless the token is that node's own."""
    if node.id != node_id:
        raise Forbidden("this token speaks for another node")
