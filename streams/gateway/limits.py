"""Around every request: an id, a bound on its body, a line in the log, a count; and no error without an answer.

Plain ASGI: it must see bodies before anything reads them, and must not hold back what is streamed.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.gateway import problems
from streams.gateway.metrics import GatewayMetrics

log = logging.getLogger("touchstream.gateway.requests")

LARGEST = 64 * 1024
"""Bytes of a request's body, unless the route has a bound of its own."""

OPEN = frozenset(("/healthz", "/readyz", "/openapi.json"))
"""Paths that need no token."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Limits:
    """`largest` are bounds of routes by path. `quick` are POST routes that are answered here, with status 200 and the JSON that they give,
    without the framework, which takes longer than a check. `who` says whose request it is, for `request.state.caller`; it raises a
    problem for a request of nobody's, and then its body is not read: whoever reads it parses it. The request's id
    is X-Request-Id as it came, if it can stand in a log, else a new one."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: GatewayMetrics,
        largest: Mapping[str, int],
        quick: Mapping[str, Callable[[Request], Awaitable[bytes]]],
        who: Callable[[Headers], object],
    ) -> None:
        self._app, self._metrics, self._largest, self._quick, self._who = app, metrics, largest, quick, who
        self._counted: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = MutableHeaders(scope=message)
                told["X-Request-Id"] = request_id
                told["Cache-Control"] = "no-store"
            await send(message)

        bound = self._largest.get(scope["path"], LARGEST)
        try:
            if int(headers.get("content-length", "0") or 0) > bound:
                await _too_large(bound, request_id)(scope, receive, answer)
            elif scope["method"] == "POST" and (quick := self._quick.get(scope["path"])) is not None:
                told = await quick(Request(scope, _bounded(receive, bound)))
                await _json(told, answer)
            else:
                if scope["path"] not in OPEN:
                    scope["state"]["caller"] = self._who(headers)
                await self._app(scope, _bounded(receive, bound), answer)
        except problems.Problem as problem:  # raised where no handler of the framework is
            if status:
                raise
            refusal = problems.response(
                problem.status_code, problem.name, problem.detail, request_id, problem.headers, **problem.more
            )
            await refusal(scope, receive, answer)
        except ClientDisconnect:
            log.info("request %s was given up by its caller", request_id)
        except Exception:
            log.exception("request %s failed", request_id)
            if status:  # the connection is cut, so that nobody takes the half for the whole
                raise
            detail = f"this is a fault of ours; the log has it under {request_id}"
            await problems.response(500, "internal", detail, request_id)(scope, receive, answer)
        finally:
            took = time.perf_counter() - started
            self._count(scope, status, took, request_id)

    def _count(self, scope: Scope, status: int, took: float, request_id: str) -> None:
        route: Any = scope.get("route")
        path = scope["path"] if scope["path"] in self._quick else getattr(route, "path", "other")
        counted = self._counted.get((path, status))
        if counted is None:  # routes and statuses are few, and looking their series up takes longer than counting
            counted = self._metrics.requests.labels(path, str(status or 499)), self._metrics.seconds.labels(path)
            self._counted[path, status] = counted
        counted[0].inc()
        counted[1].observe(took)
        level = logging.INFO if status >= 400 or took > 1 else logging.DEBUG
        token = scope["state"].get("token", "")
        log.log(
            level, "%s %s %d in %.1f ms, request %s, token %s", scope["method"], path, status, took * 1000, request_id, token or "none"
        )  # fmt: skip


async def _json(body: bytes, send: Send) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _too_large(bound: int, request_id: str) -> ASGIApp:
    return problems.response(413, "too-large", f"the body may have {bound} bytes at most", request_id)


def _bounded(receive: Receive, bound: int) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > bound:
            raise problems.Problem(413, "too-large", f"the body may have {bound} bytes at most")
        return message

    return bounded
