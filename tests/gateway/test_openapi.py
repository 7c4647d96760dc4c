"""The gateway against its own OpenAPI document: schemathesis calls it with what the document allows, and with what it does not."""

from __future__ import annotations

import gc

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.gateway.running import Gateway

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, unsupported_method,
]  # fmt: skip
EXAMPLES = 25
"""Requests a route."""


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: schemathesis.SerializationContext, value: object) -> bytes:
    """A batch is text to the document."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def test_errors_are_of_one_type(gateway: Gateway) -> None:
    """The document gives each answer that is an error one type, with its shape; an unknown route says where the others are described."""
    _, document, _ = gateway.call("GET", "/openapi.json")
    found = [
        answer["content"]
        for route in document["paths"].values()
        for operation in route.values()
        for status, answer in operation["responses"].items()
        if status >= "400"
    ]
    assert len(found) > 50
    assert all(
        one == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}} for one in found
    )
    assert "ProblemOut" in document["components"]["schemas"]
    for method, path, status in (("GET", "/v2/checks", 404), ("GET", "/v1/checks", 405)):
        told, problem, _ = gateway.call(method, path)
        assert told == status and "/openapi.json" in problem["detail"]


def test_every_route_keeps_to_the_document(gateway: Gateway) -> None:
    """For generated requests, right and wrong, every answer has a status, type and shape that /openapi.json names, and none is a 500."""
    gc.collect()  # what other tests left may print a traceback as it goes, for which CPython 3.11 cannot parse while pytest parses imports
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    asked: dict[str, int] = {}
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def call(case: schemathesis.Case) -> None:
            asked[case.operation.label] = asked.get(case.operation.label, 0) + 1
            case.call_and_validate(checks=CHECKS, timeout=90)

        given(operation.as_strategy())(call)()
    assert len(asked) == 13, asked
