"""`touchstream backtest --from-kafka`: the history that workers hold, merges and corrections included, under other policies."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from pathlib import Path

import pytest
from click.testing import Result
from msgspec.structs import replace

from streams import Client
from streams.core import touch_json
from streams.core.entry import Engagement, Entry
from streams.core.segments import Entries, seal
from streams.core.timeline import Timeline, encode, encode_head
from streams.edge.publisher import Record
from streams.edge.topics import changelog
from streams.settings import Settings
from tests.support import histories
from tests.support.browser import look
from tests.support.commands import touchstream
from tests.support.drained import wait_drained
from tests.support.publishing import publish
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
POLICY = str(Path(__file__).parent / "support" / "policy.toml")
STRICT = """
[governance]
version = "strict"
[[rules]]
name = "one-a-day"
kind = "frequency_cap"
window = "24h"
limit = 1
"""


def test_the_history_in_kafka_is_the_history_told(settings: Settings, tmp_path: Path) -> None:
    """After two workers have taken 900 touches, in a random order, with corrections and merges, the findings and the difference of two
    policies are those of the same touches from a file; and the page shows it in a browser without a complaint."""
    touches = list(histories.touches(seed=5, customers=40, count=900))
    corrected = [replace(one, version=2, department="sales") for one in touches[:30]]
    known = {one.touch_id: one for one in (*touches, *corrected)}
    sent = [*touches, *corrected]
    random.Random(3).shuffle(sent)
    file, new = tmp_path / "touches.jsonl", tmp_path / "strict.toml"
    file.write_bytes(b"\n".join(map(touch_json.to_json, known.values())))
    new.write_text(Path(POLICY).read_text(encoding="utf-8") + STRICT, encoding="utf-8")
    with Worker(settings), Worker(settings):
        publish(settings, sent)
        wait_drained(settings)

    def backtest(*options: str) -> Result:
        result = touchstream(settings, "backtest", "--policy", POLICY, *options)
        assert result.exit_code == 0, result.stderr
        return result

    told, held = (
        [json.loads(line) for line in backtest(one).stdout.splitlines()] for one in (str(file), "--from-kafka")
    )
    same = ("rule", "finding_id", "customer", "touch_ids", "event_time", "reason")
    assert [{name: one[name] for name in same} for one in held] == [
        {name: one[name] for name in same} for one in told if one["rule"] != "identity_conflict"
    ]
    assert len(held) > 100
    page, against = tmp_path / "page.html", ("--policy", str(new), "--against", POLICY)
    from_file = backtest(str(file), *against)
    from_kafka = backtest("--from-kafka", "--since", "2020-01-01", *against, "--html", str(page))
    assert from_kafka.stdout == from_file.stdout and "  rule one-a-day: " in from_kafka.stdout
    assert "the first contact that counts is of 2026-03-02, not of 2020-01-01: " in from_kafka.stderr
    later = backtest("--from-kafka", "--since", "2026-03-05T00:00:00Z", *against).stdout
    assert 0 < int(later.split()[0]) < int(from_file.stdout.split()[0])

    shot = tmp_path / "page.png"
    seen = look(page, f"--screenshot={shot}", "--window-size=1200,900")
    assert "CONSOLE" not in seen.stderr and "Refused to" not in seen.stderr
    assert shot.read_bytes().startswith(b"\x89PNG")
    text = look(page, "--dump-dom").stdout
    assert "one-a-day" in text and text.count("<svg") == 1 and "Stopped by strict only" in text


def test_what_is_wrong_is_said(settings: Settings, tmp_path: Path) -> None:
    """Neither or both of file and Kafka, a page of nothing, a time that is none, a history that nobody has: each is told."""
    told = {
        (): "give either FILE or --from-kafka",
        ("-", "--from-kafka"): "give either FILE or --from-kafka",
        ("--from-kafka", "--html", str(tmp_path / "x.html")): "give the one in force by --against",
        ("--from-kafka", "--since", "monday"): "--since: 'monday' is not an RFC 3339 time",
        ("--from-kafka",): "no customer has a timeline at",
    }
    for arguments, words in told.items():
        result = touchstream(settings, "backtest", *arguments)
        assert result.exit_code in (1, 2) and words in result.stderr, (arguments, result.stderr)


def test_a_timeline_that_cannot_be_read_is_named(settings: Settings) -> None:
    """One value of the changelog is cut off, or a segment of a long timeline is missing: the findings, the difference of two policies and
    a forecast end with whose it is, where it stands and what to do, and print no figure without it."""
    now = time.time_ns() // 1_000_000
    mails = tuple(
        Entry(now - 60_000 * (200 - n), f"t{n:03}", "email", "marketing", "outbound", "sent") for n in range(200)
    )
    planned = (replace(mails[0], at=now + 3_600_000, id="p"),)
    short = Timeline(entries=mails[:3], plans=planned)
    long = replace(short, entries=Entries(seal(mails[:150]), mails[150:], Engagement()))
    for value, why in (
        (encode(short)[:-3], "damaged timeline: "),
        (encode_head(long), "segment [0-9a-f]{16} of the timeline is missing"),
    ):
        _write(settings, {b"c2-a": value, b"c2-b": encode(short)})
        for command in (("backtest", "--from-kafka"), ("backtest", "--from-kafka", "--against", POLICY), ("forecast",)):
            result = touchstream(settings, *command)
            assert (result.exit_code, result.stdout) == (1, ""), command
            assert re.search(f"Error: the timeline of c2-a cannot be read: {why}", result.stderr), result.stderr
            assert f"topic {changelog(settings)} under this key" in result.stderr and "last good value" in result.stderr


def _write(settings: Settings, values: dict[bytes, bytes]) -> None:
    async def write() -> None:
        async with Client(settings=settings) as client:
            for key, value in values.items():
                await client.publisher.publish(Record(changelog(settings), key, value))

    asyncio.run(write())
