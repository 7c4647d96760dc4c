"""One gateway for the tests of a module: starting one takes longer than most tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from streams.settings import Settings
from tests.gateway.running import HOUR, Gateway, show, touch
from tests.support.stack import fresh_settings


@pytest.fixture(scope="module")
def settings(stack: EmbeddedStack) -> Iterator[Settings]:
    """An installation for the module. The view that the tests write gets old while they run."""
    made = fresh_settings(stack, view_max_age=3600.0)
    asyncio.run(topic_admin.create_missing(made))
    yield made
    asyncio.run(topic_admin.delete(made))


@pytest.fixture(scope="module")
def gateway(settings: Settings) -> Iterator[Gateway]:
    """Sales wrote to dana@ an hour ago; the view is complete and fresh."""
    show(settings, [touch("dana@example.com", HOUR, department="sales")])
    with Gateway(settings) as running:
        yield running
