"""Every value of a body has an upper bound, and says it in its schema where one can."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ffrtmp import schemas
from ffrtmp.schemas.base import MAX_FACTS, MAX_FACTS_CHARACTERS, Wire

OWN_WORDS = {"NodeRegistration.hardware", "Heartbeat.load", "ResultRequest.metrics"}
"""Maps whose keys are the node's; they are bounded as a whole."""
BY_PARSER = {
    *("Parameters.fps", "RenditionAsked.fps"),
    *("Parameters.duration", "ResourceLimits.timeout_sec"),
}
"""Numbers that may be written as text; a parser holds them."""
LEASE = "k3wWm2hJrI8q1m9dXxQy0Q"
RESULT = {
    "job_id": "j",
    "node_id": "n",
    "attempt": 1,
    "lease": LEASE,
    "status": "failed",
    "failure_reason": "encoder",
}


def bodies(kind: type[BaseModel] = Wire) -> Iterator[type[BaseModel]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith(schemas.__name__):
            yield below
            yield from bodies(below)


def unbounded(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Paths of values that may be of any length, number or size."""
    for one in schema.get("anyOf", []):
        yield from unbounded(one, path)
    match schema.get("type"):
        case "string" if not {"maxLength", "format", "enum", "const"} & set(schema):
            pattern = schema.get("pattern", "*")
            if not pattern.endswith("$") or any(sign in pattern for sign in ("*", "+", ",}")):
                yield path
        case "integer" | "number" if not {"maximum", "exclusiveMaximum", "enum"} & set(schema):
            yield path
        case "array":
            if "maxItems" not in schema:
                yield path
            yield from unbounded(schema["items"], f"{path}[]")
        case "object" if schema.get("additionalProperties"):
            yield path


@pytest.mark.parametrize("body", sorted(set(bodies()), key=str), ids=lambda body: body.__name__)
def test_every_field_of_a_body_is_bounded(body: type[BaseModel]) -> None:
    fields = body.model_json_schema()["properties"]
    found = {
        path
        for name, schema in fields.items()
        for path in unbounded(schema, f"{body.__name__}.{name}")
    }

    assert found <= OWN_WORDS | BY_PARSER


def test_unbounded_values_are_found() -> None:
    for schema in (
        {"type": "string"},
        {"type": "string", "pattern": "^a+$"},
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "string", "maxLength": 1}},
        {"anyOf": [{"type": "null"}, {"type": "number"}]},
    ):
        assert list(unbounded(schema, "x")) == ["x"]


@pytest.mark.parametrize(
    "facts",
    [
        {"a": ["x" * 1_000] * 300},
        {"a": {f"{number}": 0 for number in range(MAX_FACTS)}},
        {"a": {"x" * MAX_FACTS_CHARACTERS: 1}},
        {"a": [[[[[[[[[1]]]]]]]]]},
        {f"{number}": 1 for number in range(200)},
    ],
)
def test_what_a_node_says_in_its_own_words_is_bounded_as_a_whole(facts: dict[str, Any]) -> None:
    for body, field, rest in (
        (schemas.NodeRegistration, "hardware", {"address": "a"}),
        (schemas.Heartbeat, "load", {"epoch": 1, "seq": 1}),
        (schemas.ResultRequest, "metrics", RESULT),
    ):
        with pytest.raises(ValidationError):
            body.model_validate({field: facts} | rest)


def test_command_line_of_an_attempt_is_bounded_as_a_whole() -> None:
    long = ["a" * 10_000] * 20

    assert schemas.ResultRequest.model_validate(RESULT | {"argv": long}).argv == long
    with pytest.raises(ValidationError):
        schemas.ResultRequest.model_validate(RESULT | {"argv": long * 2})


@pytest.mark.parametrize("field", sorted(BY_PARSER))
@pytest.mark.parametrize("value", ["1" * 200_000, "9" * 1_000, 1e300])
def test_numbers_written_as_text_are_held_by_their_parser(field: str, value: object) -> None:
    model, name = field.split(".")
    rest = {"resolution": "720p"} if model == "RenditionAsked" else {}

    with pytest.raises(ValidationError):
        getattr(schemas, model).model_validate({name: value} | rest)


def test_log_does_not_grow_beyond_what_one_may_have() -> None:
    with pytest.raises(ValidationError):
        schemas.LogChunk(lease=LEASE, offset=schemas.MAX_LOG_BYTES + 1, text="x")
