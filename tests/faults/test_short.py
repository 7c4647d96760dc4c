"""The short form: a handful of faults, one after the other, on two workers. The long one is `make soak`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.edge.embedded.errors import StackError
from tests.faults import site as sites
from tests.faults.kinds import every
from tests.faults.site import Site
from tests.faults.soak import Row, run
from tests.support.stack import unavailable

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SEED, RATE = 7, 60.0
FAULTS = (
    "worker kill -9",
    "worker SIGSTOP, then SIGCONT",
    "worker SIGTERM",
    "connection half-open",
    "writes refused: changelog",
    "Redis flushed",
    "disk full, read-only",
    "broker kill -9, restarted",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Servers of its own, since they are hurt, and two workers."""
    try:
        with sites.running(tmp_path_factory.mktemp("faults"), SEED, workers=2) as running:
            yield running
    except StackError as error:
        unavailable(f"the embedded stack cannot run here: {error}")


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_or_doubled(site: Site, name: str) -> None:
    """Under load with bad records in it, the fault leaves the backtest's findings, each once; every rule of the books holds all
    the time; and only workers that must end for it do."""
    row = Row(name)
    run(site, every()[name], FAULTS.index(name) + 1, SEED, RATE, row)
    assert row.problems == []
    assert row.findings > 10
