"""`touchstream plan`: publish planned touches, or withdraw them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import BinaryIO

import click
from msgspec.structs import replace

from streams.commands import rendering
from streams.commands.common import CommandError, kafka_options, load_settings
from streams.commands.files import touch_lines
from streams.commands.publishing import Counts, Ticker, run_kafka
from streams.core.touch import Touch
from streams.core.touch_json import TouchError
from streams.edge.acknowledged import chunks
from streams.edge.client import IN_FLIGHT, Client, PublishError
from streams.settings import Settings


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--withdraw", is_flag=True, help="These touches are not planned any more.")
@kafka_options
def plan(file: BinaryIO, withdraw: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Publish the planned touches of FILE: campaign sends, sequences, call lists.

    FILE has touches as JSON lines ("-" is standard input), as `touchstream send` will take them, with their times to come and the ids that
    they will have. Publish a plan again when it changes: of one touch_id the highest version holds, of equal ones the later. The workers
    report what collides as findings (`touchstream tail`, rule planned_conflict); `touchstream forecast` sums up. A broken line is named
    with its number, the rest goes on; the exit code is then 1.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    broken: list[str] = []
    lines = touch_lines(file, broken)
    counts = Counts()
    touches = ((number, replace(touch, deleted=True) if withdraw else touch) for number, touch in lines)
    run_kafka(_publish(settings, touches, counts, broken))
    click.echo(f"{'withdrawn' if withdraw else 'planned'} {counts.sent}, broken {len(broken)}")
    for problem in broken:
        click.echo(rendering.clean(problem), err=True)
    if broken:
        sys.exit(1)


async def _publish(settings: Settings, touches: Iterable[tuple[int, Touch]], counts: Counts, broken: list[str]) -> None:
    async with Client(settings=settings) as client:
        ticker = Ticker(counts)
        for chunk in chunks(touches, IN_FLIGHT):
            results = await client.attempt_plans(touch for _, touch in chunk)
            for (number, _), result in zip(chunk, results, strict=True):
                if isinstance(result, PublishError):
                    raise CommandError(f"{result} (so far: planned {counts.sent})")
                if isinstance(result, TouchError):
                    broken.append(f"line {number}: {result}")
                else:
                    counts.sent += 1
            ticker.tick()
        ticker.end()
