"""The servers that tests share, and settings that keep one test's topics and keys apart from another's."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from streams.edge.embedded.errors import StackError
from streams.edge.embedded.stack import EmbeddedStack
from streams.settings import Settings

# Tests delete their topics; without this the files stay for a minute each.
KAFKA_CONFIG = {"log.segment.delete.delay.ms": "1000"}
_databases = itertools.count(1)
id_key = "test"
"""Decides into which partitions customers fall: the same in each run; `pytest --id-key` tries another."""
POLICY = Path(__file__).with_name("policy.toml")


def unavailable(why: str) -> None:
    """Fails in CI, where everything must run; skips elsewhere, with the reason."""
    if os.environ.get("CI", "").lower() in ("1", "true"):  # noqa: TID251 - not a setting of the product
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@contextmanager
def started(data: Path) -> Iterator[EmbeddedStack]:
    """A running stack on free ports; see `unavailable` for a machine that cannot run it."""
    stack = EmbeddedStack(data, 0, 0, kafka_config=KAFKA_CONFIG)
    try:
        stack.start()
    except StackError as error:
        unavailable(f"the embedded stack cannot run here: {error}")
    try:
        yield stack
    finally:
        stack.stop()


def fresh_settings(stack: EmbeddedStack, **overrides: Any) -> Settings:
    """Settings with a topic prefix, application id and (empty) Redis database of their own. Creates no topics."""
    name = uuid.uuid4().hex[:8]
    url = stack.redis_url.rsplit("/", 1)[0] + f"/{next(_databases) % 1024}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    values = {
        "bootstrap": stack.bootstrap,
        "redis_url": url,
        "topic_prefix": f"t{name}.",
        "app_id": f"app-{name}",
        "id_key": id_key,
        "metrics_port": 0,
        "partitions": 2,
        "session_timeout": 10.0,
        "view_max_age": 300.0,  # on a busy machine workers are behind for a while; checks are to answer all the same
        "policy_path": str(POLICY),
    }
    return Settings(**{**values, **overrides})


@contextmanager
def paused(stack: EmbeddedStack) -> Iterator[None]:
    """Inside, the broker does not answer."""
    stack.broker.pause()
    try:
        yield
    finally:
        stack.broker.resume()
