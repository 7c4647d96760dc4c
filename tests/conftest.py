"""Fixtures of all tests: one Kafka and one Redis a session, topics and keys of its own for each test."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from streams.settings import Settings
from tests.support import stack as stack_module
from tests.support.stack import fresh_settings, started
from tests.support.waiting import SLOWER, wait_until

# The same examples in each run, so that a run fails because of what was changed; `--hypothesis-profile default` looks for new ones.
hypothesis.settings.load_profile("ci")
log = logging.getLogger("touchstream.tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-scenarios` writes what comes out now into tests/scenarios; read the difference before committing. `--id-key` puts customers
    into other partitions: no test may depend on it."""
    parser.addoption("--update-scenarios", action="store_true", help="rewrite the expectations in tests/scenarios")
    parser.addoption(
        "--id-key", default=stack_module.id_key, help="the key of pseudonyms, by which partitions are chosen"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before any installation is made."""
    stack_module.id_key = config.getoption("--id-key")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the longest time limits begin first: a long file that begins last keeps one core busy and the other idle. The limits
    are for a quick machine; a slower one gets more."""
    limits: dict[Path, float] = defaultdict(float)
    for item in items:
        mark = item.get_closest_marker("timeout")
        limits[item.path] = max(limits[item.path], mark.args[0] if mark else 0)
        if mark:
            item.add_marker(pytest.mark.timeout(mark.args[0] * SLOWER))
    items.sort(key=lambda item: -limits[item.path])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Kafka and Redis for the whole session; `bootstrap` and `redis_url` say where."""
    with started(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def make_settings(stack: EmbeddedStack) -> Iterator[Callable[..., Settings]]:
    """A function from settings' fields to fresh Settings whose topics exist; they are deleted after the test."""
    made: list[Settings] = []

    def make(**overrides: object) -> Settings:
        settings = fresh_settings(stack, **overrides)
        asyncio.run(topic_admin.create_missing(settings))
        made.append(settings)
        return settings

    yield make
    wait_until(stack.broker.responds, 60, "the broker, which the test may have paused, to be back")
    for settings in made:
        wait_until(partial(_is_deleted, settings), 60, f"the topics of {settings.topic_prefix} to be gone")


def _is_deleted(settings: Settings) -> bool:
    """A broker that was paused lists itself when it goes on, and is taken for dead a moment later, until its next heartbeat."""
    try:
        asyncio.run(topic_admin.delete(settings))
    except topic_admin.TopicAdminError as error:
        log.warning("trying again: %s", error)
        return False
    return True


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of a fresh installation on the shared servers: own topics (2 partitions), own Redis database."""
    return make_settings()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl-C, and all that they start, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
