"""What the OpenAPI document says of answers that are errors."""

from __future__ import annotations

from typing import Any

from streams.gateway import models, problems

PROBLEM = {"model": models.ProblemOut, "content": {problems.MEDIA_TYPE: {}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, **PROBLEM}
    for status, text in {
        401: "No token, or an unknown one", 403: "The token lacks the scope", 413: "The body is too large",
        422: "Not a valid request", 429: "Too many requests", 500: "A fault of ours", 503: "Redis or Kafka is away",
    }.items()
}  # fmt: skip
REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": text, **PROBLEM}
    for status, text in {404: "Nobody knows it", 409: "It is in another state", 410: "It has expired"}.items()
}
