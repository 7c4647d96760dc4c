"""`touchstream send`: publish touches, one from the command line or many as JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, BinaryIO

import click

from streams.commands.common import CommandError, kafka_options, load_settings
from streams.commands.publishing import Candidate, Counts, Item, json_lines, publish, run_kafka
from streams.core import touch_json
from streams.core.touch import CHANNELS, DEPARTMENTS, KINDS
from streams.core.touch_check import DIRECTIONS
from streams.core.touch_json import TouchError
from streams.edge.client import Client
from streams.settings import Settings

_CUSTOMER = ("email", "phone", "linkedin_url", "crm_id", "click_id", "cookie_id", "name")
_MESSAGE = ("subject", "text", "offer", "url")
_PLAIN = (
    "touch_id",
    "channel",
    "department",
    "direction",
    "kind",
    "occurred_at",
    "campaign",
    "source",
    "version",
    "deleted",
)


@click.command()
@click.argument("touch", metavar="[TOUCH_JSON]", required=False)
@click.option("--file", type=click.File("rb"), help="Read JSON lines from this file instead of standard input.")
@click.option("--channel", type=click.Choice(CHANNELS), help="One touch from options: its channel.")
@click.option("--department", type=click.Choice(DEPARTMENTS))
@click.option("--direction", type=click.Choice(DIRECTIONS), help="Default outbound.")
@click.option("--kind", type=click.Choice(KINDS), help="What happened.")
@click.option("--email", help="The customer's mail address.")
@click.option("--phone", help="The customer's phone number, best with country code.")
@click.option("--linkedin-url", help="The customer's LinkedIn profile.")
@click.option("--crm-id", help="The customer's record in the CRM.")
@click.option("--click-id", help="The customer's ad click id.")
@click.option("--cookie-id", help="The customer's browser, by a cookie of ours.")
@click.option("--name", help="The customer's name, for display.")
@click.option("--campaign")
@click.option("--subject", help="Subject of the message.")
@click.option("--text", help="Text of the message.")
@click.option("--offer", help="Name of the offer in the message.")
@click.option("--url", help="Page the message links to.")
@click.option("--actor", help="Id of the person who acted for us.")
@click.option("--actor-name", help="Name of that person.")
@click.option("--source", help="System that reported the touch.")
@click.option("--touch-id", help="Id of the event in its source; default: derived from the content.")
@click.option(
    "--touch-version", "version", type=click.IntRange(min=1), help="Higher than before: corrects that --touch-id."
)
@click.option("--deleted", is_flag=True, help="Takes back that --touch-id, with a higher --touch-version.")
@click.option("--occurred-at", metavar="TIME", help="RFC 3339 with time zone; default now.")
@kafka_options
def send(
    touch: str | None, file: BinaryIO | None, bootstrap: str | None, topic_prefix: str | None, **options: Any
) -> None:
    """Publish touches to Kafka, and wait until they are stored.

    Give one touch as TOUCH_JSON or by options, or many as JSON lines on standard input or in --file. A broken line is
    named on standard error with its number and goes to the dead-letter topic; the rest goes on. Sending the same touch
    again changes nothing: it has the same id. The exit code is 1 when a line was broken.

    \b
    touchstream send --channel email --kind sent --department sales --email dana@example.com
    touchstream send < touches.jsonl
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    given = {name: value for name, value in options.items() if value not in (None, False)}
    if sum((touch is not None, file is not None, bool(given))) > 1:
        raise click.UsageError("give one of TOUCH_JSON, --file, or the options of one touch")
    if touch is not None or given:
        items: Iterable[Item] = [_single(touch, given)]
    else:
        lines = file if file is not None else sys.stdin.buffer
        if file is None and sys.stdin.isatty():
            click.echo("reading touches as JSON lines from the terminal; Ctrl-D ends", err=True)
        items = json_lines(lines, 4 * settings.max_message_bytes)
    counts = Counts()
    run(settings, items, counts)
    click.echo(counts.text())
    if counts.dead:
        click.echo("`touchstream dead-letter list` shows what was dead-lettered, and how to replay it", err=True)
        sys.exit(1)


def run(settings: Settings, items: Iterable[Item], counts: Counts) -> None:
    """Publish items over a connection of their own; Kafka's trouble is a CommandError."""
    run_kafka(_publish(settings, items, counts))


async def _publish(settings: Settings, items: Iterable[Item], counts: Counts) -> None:
    async with Client(settings=settings) as client:
        await publish(client, items, counts)


def _single(text: str | None, options: dict[str, Any]) -> Candidate:
    """One touch from the command line. A mistake in it is an error at once, not a dead letter: its writer is right there."""
    try:
        return Candidate(touch_json.parse(text) if text is not None else touch_json.from_mapping(_values(options)))
    except TouchError as error:
        raise CommandError(f"the touch cannot be sent: {error}") from None


def _values(options: dict[str, Any]) -> dict[str, Any]:
    now = touch_json.rfc3339(time.time_ns() // 1_000_000)
    values: dict[str, Any] = {"direction": "outbound", "occurred_at": now}
    values |= {name: options[name] for name in _PLAIN if name in options}
    values["customer"] = {name: options[name] for name in _CUSTOMER if name in options}
    message = {name: options[name] for name in _MESSAGE if name in options}
    if message:
        values["message"] = message
    if "actor" in options:
        values["actor"] = {"id": options["actor"], "name": options.get("actor_name")}
    return values
