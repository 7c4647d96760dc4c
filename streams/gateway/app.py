"""The routes. Each is glue: what was asked to the gate, what it says to JSON."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from streams import settings as settings_module
from streams.core.reservation import Reservation
from streams.core.touch_json import TouchError
from streams.edge.client import Sent
from streams.edge.publisher import PublishError
from streams.gateway import batches, consents, models, problems, refusals
from streams.gateway.bounds import BATCH, BATCH_BYTES, CONSENTS_BATCH
from streams.gateway.gate import Conflict, Expired, TouchIdTaken, Unavailable
from streams.gateway.limits import Limits
from streams.gateway.problems import Problem
from streams.gateway.questions import Ask
from streams.gateway.refusals import ERRORS, PROBLEM, REFUSED
from streams.gateway.service import Service
from streams.gateway.tokens import Scope, Token

CHECKS = "/v1/checks"
AT_ONCE = 25
"""Customers of a batch that are looked at together; the next single check waits for no more than these."""


def create(service: Service) -> Limits:
    """The ASGI application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="touchstream gateway",
        version=settings_module.version(),
        summary="May I contact this customer?",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    described = app.openapi
    app.openapi = lambda: refusals.document(described())  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    _checks(app, service)
    _reservations(app, service)
    _others(app, service)
    # Around the framework, not among its middleware: what is answered quickly never enters it.
    largest = dict.fromkeys((BATCH, CONSENTS_BATCH), BATCH_BYTES) | dict.fromkeys(
        ("/v1/touches", "/v1/plans", "/v1/consents"), 1024 * 1024
    )
    return Limits(
        app, service.metrics, largest, {CHECKS: _quick(service)}, lambda headers: known(service, presented(headers))
    )


_bearer = HTTPBearer(auto_error=False, description="As `touchstream gateway token` makes them.")


def needs(service: Service, scope: Scope) -> Callable[..., Awaitable[Token]]:
    """A dependency: whoever asks has this scope, and does not ask too often."""

    async def caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Token:
        token: Token = request.state.caller  # whose request it is was looked up before its body was read
        return admitted(service, scope, request, token)

    return caller


