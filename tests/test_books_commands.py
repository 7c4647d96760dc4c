"""`touchstream deals`, `touchstream costs` and the SDK's `deal` and `cost`, on real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.core.ledger import records
from streams.core.ledger.records import RecordError
from streams.edge.client import Client
from streams.edge.codec import Codec
from streams.edge.reader import Stored, read
from streams.edge.topics import COSTS, DEAD_LETTER, DEALS
from streams.settings import Settings
from tests.core.ledger.test_records import COST, DEAL, line

pytestmark = pytest.mark.stack

CODEC = Codec()


def stored(settings: Settings, topic: str) -> list[Stored]:
    """All records of a topic."""

    async def all_of_it() -> list[Stored]:
        return [one async for one in read(settings, [settings.topic(topic)], start="beginning", follow=False)]

    return asyncio.run(all_of_it())


def run(settings: Settings, *args: str, given: bytes = b"") -> Result:
    """A command against the test's Kafka."""
    where = ["--bootstrap", settings.bootstrap, "--topic-prefix", settings.topic_prefix]
    return CliRunner(env={"TOUCHSTREAM_ID_KEY": settings.id_key}).invoke(main, [*args, *where], input=given)


@pytest.mark.parametrize(
    ("name", "topic", "good", "decode", "parse"),
    [
        ("deals", DEALS, line(DEAL), CODEC.decode_deal, records.deal),
        ("costs", COSTS, line(COST), CODEC.decode_cost, records.cost),
    ],
)
def test_lines_are_published_and_broken_ones_buried(
    settings: Settings, name: str, topic: str, good: bytes, decode: Callable[[bytes], Any], parse: Any
) -> None:
    """Good lines stand in the topic under their id, a broken one in the dead-letter topic with reason and number."""
    result = run(settings, name, given=good + b"\n\n{\n" + good)
    assert (result.exit_code, result.stdout) == (1, "sent 2, dead-lettered 1 (broken_record 1)\n")
    assert result.stderr.startswith("line 3: broken_record: not JSON: ")
    found = stored(settings, topic)
    record = parse(good)
    assert {one.key for one in found} == {getattr(record, f"{name[:-1]}_id").encode()}
    assert [decode(one.value or b"") for one in found] == [record, record]
    (letter,) = (CODEC.decode_dead_letter(one.value or b"") for one in stored(settings, DEAD_LETTER))
    assert (letter.reason, letter.source, letter.line, letter.payload) == ("broken_record", name, 3, b"{")


def test_a_file_is_read(settings: Settings, tmp_path: Path) -> None:
    """A file may be named instead of standard input."""
    (tmp_path / "d.jsonl").write_bytes(line(DEAL))
    result = run(settings, "deals", str(tmp_path / "d.jsonl"))
    assert (result.exit_code, result.output) == (0, "sent 1, dead-lettered 0\n")


def test_the_sdk_publishes_both(settings: Settings) -> None:
    """`deal` and `cost` take dicts and records; what is wrong is a RecordError that names the field, and nothing is sent."""
    with Client.sync(settings=settings) as client:
        assert client.deal(DEAL).topic == settings.topic(DEALS)
        client.deal(records.deal(line(DEAL, version=3)))
        client.cost(COST)
        with pytest.raises(RecordError, match=r"^stage: Invalid enum value"):
            client.deal(DEAL | {"stage": "signed"})
        with pytest.raises(RecordError, match=r"^last_day: "):
            client.cost(COST | {"last_day": "2020-01-01"})
    assert sorted(CODEC.decode_deal(one.value or b"").version for one in stored(settings, DEALS)) == [2, 3]
    assert len(stored(settings, COSTS)) == 1
