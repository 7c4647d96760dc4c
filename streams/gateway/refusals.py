"""What the OpenAPI document says of answers that are errors."""

from __future__ import annotations

from typing import Any

from streams.gateway import models, problems

# The framework puts the model under the route's own type, too; `document` takes that out.
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


def document(made: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, in which answers that are errors have one type: that of RFC 9457."""
    for route in made["paths"].values():
        for operation in route.values():
            for answer in operation["responses"].values():
                if problems.MEDIA_TYPE in answer.get("content", {}):
                    answer["content"] = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    return made
