"""The one translator from the error tree to HTTP."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from ffrtmp.api.body import UnusableBody
from ffrtmp.domain.errors import (
    Conflict,
    FarmError,
    Forbidden,
    InvalidRequest,
    NotFound,
    StorageFull,
    TooLarge,
    TooMany,
    TooSlow,
    Unauthenticated,
    Unavailable,
)
from ffrtmp.schemas import ErrorAnswer

log = logging.getLogger(__name__)

# A kind stands before the kinds it is a case of.
STATUS: Mapping[type[FarmError], int] = {
    InvalidRequest: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    TooSlow: 408,
    TooMany: 429,
    StorageFull: 507,
    Unavailable: 503,
}
ANY_REFUSAL: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorAnswer, "description": "Every refusal has this shape"}
}
HTTP_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported",
    422: "invalid",
}
METHOD_NOT_ALLOWED = 405
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
RETRY_AFTER_SECONDS = 2
CONTENT_TYPE = ", sent with Content-Type: application/json"
MAX_SHOWN = 500
MAX_DETAILS = 100
MAX_FIELD = 200


def install(app: FastAPI) -> None:
    """Give every refusal of the app the shape of schemas.ErrorAnswer."""
    app.add_exception_handler(FarmError, _farm_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> JSONResponse:
    """An error answer; ``field`` only where there is one."""
    error: dict[str, object] = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    return JSONResponse({"error": error | more}, status_code=status, headers=headers)


def answer_to(error: FarmError) -> JSONResponse:
    """What a FarmError is over HTTP."""
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    headers = {}
    if status == STATUS[Unauthenticated]:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TooSlow):
        headers["Connection"] = "close"
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    return error_response(status, error.code, error.message, field=error.field, headers=headers)


def refusal_of(error: FarmError, app: FastAPI) -> JSONResponse:
    """The same, counted where it is about a limit."""
    if isinstance(error, TooLarge | TooMany | TooSlow):
        app.state.metrics.refused.labels(reason=error.code).inc()
    return answer_to(error)


def _farm_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FarmError)  # noqa: S101
    return refusal_of(error, request.app)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = [(_field(item["loc"]), _text(item)) for item in error.errors()]
    field, message = found[0]
    details = [{"field": name, "message": text} for name, text in found[:MAX_DETAILS]]
    return error_response(422, "invalid", message, field=field, details=details)


def _field(location: tuple[int | str, ...]) -> str:
    """The dotted name as the client wrote it, without where FastAPI found it."""
    parts = [str(part) for part in location[1:]] or [str(part) for part in location]
    return ".".join(parts)[:MAX_FIELD]


def _text(item: Mapping[str, object]) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    if item["type"] == "model_attributes_type":
        is_body = item["loc"] == ("body",)
        return f"is a JSON object{CONTENT_TYPE if is_body else ''}"
    return str(item["msg"]).removeprefix("Value error, ")[:MAX_SHOWN]


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    headers = dict(error.headers or {})
    if error.status_code == METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_at(request))
    return error_response(
        error.status_code,
        HTTP_CODES.get(error.status_code, "http"),
        str(error.detail),
        field=error.field if isinstance(error, UnusableBody) else None,
        headers=headers,
    )


def _methods_at(request: Request) -> Sequence[str]:
    """What the path of the request can be asked for; several routes may share it."""
    return [method for method in METHODS if _is_answered(request, method)]


def _is_answered(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "internal", "an unexpected error; the master's log has it")
