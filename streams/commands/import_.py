"""`touchstream import`: publish the touches of a provider's export or webhook log."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import click

from streams.commands.common import kafka_options, load_settings
from streams.commands.publishing import JSON_SOURCE, Candidate, Counts, Item, json_lines, place
from streams.commands.send import run
from streams.core import touch_json
from streams.core.ingest import ADAPTERS, Defaults, Ignored, read
from streams.core.outcome import Rejected
from streams.core.touch import DEPARTMENTS, Department, Touch

SOURCES = (*ADAPTERS, JSON_SOURCE)


@click.command(
    "import", epilog="Sources: " + "; ".join(f"{name}: {adapter.meaning}" for name, adapter in ADAPTERS.items())
)
@click.option("--from", "source", type=click.Choice(SOURCES), required=True, help="Provider whose format FILE has.")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--department", type=click.Choice(DEPARTMENTS), help="Whose contacts these are, where the provider cannot know."
)
@click.option("--campaign", help="Campaign of records that name none.")
@click.option("--dry-run", is_flag=True, help="Publish nothing; print the touches as JSON lines.")
@kafka_options
def import_(
    source: str,
    file: BinaryIO,
    department: str | None,
    campaign: str | None,
    dry_run: bool,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Publish the touches in FILE ("-" is standard input), as a provider exports or sends them.

    Records that are no touch are counted as ignored, by reason. Unknown or broken records go to the dead-letter topic
    with reason and line; the rest goes on. Ids come from the provider's event ids, so importing a file twice changes
    nothing. The exit code is 1 when a record was dead-lettered. `--from json` reads touches as JSON lines.
    """
    if source == JSON_SOURCE and (department or campaign):
        raise click.UsageError("--department and --campaign are for providers' files; a JSON touch names its own")
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    data = file.read()
    defaults = Defaults(department=cast("Department | None", department), campaign=campaign)
    items = candidates(source, data, defaults, 4 * settings.max_message_bytes)
    counts = Counts()
    if dry_run:
        _print(items, counts)
        click.echo(counts.text("would send"), err=True)
    else:
        run(settings, items, counts)
        click.echo(counts.text())
    if counts.dead:
        sys.exit(1)


def candidates(source: str, data: bytes, defaults: Defaults, limit: int) -> Iterator[Item]:
    """What the records of a file mean, for `publishing.publish`. `limit` (bytes) is the longest JSON line."""
    if source == JSON_SOURCE:
        yield from json_lines(io.BytesIO(data), limit)
        return
    for outcome in read(source, data, defaults):
        yield Candidate(outcome) if isinstance(outcome, Touch) else outcome


def _print(items: Iterable[Item], counts: Counts) -> None:
    for item in items:
        if isinstance(item, Candidate):
            counts.sent += 1
            click.echo(touch_json.to_json(item.touch))
        elif isinstance(item, Ignored):
            counts.ignored[item.reason] += 1
        elif isinstance(item, Rejected):
            counts.dead[item.reason] += 1
            click.echo(f"{place(item)}{item.reason}: {item.detail}", err=True)
