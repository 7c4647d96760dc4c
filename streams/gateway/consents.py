"""Records of consent over HTTP, one or many: to Kafka, and to the workers from there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from streams.core.consent_json import ConsentError
from streams.edge.client import Recorded
from streams.edge.publisher import PublishError
from streams.gateway import batches, models
from streams.gateway.bounds import CONSENTS_BATCH
from streams.gateway.problems import Problem
from streams.gateway.refusals import ERRORS
from streams.gateway.service import Service
from streams.gateway.tokens import Token

OPEN_NAME = "touchstream gateway"
"""Who recorded a consent where there are no tokens, and nobody is named."""

AT_ONCE = 50
"""Records of a batch that are published together; the next single check waits for no more than these."""


def routes(app: FastAPI, service: Service, publish_scope: Any) -> None:
    """Adds the routes. `publish_scope`: the dependency that gives the caller's token."""

    @app.post("/v1/consents", status_code=202, response_model=models.RecordedOut, responses=ERRORS)
    async def consent(asked: models.ConsentChangeIn, token: Token = publish_scope) -> Response:
        """Publish a record of consent: given, denied or withdrawn, for a channel and a purpose. All replicas have it when this answers;
        checks go by it as soon as the workers have worked it off. Consent that is given ends an earlier opt-out of what it covers."""
        (recorded,) = await _publish(service, token, [asked])
        if isinstance(recorded, Problem):
            raise recorded
        return Response(msgspec.json.encode(asdict(recorded)), 202, media_type="application/json")

    @app.post(CONSENTS_BATCH, **batches.ROUTE)
    async def consent_batch(request: Request, token: Token = publish_scope) -> StreamingResponse:
        """The same for up to 10,000 records: a line of JSON each, as POST /v1/consents takes it, and a line of answer each, in order, while
        the request is still being read. A line that is no record gets {"problem": ...}, and the rest goes on. So does the end of a batch
        that is too long, or that Kafka does not take: then send again what has no answer. With a `consent_id` or an `at` it is the same
        record then."""
        return batches.answers(request, AT_ONCE, _Batch(service, token))


class _Batch:
    """One request's records. It ends behind the first that Kafka did not take: so many more would each wait for it in vain."""

    def __init__(self, service: Service, token: Token) -> None:
        self._service, self._token = service, token
        self._away: Problem | None = None

    async def __call__(self, lines: list[bytes], request_id: str) -> bytes:
        if self._away is not None:
            raise self._away
        results = await _publish(self._service, self._token, list(map(_read, lines)))
        self._away = next((one for one in results if isinstance(one, Problem) and one.status_code == 503), None)
        return b"".join(
            batches.line(batches.told(one, request_id) if isinstance(one, Problem) else asdict(one)) for one in results
        )


def _read(line: bytes) -> models.ConsentChangeIn | Problem:
    try:
        return batches.read(models.ConsentChangeIn, line)
    except Problem as problem:
        return problem


async def _publish(
    service: Service, token: Token, asked: list[models.ConsentChangeIn | Problem]
) -> list[Recorded | Problem]:
    """What became of each, in their order."""
    by = {"recorded_by": token.name or OPEN_NAME}
    said = [by | one.model_dump(exclude_none=True) for one in asked if not isinstance(one, Problem)]
    ahead = service.gate.rules.policy.touch.future_ms
    results = iter(await service.client.attempt_consents(said, ahead))
    return [one if isinstance(one, Problem) else _told(next(results)) for one in asked]


def _told(result: Recorded | ConsentError | PublishError) -> Recorded | Problem:
    if isinstance(result, Recorded):
        return result
    if isinstance(result, ConsentError):
        return Problem(422, "not-a-consent", str(result))
    return Problem(503, "unavailable", str(result), {"Retry-After": "1"})