def presented(headers: Headers) -> str | None:
    """The bearer token of a request."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def known(service: Service, presented: str | None) -> Token:
    """The token that was presented. Problem 401 if it is none."""
    token = service.book.who(presented)
    if token is None:
        raise Problem(
            401, "unauthorized", "give a token of this gateway: Authorization: Bearer ts_...", {"WWW-Authenticate": "Bearer"}
        )  # fmt: skip
    return token


def admitted(service: Service, scope: Scope, request: Request, token: Token) -> Token:
    """The token, if it may do this now. Problem 403 or 429 if not."""
    request.state.token = token.name
    if not token.may(scope):
        raise Problem(403, "forbidden", f"the token {token.name} lacks the scope {scope}")
    if wait := service.book.wait(token):
        raise Problem(
            429, "too-many-requests", f"the token {token.name} asks too often; wait {wait:.3f} s",
            {"Retry-After": str(max(1, round(wait)))},
        )  # fmt: skip
    return token


def _quick(service: Service) -> Callable[[Request], Awaitable[bytes]]:
    """POST /v1/checks without the framework's way to a route, which takes longer than the check; the document is the route's."""

    async def check_quickly(request: Request) -> bytes:
        admitted(service, "check", request, known(service, presented(request.headers)))
        try:
            asked = models.CheckIn.model_validate_json(await request.body())
        except ValidationError as error:
            found = problems.mistakes(
                [
                    {**one, "loc": ("body", *one["loc"])}
                    for one in error.errors(include_url=False, include_context=False)
                ]
            )
            raise Problem(422, "invalid-request", problems.INVALID, errors=found) from None
        now = _now()
        with _Failures():
            answer = await service.gate.check_one(service.ask(asked, now))
        return _encode(service.out(answer, asked, now))

    return check_quickly


ReservationId = Annotated[str, Path(max_length=64, pattern="^[0-9a-f-]+$")]
_CHECK_AND_READ: tuple[Scope, Scope] = ("check", "read")


def _checks(app: FastAPI, service: Service) -> None:
    check = Depends(needs(service, "check"))

    @app.post(CHECKS, response_model=models.CheckOut, responses=ERRORS, dependencies=[check])
    async def check_contact(asked: models.CheckIn) -> Response:
        """May this contact be made? All rules that it would break, and the earliest free moment in each channel."""
        now = _now()
        with _Failures():
            answer = await service.gate.check_one(service.ask(asked, now))
        return _json(service.out(answer, asked, now))

    @app.post(
        BATCH,
        **batches.ROUTE,
        dependencies=[check],
    )
    async def check_batch(request: Request) -> StreamingResponse:
        """The same for up to 10,000 customers: a line of JSON each, as POST /v1/checks takes it, and a line of answer each, in order,
        while the request is still being read. A line that cannot be answered gets {"problem": ...}, and so does the end of a batch
        that is too long."""
        return batches.answers(request, AT_ONCE, partial(_answered, service))


async def _answered(service: Service, lines: list[bytes], request_id: str) -> bytes:
    now = _now()
    asked: list[models.CheckIn | Problem] = []
    asks: list[Ask] = []
    for line in lines:
        try:
            one = batches.read(models.CheckIn, line)
            asks.append(service.ask(one, now))
            asked.append(one)
        except Problem as problem:
            asked.append(problem)
    answers = iter(await service.gate.check(asks) if asks else [])
    return b"".join(
        batches.line(
            batches.told(one, request_id) if isinstance(one, Problem) else service.out(next(answers), one, now)
        )
        for one in asked
    )


def _reservations(app: FastAPI, service: Service) -> None:
    check, read = (Depends(needs(service, scope)) for scope in _CHECK_AND_READ)

    @app.post(
        "/v1/reservations",
        response_model=models.ReserveOut,
        responses={201: {"model": models.ReserveOut, "description": "Held"}, 409: REFUSED[409], **ERRORS},
    )
    async def reserve(asked: models.ReserveIn, token: Token = check) -> Response:
        """A check that holds the slot: 201 when it is held, 200 when the contact is not allowed. Of two who race for one customer one
        wins. Ask again with the same `touch_id` and it is the same reservation."""
        now = _now()
        with _Failures():
            answer, one = await service.gate.reserve(service.ask(asked, now), asked.hold_seconds, token.name)
        service.metrics.reservations.labels("held" if one else "refused").inc()
        held = None if one is None else models.reservation_out(one)
        return _json({"reservation": held, "check": service.out(answer, asked, now)}, 201 if one else 200)

    @app.get("/v1/reservations/{reservation_id}", response_model=models.ReservationOut, responses=ERRORS | REFUSED)
    async def get_reservation(reservation_id: ReservationId, token: Token = read) -> Response:
        """A reservation as it stands; for a day after it ended."""
        with _Failures():
            return _found(await service.gate.get(reservation_id))

    @app.post(
        "/v1/reservations/{reservation_id}/commit", response_model=models.ReservationOut, responses=ERRORS | REFUSED
    )
    async def commit(
        reservation_id: ReservationId,
        token: Token = check,
        asked: models.CommitIn | None = None,
    ) -> Response:
        """The contact is being made. It counts until the touch of its `touch_id` has arrived, which then takes its place."""
        with _Failures():
            touch_id = asked.touch_id if asked else None
            found = _found(await service.gate.settle(reservation_id, "committed", touch_id))
        service.metrics.reservations.labels("committed").inc()
        return found

    @app.delete("/v1/reservations/{reservation_id}", response_model=models.ReservationOut, responses=ERRORS | REFUSED)
    async def release(reservation_id: ReservationId, token: Token = check) -> Response:
        """The contact is not made: the slot is free again."""
        with _Failures():
            found = _found(await service.gate.settle(reservation_id, "released"))
        service.metrics.reservations.labels("released").inc()
        return found


def _others(app: FastAPI, service: Service) -> None:
    publish_scope, read = Depends(needs(service, "publish")), Depends(needs(service, "read"))

    @app.post("/v1/touches", status_code=202, response_model=models.SentOut, responses=ERRORS)
    async def publish(touch: dict[str, Any], token: Token = publish_scope) -> Response:
        """Publish a touch, as `touchstream send` takes it; all replicas have it when this answers."""
        return _sent(await service.client.attempt([touch]))

    @app.post("/v1/plans", status_code=202, response_model=models.SentOut, responses=ERRORS)
    async def plan(touch: dict[str, Any], token: Token = publish_scope) -> Response:
        """Publish a planned touch, as `touchstream plan` takes it: as it will be sent, with its time to come, under the id that it will
        have. A changed plan has the same `touch_id`; with `deleted` it is withdrawn. What it collides with becomes a finding."""
        return _sent(await service.client.attempt_plans([touch]))

    consents.routes(app, service, publish_scope)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def health() -> str:
        """The process answers."""
        return "ok"

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "Not ready", **PROBLEM}})
    async def ready() -> str:
        """Redis answers, has all reservations, and the view is not behind."""
        if not await service.eyes.ping():
            raise Problem(503, "not-ready", "Redis is away, or the view is behind: checks would be degraded")
        return "ready"

    @app.get("/metrics", response_class=PlainTextResponse, responses={k: ERRORS[k] for k in (401, 403, 429)})
    async def metrics(token: Token = read) -> Response:
        """For Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _sent(results: list[Sent | TouchError | PublishError]) -> Response:
    (sent,) = results
    if isinstance(sent, TouchError):
        raise Problem(422, "not-a-touch", str(sent), reason=sent.reason)
    if isinstance(sent, PublishError):
        raise Problem(503, "unavailable", str(sent), {"Retry-After": "1"})
    place = {"topic": sent.topic, "partition": sent.partition, "offset": sent.offset, "touch_id": sent.touch_id}
    return _json(place, 202)


def _found(one: Reservation | None) -> Response:
    if one is None:
        raise Problem(404, "unknown-reservation", "nobody knows this reservation, or it ended more than a day ago")
    return _json(models.reservation_out(one))


class _Failures:
    """What the gate raises, as problems."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unavailable):
            raise Problem(503, "unavailable", str(error), {"Retry-After": "1"}) from error
        if isinstance(error, TouchIdTaken):
            raise Problem(409, "touch-id-taken", str(error)) from error
        if isinstance(error, Conflict):
            raise Problem(409, "wrong-state", str(error)) from error
        if isinstance(error, Expired):
            raise Problem(410, "expired", str(error)) from error


_encode = msgspec.json.Encoder().encode


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(_encode(value), status, media_type="application/json")


def _now() -> int:
    return time.time_ns() // 1_000_000
