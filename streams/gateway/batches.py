"""A batch: a line of JSON for each question, and a line of answer for each, in order, while the request is still being read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from streams.gateway import problems
from streams.gateway.bounds import BATCH_CUSTOMERS, LINE_BYTES, NDJSON
from streams.gateway.problems import Problem
from streams.gateway.refusals import ERRORS

_TEXT = {"content": {NDJSON: {"schema": {"type": "string"}}}}
ROUTE: dict[str, Any] = {
    "responses": {200: _TEXT, **ERRORS},
    "response_class": StreamingResponse,
    "openapi_extra": {"requestBody": {"required": True, **_TEXT}},
}
"""What a route of a batch says of itself."""

Answered = Callable[[list[bytes], str], Awaitable[bytes]]
"""Some lines to as many lines of answer; the text is the request's id. It may raise a problem, with which the batch ends."""

M = TypeVar("M", bound=BaseModel)

_encode = msgspec.json.Encoder().encode


class _Answers(StreamingResponse):
    """Streams while the request is still read. Starlette's own would listen for the end of the connection, and swallow the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


def answers(request: Request, at_once: int, answered: Answered) -> StreamingResponse:
    """The answers to a request's lines, so many of them taken together."""
    return _Answers(_answers(request, at_once, answered), media_type=NDJSON)


async def _answers(request: Request, at_once: int, answered: Answered) -> AsyncIterator[bytes]:
    request_id = problems.id_of(request.scope)
    waiting: list[bytes] = []
    count = 0
    try:
        try:
            async for one in _lines(request):
                count += 1
                if count > BATCH_CUSTOMERS:
                    raise Problem(413, "too-large", f"a batch may have {BATCH_CUSTOMERS} lines at most")
                waiting.append(one)
                if len(waiting) >= at_once:
                    some, waiting = waiting, []
                    yield await answered(some, request_id)
                    await asyncio.sleep(0)
        except Problem:
            if waiting:
                yield await answered(waiting, request_id)
            raise
        if waiting:
            yield await answered(waiting, request_id)
    except Problem as problem:
        yield line(told(problem, request_id))
    except ClientDisconnect:
        return


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """The lines of the body that are not blank, as they come."""
    rest = b""
    async for part in request.stream():
        *lines, rest = (rest + part).split(b"\n")
        for one in lines:
            if one.strip():
                yield one
        if len(rest) > LINE_BYTES:
            raise Problem(413, "too-large", f"a line may have {LINE_BYTES} bytes at most")
    if rest.strip():
        yield rest


def read(kind: type[M], one: bytes) -> M:
    """What a line asks. Problem 422 when it is not as the document says."""
    try:
        return kind.model_validate_json(one)
    except ValidationError as error:
        found = problems.mistakes(error.errors(include_url=False, include_context=False, include_input=False))
        raise Problem(422, "invalid-request", problems.INVALID, errors=found) from None


def told(problem: Problem, request_id: str) -> dict[str, Any]:
    """A problem as a line's answer."""
    return {"problem": problems.body(problem.status_code, problem.name, problem.detail, request_id, **problem.more)}


def line(value: dict[str, Any]) -> bytes:
    """One answer."""
    return _encode(value) + b"\n"
