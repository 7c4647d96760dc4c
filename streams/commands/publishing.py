"""What `send`, `import` and `dead-letter replay` share: publish what is good, bury what is not, count both."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from streams.commands.common import CommandError
from streams.core import touch_json
from streams.core.ingest import STAGE, Ignored
from streams.core.outcome import Rejected
from streams.core.touch import Touch
from streams.core.touch_json import TouchError
from streams.edge.acknowledged import chunks
from streams.edge.client import IN_FLIGHT, Client, PublishError, Sent
from streams.edge.codec import DecodeError
from streams.edge.encoding import letter_record
from streams.edge.reader import ReadError
from streams.settings import SettingsError

T = TypeVar("T")

JSON_SOURCE = "json"
"""Source of dead letters that hold a touch as JSON for people; the others are names of `streams.core.ingest.ADAPTERS`."""

REPORT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A touch that is to be sent, and the bytes it came from, which are buried if it cannot be."""

    touch: Touch
    payload: bytes | None = None
    line: int | None = None


Item = Candidate | Rejected | Ignored


@dataclass(slots=True)
class Counts:
    """What became of a run's records."""

    sent: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.sent + self.ignored.total() + self.dead.total()

    def text(self, verb: str = "sent") -> str:
        """One line for people: "sent 98, dead-lettered 2 (not_a_touch 1, no_identifier 1)"."""
        parts = [f"{verb} {self.sent}"]
        if self.ignored:
            parts.append(f"ignored {_tally(self.ignored)}")
        parts.append(f"dead-lettered {_tally(self.dead)}")
        return ", ".join(parts)


async def publish(client: Client, items: Iterable[Item], counts: Counts) -> None:
    """Publish the candidates, bury the rejected with a line on standard error each, count everything.

    At most IN_FLIGHT records are under way and held in memory.

    Raises:
        CommandError: Kafka does not take records any more; the text says how far it came.
    """
    ticker = Ticker(counts)
    for chunk in chunks(items, IN_FLIGHT):
        candidates = [item for item in chunk if isinstance(item, Candidate)]
        results = iter(await client.attempt(candidate.touch for candidate in candidates))
        letters: list[Rejected] = []
        lost: PublishError | None = None
        for item in chunk:
            if isinstance(item, Ignored):
                counts.ignored[item.reason] += 1
            elif isinstance(item, Rejected):
                letters.append(item)
            else:
                result = next(results)
                if isinstance(result, Sent):
                    counts.sent += 1
                elif isinstance(result, TouchError):
                    letters.append(rejected(result, item.payload or touch_json.to_json(item.touch), item.line))
                else:
                    lost = lost or result
        await bury(client, letters, counts)
        if lost is not None:
            raise CommandError(f"{lost} (so far: {counts.text()})")
        ticker.tick()
    ticker.end()


async def bury(client: Client, letters: list[Rejected], counts: Counts) -> None:
    """Put rejected input on the dead-letter topic and name each on standard error."""
    now = time.time_ns() // 1_000_000
    records = [letter_record(letter, client.settings, client.codec, now) for letter in letters]
    results = await client.publisher.publish_many(records)
    for letter, result in zip(letters, results, strict=True):
        if isinstance(result, PublishError):
            raise CommandError(f"a dead letter was not stored: {result} (so far: {counts.text()})")
        counts.dead[letter.reason] += 1
        click.echo(f"{place(letter)}{letter.reason}: {letter.detail}", err=True)


def rejected(error: TouchError, payload: bytes, line: int | None) -> Rejected:
    """A touch as JSON for people that cannot be used, as a dead letter that can be replayed once mended."""
    return Rejected(error.reason, str(error), STAGE, payload, source=JSON_SOURCE, line=line)


def json_lines(lines: Iterable[bytes], limit: int) -> Iterator[Item]:
    """Touches from JSON lines; empty lines are skipped. `limit` (bytes) is the longest line that is read as JSON."""
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line:
            continue
        if len(line) > limit:
            text = f"the line has {len(line)} bytes, at most {limit} are accepted"
            yield rejected(TouchError(text, "too_large"), line, number)
            continue
        try:
            yield Candidate(touch_json.parse(line), line, number)
        except TouchError as error:
            yield rejected(error, line, number)


def place(letter: Rejected) -> str:
    """ "line 3: " for input from a file, else nothing."""
    return "" if letter.line is None else f"line {letter.line}: "


def quiet_kafka() -> None:
    """Keep aiokafka's own log off the terminal: what matters of it comes as an error that says what to do."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


def run_kafka(work: Coroutine[Any, Any, T]) -> T:
    """The result of work with Kafka; what goes wrong there is a CommandError."""
    quiet_kafka()
    try:
        return asyncio.run(work)
    except (ReadError, DecodeError, PublishError, SettingsError) as error:
        raise CommandError(str(error)) from None


class Ticker:
    """Progress of a long run on standard error, at most every two seconds, and nothing for a short one."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._started = self._last = time.monotonic()
        self._shown = False

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_SECONDS:
            self._last, self._shown = now, True
            rate = self._counts.total / (now - self._started)
            text = f"  {self._counts.total:,} records, {rate:,.0f} a second"
            click.echo(f"\r{text}" if sys.stderr.isatty() else text, err=True, nl=not sys.stderr.isatty())

    def end(self) -> None:
        if self._shown and sys.stderr.isatty():
            click.echo(err=True)


def _tally(counter: Counter[str]) -> str:
    if not counter:
        return "0"
    return f"{counter.total()} ({', '.join(f'{name} {count}' for name, count in counter.most_common())})"
