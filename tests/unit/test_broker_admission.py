"""What is let in of what the broker brings, and that nothing else of it goes on."""

import base64
import json
import uuid
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffrtmp.broker.admission import (
    CONTROL_TASKS,
    MOST_BYTES,
    NODE_TASKS,
    REPLIES,
    Refused,
    admitted_command,
    admitted_task,
)
from ffrtmp.broker.app import COMMANDS
from ffrtmp.broker.messages import HINT_TASK, RECONCILE_TASK
from tests.security.forged import JOB, message

HINT = {"v": 1, "job_id": JOB, "rank": 0}
TRACE = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "x=y"}
DAMAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)

FEW = settings(max_examples=60, deadline=None)


def admitted(found: dict[str, Any]) -> dict[str, Any]:
    return admitted_task(json.dumps(found).encode(), "live", tasks=NODE_TASKS)


def body_of(found: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(found["body"]))


def reason(raw: bytes) -> str:
    with pytest.raises(Refused) as refused:
        admitted_task(raw, "live", tasks=NODE_TASKS)
    return refused.value.reason


def test_hint_is_made_anew_with_its_trace_and_nothing_else_of_its_headers() -> None:
    sent = message(HINT_TASK, HINT, headers=TRACE | {"origin": "me", "argsrepr": "x" * 1000})

    found = admitted(sent | {"more": "fields"})

    assert body_of(found) == [[], HINT, {}]
    assert {name: found["headers"][name] for name in TRACE} == TRACE
    assert found["headers"]["id"] == sent["headers"]["id"]
    assert found["properties"]["delivery_tag"] != sent["properties"]["delivery_tag"]
    assert not {"origin", "more"} & (found.keys() | found["headers"].keys())
    assert "x" * 1000 not in json.dumps(found)


def test_trace_that_is_none_is_left_out() -> None:
    found = admitted(message(HINT_TASK, HINT, headers={"traceparent": "x\n", "tracestate": 1}))

    assert not TRACE.keys() & found["headers"].keys()


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (message("os.system", HINT), "task"),
        (message(RECONCILE_TASK, {}), "task"),
        (message(HINT_TASK, HINT | {"rank": 9}), "arguments"),
        (message(HINT_TASK, HINT, headers={"compression": "gzip"}), "encoding"),
        (message(HINT_TASK, HINT, content_type="application/x-python-serialize"), "encoding"),
        (message(HINT_TASK, HINT, properties={"body_encoding": "utf-8"}), "encoding"),
        (message(HINT_TASK, HINT, embedded={"chain": [{"task": "x"}]}), "extras"),
        (message(HINT_TASK, HINT, headers={"eta": "2100-01-01"}), "extras"),
        (message(HINT_TASK, HINT, headers={"expires": "soon"}), "extras"),
        (message(HINT_TASK, HINT, headers={"id": "x"}), "form"),
        (message(HINT_TASK, HINT) | {"headers": None}, "form"),
        (message(HINT_TASK, HINT, headers={"x": "y" * MOST_BYTES}), "size"),
    ],
)
def test_what_is_refused_is_refused_for_a_reason(found: dict[str, Any], why: str) -> None:
    assert reason(json.dumps(found).encode()) == why


def test_packed_body_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zlib.compress(b"x" * (1 << 20))
    monkeypatch.setattr("kombu.message.decompress", pytest.fail)
    found = message(HINT_TASK, HINT, body=packed, headers={"compression": "gzip"})

    assert reason(json.dumps(found).encode()) == "encoding"


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"\xff", b"[" * MOST_BYTES, b"9" * 5000])
def test_bytes_that_are_no_message_are_none(raw: bytes) -> None:
    assert reason(raw) == "form"


@FEW
@given(damage=DAMAGE, place=st.sampled_from(["headers", "properties", "body", "content-type"]))
def test_damaged_message_is_refused_or_means_the_same(damage: Any, place: str) -> None:
    raw = json.dumps(message(HINT_TASK, HINT) | {place: damage}).encode()
    try:
        found = admitted_task(raw, "live", tasks=NODE_TASKS)
    except Refused:
        return

    assert body_of(found) == [[], HINT, {}]


@FEW
@given(damage=DAMAGE, name=st.sampled_from(["task", "id", "expires", "eta", "compression"]))
def test_damaged_header_is_refused_or_means_the_same(damage: Any, name: str) -> None:
    raw = json.dumps(message(RECONCILE_TASK, {}, headers={name: damage})).encode()
    try:
        found = admitted_task(raw, "control", tasks=CONTROL_TASKS)
    except Refused:
        return

    assert found["headers"]["task"] == RECONCILE_TASK
    assert body_of(found) == [[], {}, {}]


def command(**said: Any) -> bytes:
    return json.dumps(message("", {}, body=json.dumps(said).encode())).encode()


def test_command_keeps_no_arguments_and_answers_to_a_list_of_answers_only() -> None:
    ticket, asker = str(uuid.uuid4()), str(uuid.uuid4())
    raw = command(
        method="ping",
        arguments={"x": 1},
        destination=["celery@one"],
        ticket=ticket,
        reply_to={"exchange": "", "routing_key": asker},
    )

    found = body_of(admitted_command(raw, commands=COMMANDS))

    assert found["arguments"] == {}
    assert found["reply_to"] == {"exchange": REPLIES, "routing_key": asker}
    assert (found["ticket"], found["destination"]) == (ticket, ["celery@one"])


@pytest.mark.parametrize(
    "said",
    [
        {"method": "shutdown"},
        {"method": ["ping"]},
        {"method": "ping", "pattern": "(a+)+$", "matcher": "pcre"},
        {"method": "ping", "destination": "celery@one"},
        {"method": "ping", "ticket": "x", "reply_to": {"routing_key": "live"}},
        {"method": "ping", "reply_to": "live"},
        {},
    ],
    ids=str,
)
def test_command_that_does_more_than_look_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        admitted_command(command(**said), commands=COMMANDS)


@FEW
@given(damage=DAMAGE, name=st.sampled_from(["method", "destination", "ticket", "reply_to", ""]))
def test_damaged_command_is_refused_or_only_looks(damage: Any, name: str) -> None:
    said = {"method": "ping", "ticket": JOB, "reply_to": {"routing_key": JOB}}
    body = json.dumps(said | {name: damage} if name else damage).encode()
    try:
        found = admitted_command(json.dumps(message("", {}, body=body)).encode(), commands=COMMANDS)
    except Refused:
        return

    assert body_of(found)["method"] in COMMANDS
    assert body_of(found)["arguments"] == {}
