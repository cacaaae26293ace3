"""What every body shares: strictness on the way in, completeness on the way out."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
)

from ffrtmp.domain.media import (
    Codec,
    codec_named,
    frame_rate,
)

DAY_SECONDS = 86_400.0
MAX_COUNT = (1 << 31) - 1
"""What the database's integers hold."""
MAX_DEPTH = 8
MAX_FACTS = 20_000
MAX_FACTS_CHARACTERS = 256 << 10
MAX_WORD = 64
"""Of a value that is one word or number, written as text."""


class Wire(BaseModel):
    """A body from outside: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(*bodies: dict[str, Any]) -> ConfigDict:
    """The model's configuration with bodies that OpenAPI shows."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


class Answer(BaseModel):
    """A body this farm sends; readers ignore fields of newer versions."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _codec(value: object) -> object:
    return codec_named(value) if isinstance(value, str) else value


def _number_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is a number")
    return str(value)


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(s|m|h)?", value)
        if match is None:
            raise ValueError("is seconds, or a duration such as 10s, 2m or 1h")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]
    if isinstance(value, bool):
        raise ValueError("is seconds, or a duration such as 10s, 2m or 1h")
    return value


def _moment(value: object) -> object:
    # Pydantic would read a number as seconds since 1970.
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("is a time such as 2026-01-31T12:00:00Z")
    if isinstance(value, bool | int | float):
        raise ValueError("is a time such as 2026-01-31T12:00:00Z, not a number")
    return value


def _without_nul(value: str) -> str:
    # PostgreSQL keeps no NUL in a text.
    return value.replace("\x00", "\ufffd")


def _few(value: dict[str, Any]) -> dict[str, Any]:
    if not _is_within(value, MAX_DEPTH):
        raise ValueError(f"nests deeper than {MAX_DEPTH} levels")
    found = list(_leaves(value))
    if len(found) > MAX_FACTS or sum(map(len, found)) > MAX_FACTS_CHARACTERS:
        raise ValueError(
            f"has more than {MAX_FACTS} values, or {MAX_FACTS_CHARACTERS} characters in all"
        )
    return value


def _leaves(value: object) -> Iterator[str]:
    """Names and single values, as text."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield str(value)


def _is_within(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, list) or (
        depth > 0 and all(_is_within(item, depth - 1) for item in value)
    )


def text_of(check: Any) -> AfterValidator:
    def validated(value: str) -> str:
        check(value)
        return value

    return AfterValidator(validated)


Seconds = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=float | str),
    Field(gt=0, le=10 * DAY_SECONDS),
]
Alias = Literal["h265", "avc", "x264", "x265"]
CodecName = Annotated[Codec, BeforeValidator(_codec, json_schema_input_type=Codec | Alias)]
Text = Annotated[StrictStr, AfterValidator(_without_nul)]
"""Words of a node or a person, kept as they are."""
Token = Annotated[StrictStr, Field(pattern=r"^[\x21-\x7e]+$")]
Count = Annotated[StrictInt, Field(ge=0, le=MAX_COUNT)]
Ordinal = Annotated[StrictInt, Field(ge=1, le=MAX_COUNT)]
Facts = Annotated[dict[str, Any], AfterValidator(_few)]
"""What a node says of itself or its work, in its own words."""
FrameRate = Annotated[
    str,
    BeforeValidator(_number_text, json_schema_input_type=float | str),
    Field(max_length=MAX_WORD),
    text_of(frame_rate),
]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment, json_schema_input_type=AwareDatetime)]
"""RFC 3339, with its zone."""
Name = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class FieldError(Answer):
    """One fault of a body."""

    field: str
    message: str


class ErrorBody(Answer):
    """What went wrong, and where."""

    code: str
    """Stable; for programs."""
    message: str
    field: str | None = None
    """The one thing to mend, where there is one."""
    details: list[FieldError] | None = None
    """Every fault of a body or a query."""


class ErrorAnswer(Answer):
    """Every refusal has this shape."""

    error: ErrorBody
