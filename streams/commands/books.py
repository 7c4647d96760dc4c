"""`touchstream deals` and `touchstream costs`: publish what the CRM and the books say, as JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import click

from streams.commands.common import CommandError, kafka_options, load_settings
from streams.commands.publishing import Counts, Ticker, bury, run_kafka
from streams.core.ledger import records
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Rejected
from streams.edge.acknowledged import chunks
from streams.edge.client import IN_FLIGHT, Client, PublishError
from streams.edge.publisher import Record
from streams.settings import Settings

STAGE = "ledger"
"""Stage of the dead letters of deals and costs; their source is "deals" or "costs"."""


@dataclass(frozen=True, slots=True)
class Book:
    """One kind of record: what a line becomes, and the record of Kafka that holds it."""

    name: str
    parse: Callable[[bytes], Deal | Cost]


DEALS = Book("deals", records.deal)
COSTS = Book("costs", records.cost)

_file = click.argument("file", type=click.File("rb"), metavar="FILE", default="-")


@click.command()
@_file
@kafka_options
def deals(file: BinaryIO, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Publish deals from JSON lines (FILE, or standard input).

    Of several records with one deal_id the one with the highest version counts; the same one again changes nothing. A broken line is named
    with its number and goes to the dead-letter topic, the rest goes on; the exit code is then 1.

    \b
    {"deal_id": "opp-1", "customer": {"email": "dana@example.com"}, "stage": "won", "amount": {"amount": 200000, "currency": "EUR"},
     "opened_at": "2026-07-08T08:40:00Z", "closed_at": "2026-08-25T12:00:00Z", "owner": "jokafor"}
    """
    _run(load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix), DEALS, file)


@click.command()
@_file
@kafka_options
def costs(file: BinaryIO, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Publish costs from JSON lines (FILE, or standard input): ad spend, salaries, tools.

    As `touchstream deals`, by cost_id. A cost is spread evenly over its days, both included.

    \b
    {"cost_id": "ads-7", "department": "marketing", "kind": "ad_spend", "channel": "ads", "first_day": "2026-07-01",
     "last_day": "2026-07-31", "amount": {"amount": 20000, "currency": "EUR"}}
    """
    _run(load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix), COSTS, file)


def _run(settings: Settings, book: Book, lines: Iterable[bytes]) -> None:
    counts = Counts()
    run_kafka(_publish(settings, book, lines, counts))
    click.echo(counts.text())
    if counts.dead:
        sys.exit(1)


async def _publish(settings: Settings, book: Book, lines: Iterable[bytes], counts: Counts) -> None:
    async with Client(settings=settings) as client:
        ticker = Ticker(counts)
        read = _read(client, book, lines, 4 * settings.max_message_bytes)
        for chunk in chunks(read, IN_FLIGHT):
            results = await client.publisher.publish_many([item for item in chunk if isinstance(item, Record)])
            await bury(client, [item for item in chunk if isinstance(item, Rejected)], counts)
            lost = next((result for result in results if isinstance(result, PublishError)), None)
            counts.sent += sum(not isinstance(result, PublishError) for result in results)
            if lost is not None:
                raise CommandError(f"{lost} (so far: {counts.text()})")
            ticker.tick()
        ticker.end()


def _read(client: Client, book: Book, lines: Iterable[bytes], limit: int) -> Iterator[Record | Rejected]:
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if len(line) > limit:
            text = f"the line has {len(line)} bytes, at most {limit} are accepted"
            yield Rejected("too_large", text, STAGE, line, source=book.name, line=number)
        elif line:
            try:
                yield client.encode_book(book.parse(line))
            except records.RecordError as error:
                yield Rejected("broken_record", str(error), STAGE, line, source=book.name, line=number)
