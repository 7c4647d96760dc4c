"""`touchstream tail`: print conflicts, hand-offs, changes of leads, dead letters, touches or receipts of erasures as they come."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Literal

import click

from streams.commands import receipts, rendering
from streams.commands.common import CommandError, kafka_options, load_settings
from streams.commands.publishing import quiet_kafka
from streams.core import finding_json, touch_json
from streams.core.leads import event_json
from streams.edge.codec import Codec, DecodeError
from streams.edge.reader import ReadError, Stored, decoded, open_codec, read
from streams.edge.topics import CONFLICTS, DEAD_LETTER, ERASURES, HANDOFFS, LEADS, TOUCH_TOPICS
from streams.settings import Settings, SettingsError

TOPICS = {
    "conflicts": (CONFLICTS,),
    "handoffs": (HANDOFFS,),
    "leads": (LEADS,),
    "dead-letter": (DEAD_LETTER,),
    "touches": tuple(TOUCH_TOPICS.values()),
    "erasures": (ERASURES,),
}
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Duration(click.ParamType):
    """A length of time such as 90s, 15m, 2h or 3d, in milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is not a length of time such as 90s, 15m, 2h or 3d", param, ctx)
        return int(match[1]) * _UNIT_MS[match[2]]


@click.command()
@click.argument("what", type=click.Choice(list(TOPICS)))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, times in RFC 3339.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest event that is kept.")
@click.option("--since", type=Duration(), metavar="DURATION", help="Start this far back: 90s, 15m, 2h, 3d.")
@click.option("--count", type=click.IntRange(min=1), help="End after this many events.")
@click.option("--follow/--no-follow", default=True, help="Wait for new events (default), or end with what is there.")
@kafka_options
def tail(
    what: str,
    as_json: bool,
    from_beginning: bool,
    since: int | None,
    count: int | None,
    follow: bool,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Print decoded events: new ones until Ctrl-C, unless told otherwise.

    Findings can be amended and retracted: fold them by finding_id, the highest revision holds. With --no-follow it starts
    at the beginning, unless --since is given. A record that cannot be decoded is named on standard error, with its
    address.
    """
    if from_beginning and since is not None:
        raise click.UsageError("give --from-beginning or --since, not both")
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    start: Literal["beginning", "end"] | int = "beginning" if from_beginning or not follow else "end"
    if since is not None:
        start = max(0, time.time_ns() // 1_000_000 - since)
    quiet_kafka()
    try:
        asyncio.run(_print(settings, what, as_json, start, follow, count))
    except (ReadError, SettingsError) as error:
        raise CommandError(str(error)) from None
    except KeyboardInterrupt:
        pass  # Ctrl-C is how this ends


async def _print(
    settings: Settings,
    what: str,
    as_json: bool,
    start: Literal["beginning", "end"] | int,
    follow: bool,
    count: int | None,
) -> None:
    left = count
    names = [settings.topic(name) for name in TOPICS[what]]
    async with open_codec(settings) as codec:
        decode, human, plain = _forms(what, codec)
        records: AsyncIterator[Stored] = read(settings, names, start=start, follow=follow)
        async with aclosing(records), aclosing(decoded(records, codec, decode)) as events:  # type: ignore[type-var]
            async for stored, event in events:
                if isinstance(event, DecodeError):
                    click.echo(f"{stored.address} cannot be decoded: {event}", err=True)
                    continue
                click.echo(json.dumps(plain(event), ensure_ascii=False) if as_json else human(event))
                if left is not None:
                    left -= 1
                    if left == 0:
                        return


def _forms(
    what: str, codec: Codec
) -> tuple[Callable[[bytes], Any], Callable[[Any], str], Callable[[Any], dict[str, Any]]]:
    """How to decode an event, and how to show it to people and to scripts."""
    if what == "touches":
        return codec.decode_touch, rendering.touch, lambda touch: json.loads(touch_json.to_json(touch))
    if what == "dead-letter":
        return codec.decode_dead_letter, rendering.dead_letter, rendering.dead_letter_json
    if what == "leads":
        return codec.decode_lead_event, rendering.lead_event, event_json.as_dict
    if what == "erasures":
        return codec.decode_receipt, receipts.text, receipts.as_dict
    return codec.decode_finding, rendering.finding, finding_json.as_dict
