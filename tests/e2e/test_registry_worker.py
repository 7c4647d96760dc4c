"""The main job with a real schema registry: Confluent framing in, through, and out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams import Client
from streams.core import backtest
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.edge import reader
from streams.edge.topics import CONFLICTS, HANDOFFS
from streams.settings import Settings
from tests.support import histories, schema_registry
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


async def framed_findings(settings: Settings) -> tuple[set[str], set[int]]:
    """Ids of the findings that hold, read through the registry, and the first bytes of their records."""
    known: dict[str, Finding] = {}
    first_bytes: set[int] = set()
    names = [settings.topic(CONFLICTS), settings.topic(HANDOFFS)]
    async with reader.open_codec(settings) as codec:
        stored = reader.read(settings, names, start="beginning", follow=False)
        async for record, finding in reader.decoded(stored, codec, codec.decode_finding):
            assert isinstance(finding, Finding), finding
            first_bytes.add((record.value or b"")[0])
            backtest.fold(known, [finding])
    return {finding.finding_id for finding in backtest.standing(known)}, first_bytes


def test_with_a_registry_everything_is_in_confluent_framing(settings: Settings, tmp_path: Path) -> None:
    """Touches, internal records and findings carry registry ids, and the findings are the backtest's."""
    touches = list(histories.touches(seed=6, customers=30, count=400))
    now = time.time_ns() // 1_000_000
    found = backtest.run(touches, Policy(), id_key=settings.id_key, region=settings.default_region, now=now).findings
    wanted = ({finding.finding_id for finding in found}, {0})
    with schema_registry.started(tmp_path) as registry:
        framed = replace(settings, schema_registry_url=registry.url)
        with Worker(framed) as worker:
            with Client.sync(settings=framed) as client:
                client.send_many(touches)
            wait_until(lambda: asyncio.run(framed_findings(framed)) == wanted, 120, "the findings in Confluent framing")
            assert worker.stop() == 0, "".join(worker.log[-30:])
