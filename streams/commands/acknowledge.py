"""`touchstream acknowledge`: somebody acts on a finding."""

from __future__ import annotations

import click

from streams.commands import rendering
from streams.commands.asking import answered, by_option
from streams.commands.common import CommandError, kafka_options, load_settings
from streams.commands.publishing import run_kafka
from streams.core.outcome import Finding
from streams.edge import reader
from streams.edge.client import Client
from streams.settings import Settings


@click.command()
@click.argument("finding_id")
@by_option("Who acts on it.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the workers; 0: not at all.",
)
@kafka_options
def acknowledge(finding_id: str, by: str, wait: float, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Say that you act on a conflict or hand-off. FINDING_ID is as `touchstream tail --json` prints it.

    From then on the finding is amended and never retracted: if a late touch, a correction or a merge makes it untrue, its next
    revision says `withdrawn`, with the cause.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    click.echo(rendering.clean(_answer(settings, finding_id, by, wait)))


def _answer(settings: Settings, finding_id: str, by: str, wait: float) -> str:
    finding = _held(settings, finding_id)
    if finding.acknowledged_by is not None:
        return f"{finding.acknowledged_by} acts on it already: {finding.reason}"
    run_kafka(_ask(settings, finding, by))
    if not wait:
        return "asked for; the workers will say so in the finding's next revision"

    def look() -> Finding | None:
        found = _held(settings, finding_id)
        return found if found.acknowledged_by is not None else None

    told = answered(look, wait)
    if told is None:
        raise CommandError(
            f"no worker answered within {wait:g} s; the command is stored and will be done. Are workers running?"
        )
    return f"{told.acknowledged_by} acts on it: {told.reason}"


async def _ask(settings: Settings, finding: Finding, by: str) -> None:
    async with Client(settings=settings) as client:
        await client.acknowledge(finding, by)


def _held(settings: Settings, finding_id: str) -> Finding:
    finding = run_kafka(reader.findings(settings)).get(finding_id)
    if finding is None:
        raise CommandError(
            f"no finding {finding_id} is in the alert topics; `touchstream tail conflicts --json --no-follow` lists them"
        )
    if finding.state == "retracted":
        raise CommandError(f"finding {finding_id} was retracted: there is nothing to act on")
    return finding
