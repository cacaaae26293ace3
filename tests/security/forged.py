"""Messages as somebody would write them who can write to the broker, by what they try."""

import base64
import bz2
import json
import pickle
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

JOB = "01a20bea-0350-738b-86d6-ca837b256b05"
BOMB_BYTES = 4 << 20
"""As much as fits, packed, into what is read at all."""
HUGE_BYTES = 50 << 20


def message(
    task: str,
    kwargs: dict[str, Any],
    *,
    body: bytes | None = None,
    embedded: dict[str, Any] | None = None,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    content_type: str = "application/json",
    encoding: str = "utf-8",
) -> dict[str, Any]:
    """A Celery message as it lies in Redis, right unless something is said."""
    number = str(uuid.uuid4())
    raw = json.dumps([[], kwargs, embedded or {}]).encode() if body is None else body
    return {
        "body": base64.b64encode(raw).decode(),
        "content-type": content_type,
        "content-encoding": encoding,
        "headers": {"task": task, "id": number, "lang": "py"} | (headers or {}),
        "properties": {
            "delivery_tag": number,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "default"},
            "body_encoding": "base64",
        }
        | (properties or {}),
    }


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def forged(task: str, kwargs: dict[str, Any], *, mark: str) -> Iterator[tuple[str, bytes]]:
    """Attacks on whoever takes ``task`` with ``kwargs``, each with a name; ``mark`` is a file
    that appears if something of them is run."""
    signature = {"task": task, "args": [], "kwargs": kwargs, "options": {"queue": "loot"}}
    pickled = pickle.dumps([[], {"x": Touch(mark)}, {}])
    yaml = f"!!python/object/apply:os.system ['touch {mark}']".encode()
    bomb = json.dumps([[], kwargs | {"x": "A" * BOMB_BYTES}, {}]).encode()
    shapes: dict[str, dict[str, Any]] = {
        "pickle": {"body": pickled, "content_type": "application/x-python-serialize"},
        "pickle said to be json": {"body": pickled},
        "yaml": {"body": yaml, "content_type": "application/x-yaml"},
        "binary": {"content_type": "application/data", "encoding": "binary"},
        "another encoding": {"encoding": "utf-16"},
        "gzip bomb": {"body": zlib.compress(bomb, 9), "headers": {"compression": "gzip"}},
        "bzip2 bomb": {"body": bz2.compress(bomb), "headers": {"compression": "bzip2"}},
        "no body encoding": {"properties": {"body_encoding": None}},
        "callback": {"embedded": {"callbacks": [signature]}},
        "errback": {"embedded": {"errbacks": [signature]}},
        "chain": {"embedded": {"chain": [signature]}},
        "chord": {"embedded": {"chord": signature}},
        "later": {"headers": {"eta": "2100-01-01T00:00:00+00:00"}},
        "group": {"headers": {"group": str(uuid.uuid4())}},
        "expiry that is none": {"headers": {"expires": ["x"]}},
        "id that is none": {"headers": {"id": "../../etc/passwd"}},
        "headers of 7 kB": {"headers": {"argsrepr": "x" * 9_000}},
        "positional": {"body": json.dumps([[1], kwargs, {}]).encode()},
        "no arguments": {"body": b"null"},
        "deep": {"body": b"[" * 5_000},
        "long number": {"body": b"9" * 5_000},
    }
    for name, shape in shapes.items():
        yield name, json.dumps(message(task, kwargs, **shape)).encode()
    yield "unknown task", json.dumps(message("os.system", kwargs)).encode()
    yield "built-in task", json.dumps(message("celery.backend_cleanup", {})).encode()
    yield "wrong arguments", json.dumps(message(task, {"command": f"touch {mark}"})).encode()
    yield "old protocol", json.dumps(_of_protocol_one(task, kwargs)).encode()
    yield "without properties", json.dumps(message(task, kwargs) | {"properties": None}).encode()
    yield "without headers", json.dumps(message(task, kwargs) | {"headers": []}).encode()
    for name, raw in (("empty", b""), ("text", b"text"), ("null", b"null"), ("list", b"[]")):
        yield name, raw
    yield "not text", b"\x80\x02\xff"
    yield "deeper", b"[" * 100_000
    yield "huge", b"x" * HUGE_BYTES


def _of_protocol_one(task: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    said = {"task": task, "id": str(uuid.uuid4()), "args": [], "kwargs": kwargs}
    found = message(task, kwargs, body=json.dumps(said).encode())
    return found | {"headers": {}}
