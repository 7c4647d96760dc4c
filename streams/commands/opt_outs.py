"""`touchstream opt-outs`: how long contacts went on after each opt-out."""

from __future__ import annotations

import click
import msgspec

from streams.commands import rendering
from streams.commands.common import kafka_options, load_settings
from streams.commands.publishing import run_kafka
from streams.core import opt_outs as proof
from streams.core import wording
from streams.core.detect.base import ALL
from streams.core.opt_outs import OptOut
from streams.core.touch_json import rfc3339
from streams.edge import reader


@click.command("opt-outs")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all ids.")
@kafka_options
def opt_outs(as_json: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Say for each opt-out, or refusal of consent, how long contacts of any tool went on after it, the worst first.

    Reads the conflicts that Kafka keeps (90 days) as they stand now. An opt-out that is not listed was heeded at once.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    found = proof.latencies(run_kafka(reader.findings(settings)).values())
    for one in found:
        click.echo(msgspec.json.encode(one).decode() if as_json else rendering.clean(_line(one)))
    if not as_json:
        click.echo(
            f"{rendering.counted(len(found), 'opt-out')} {'was' if len(found) == 1 else 'were'} followed by contacts"
        )


def _line(one: OptOut) -> str:
    said = f"{one.kind.replace('_', ' ')} in {'every channel' if one.channel == ALL else one.channel}"
    contacts = rendering.counted(one.contacts, "contact")
    return (
        f"{wording.span(one.latency_ms)} until the last of {contacts} ({', '.join(one.senders)}) after {said}"
        f" at {rfc3339(one.at)}: {one.customer}"
    )
