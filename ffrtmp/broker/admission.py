"""What is let in of what the broker brings: exactly what the farm sends, made anew from its parts.

Whoever can write to the broker can send anything, and Celery understands much: it unpacks, it
calls back, chains, delays, and answers to wherever it is told. So bytes are measured before they
are read, and what goes on to Celery holds nothing that was not looked at.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ffrtmp.broker.messages import (
    COUNTS_TASK,
    HINT_TASK,
    RECONCILE_TASK,
    RETENTION_TASK,
    hint_from_kwargs,
)

MOST_BYTES = 8 * 1024
"""Of a whole message; a hint is about 1 kB with its trace."""
JSON = ("application/json", "utf-8")
PLAIN_HEADERS = ("eta", "group", "shadow", "chord", "stamps", "replaced_task_nesting")
TRACE = {
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(r"[ -~]{1,512}"),
}
REPLIES = "reply.celery.pidbox"
"""The exchange for answers to remote commands."""

Judge = Callable[[Mapping[str, Any]], bool]
"""Whether a task's keyword arguments are such as the farm sends."""


class Refused(Exception):  # noqa: N818
    """A message is none of the farm's; ``reason`` is one of a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _is_hint(kwargs: Mapping[str, Any]) -> bool:
    return hint_from_kwargs(kwargs, queue_name="") is not None


def _is_empty(kwargs: Mapping[str, Any]) -> bool:
    return not kwargs


NODE_TASKS: Mapping[str, Judge] = {HINT_TASK: _is_hint}
CONTROL_TASKS: Mapping[str, Judge] = dict.fromkeys(
    (RECONCILE_TASK, COUNTS_TASK, RETENTION_TASK), _is_empty
)


def admitted_task(raw: bytes, queue_name: str, *, tasks: Mapping[str, Judge]) -> dict[str, Any]:
    """The message for kombu, if it asks for one of ``tasks`` and for nothing besides."""
    found = _json(raw)
    headers = _part(found, "headers")
    judge = tasks.get(headers["task"]) if isinstance(headers.get("task"), str) else None
    if judge is None:
        raise Refused("task")
    if any(headers.get(name) for name in PLAIN_HEADERS):
        raise Refused("extras")
    kwargs = _arguments(_body(found, headers))
    if not judge(kwargs):
        raise Refused("arguments")
    return _message([[], kwargs, {}], _task_headers(headers), queue_name)


def admitted_command(raw: bytes, *, commands: frozenset[str]) -> dict[str, Any]:
    """The same for a remote command, of these only."""
    found = _json(raw)
    said = _body(found, _part(found, "headers"))
    method = said.get("method") if isinstance(said, dict) else None
    if not isinstance(method, str) or method not in commands:
        raise Refused("command")
    # A pattern is matched as a regular expression, which can be made to take for ever.
    if said.get("pattern") or said.get("matcher"):
        raise Refused("extras")
    kept: dict[str, Any] = {"method": method, "arguments": {}, "destination": _names(said)}
    return _message(kept | _answer_to(said), {}, "")


def _json(raw: bytes) -> dict[str, Any]:
    if len(raw) > MOST_BYTES:
        raise Refused("size")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused("form") from None
    if not isinstance(found, dict):
        raise Refused("form")
    return found


def _part(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = found.get(name)
    if not isinstance(part, dict):
        raise Refused("form")
    return part


def _body(found: Mapping[str, Any], headers: Mapping[str, Any]) -> Any:
    properties = _part(found, "properties")
    kind = (found.get("content-type"), found.get("content-encoding"))
    # Unpacking comes before all checks of Celery's, and a small message can hold gigabytes.
    if kind != JSON or properties.get("body_encoding") != "base64" or headers.get("compression"):
        raise Refused("encoding")
    try:
        return json.loads(base64.b64decode(found.get("body") or "", validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise Refused("encoding") from None


def _arguments(body: Any) -> dict[str, Any]:
    match body:
        case [[], dict(kwargs), dict(embedded)] if not any(embedded.values()):
            return kwargs
        case [[], dict(), dict()]:
            raise Refused("extras")
    raise Refused("arguments")


def _task_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    number = _number(headers.get("id"))
    kept = {
        name: value
        for name, form in TRACE.items()
        if isinstance(value := headers.get(name), str) and form.fullmatch(value)
    }
    return kept | {
        "lang": "py",
        "task": headers["task"],
        "id": number,
        "root_id": number,
        "expires": _expiry(headers.get("expires")),
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "ignore_result": True,
    }


def _expiry(value: object) -> str | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused("extras")
    return at.isoformat()


def _number(value: object) -> str:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else str(uuid.uuid4())
    except ValueError:
        raise Refused("form") from None


def _names(said: Mapping[str, Any]) -> list[str] | None:
    named = said.get("destination")
    if named is None:
        return None
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise Refused("arguments")
    return named


def _answer_to(said: Mapping[str, Any]) -> dict[str, Any]:
    """Where the answer goes: a list of answers, whatever place the message would have had."""
    match said.get("reply_to"), said.get("ticket"):
        case None, _:
            return {}
        case {"routing_key": key}, ticket:
            return {
                "reply_to": {"exchange": REPLIES, "routing_key": _number(key)},
                "ticket": _number(ticket),
            }
    raise Refused("arguments")


def _message(body: Any, headers: dict[str, Any], queue_name: str) -> dict[str, Any]:
    content_type, content_encoding = JSON
    return {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-type": content_type,
        "content-encoding": content_encoding,
        "headers": headers,
        "properties": {
            "correlation_id": headers.get("id"),
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue_name},
            "priority": 0,
            "body_encoding": "base64",
            # One tag for two messages would count as one against what may be taken at once.
            "delivery_tag": str(uuid.uuid4()),
        },
    }
