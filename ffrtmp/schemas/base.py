"""What every body shares: strictness on the way in, completeness on the way out."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
)

from ffrtmp.domain.media import (
    Codec,
    codec_named,
    frame_rate,
)

DAY_SECONDS = 86_400.0


class Wire(BaseModel):
    """A body from outside: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(BaseModel):
    """A body this farm sends; readers ignore fields of newer versions."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


def _codec(value: object) -> object:
    return codec_named(value) if isinstance(value, str) else value


def _number_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is a number")
    return str(value)


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|h)?", value)
        if match is None:
            raise ValueError("is seconds, or a duration such as 10s, 2m or 1h")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]
    if isinstance(value, bool):
        raise ValueError("is seconds, or a duration such as 10s, 2m or 1h")
    return value


def text_of(check: Any) -> AfterValidator:
    def validated(value: str) -> str:
        check(value)
        return value

    return AfterValidator(validated)


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=10 * DAY_SECONDS)]
CodecName = Annotated[Codec, BeforeValidator(_codec)]
FrameRate = Annotated[str, BeforeValidator(_number_text), text_of(frame_rate)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ErrorBody(Answer):
    """What went wrong, and where."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(Answer):
    """Every refusal has this shape."""

    error: ErrorBody
