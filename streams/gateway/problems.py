"""Errors of the gateway: RFC 9457 problem details, whatever went wrong. `type` is a name of this module; the detail tells what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An answer that is an error. `name` is the last part of its type."""

    def __init__(
        self, status: int, name: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.name = name
        self.more = more


def body(status: int, name: str, detail: str, request_id: str, **more: Any) -> dict[str, Any]:
    """The members of RFC 9457, section 3.1, and ours."""
    return {
        "type": f"urn:touchstream:problem:{name}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
        **more,
    }


def response(
    status: int, name: str, detail: str, request_id: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """The problem as a response."""
    content = msgspec.json.encode(body(status, name, detail, request_id, **more))
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


WAYS = {
    404: "there is no such route; GET /openapi.json describes all",
    405: "the route takes another method, as `Allow` says; GET /openapi.json describes all",
}
"""What to do about what the framework refuses."""


async def on_http_error(request: Request, error: Exception) -> Response:
    """Ours, and those of the framework: unknown path, method not allowed."""
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return response(error.status_code, error.name, error.detail, id_of(request.scope), error.headers, **error.more)
    name = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = WAYS.get(error.status_code, str(error.detail))
    return response(error.status_code, name, detail, id_of(request.scope), error.headers)


async def on_invalid(request: Request, error: Exception) -> Response:
    """The request is not what OpenAPI says; each mistake with its place, without its value."""
    assert isinstance(error, RequestValidationError)
    return response(422, "invalid-request", INVALID, id_of(request.scope), errors=mistakes(error.errors()))


INVALID = "the request is not as /openapi.json says; `errors` names each place"


def mistakes(errors: Any) -> list[dict[str, str]]:
    """The mistakes that pydantic found, as JSON pointers and words."""
    return [
        {"pointer": "/" + "/".join(str(part) for part in one["loc"]), "detail": str(one["msg"])} for one in errors[:50]
    ]


def id_of(scope: Any) -> str:
    """The request's id, which `streams.gateway.limits` has given it."""
    return str(scope.get("state", {}).get("request_id", ""))
