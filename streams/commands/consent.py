"""`touchstream consent give|deny|withdraw|import|show`: what a customer agreed to, for a channel and a purpose."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar, get_args

import click
import msgspec

from streams.commands import holding, rendering, tables
from streams.commands.asking import by_option, you
from streams.commands.common import CommandError, kafka_options, load_policy, load_settings
from streams.commands.identifiers import Known, kind_option, look_up
from streams.commands.mistakes import Mistakes
from streams.commands.policy_in_force import in_force
from streams.commands.publishing import Counts, Ticker, run_kafka
from streams.commands.timeline_json import consents_json
from streams.core import consent_json
from streams.core.consent import ConsentChange, LawfulBasis, Status
from streams.core.consent_json import ConsentError
from streams.core.govern.check import known as seen
from streams.core.govern.consents import agreed, overruled
from streams.core.govern.records import NOTHING, Agreed
from streams.core.policy import Policy
from streams.core.timeline import Timeline
from streams.core.touch import CHANNELS
from streams.core.touch_json import rfc3339
from streams.edge.acknowledged import chunks
from streams.edge.client import IN_FLIGHT, Client, PublishError, Recorded
from streams.edge.publisher import Record
from streams.edge.reader import open_codec
from streams.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_COLUMNS = tables.Columns(consent_json.COLUMNS)
_WHO = ("email", "phone", "linkedin_url", "crm_id")


@click.group()
def consent() -> None:
    """Record what a customer agreed to, for a channel and a purpose, and show what holds."""


def _said(command: F) -> F:
    """Adds the options of a record."""
    for option in (
        kafka_options,
        by_option("Who records it."),
        click.option(
            "--id", "consent_id", metavar="ID", help="The record's id in your system; default: by its content."
        ),
        click.option("--form", help="The text or form that the customer saw, with its version."),
        click.option(
            "--source", default="touchstream consent", show_default=True, help="The system in which it was said."
        ),
        click.option("--basis", type=click.Choice(get_args(LawfulBasis)), help="GDPR article 6(1)."),
        click.option("--until", metavar="TIME", help="When it ends; default: when another record comes."),
        click.option("--at", metavar="TIME", help="When it was said, as 2026-03-02T09:00:00Z; default now."),
        click.option("--purpose", help="What contacts are for, as `category` of touches; default: every purpose."),
        click.option("--channel", type=click.Choice(CHANNELS), help="Default: every channel."),
        click.option("--crm-id"),
        click.option("--linkedin-url"),
        click.option("--phone"),
        click.option("--email", help="Who: at least one of these."),
    ):
        command = option(command)
    return command


@consent.command(short_help="Record that a customer gave consent.")
@_said
def give(**said: Any) -> None:
    """Record that a customer gave consent. It ends an earlier opt-out of what it covers."""
    _record("granted", said)


@consent.command(short_help="Record that consent was asked for, not given.")
@_said
def deny(**said: Any) -> None:
    """Record that a customer was asked for consent and did not give it."""
    _record("denied", said)


@consent.command(short_help="Record that a customer withdrew consent.")
@_said
def withdraw(**said: Any) -> None:
    """Record that a customer withdrew consent: a contact after it is a conflict, contact_after_opt_out."""
    _record("withdrawn", said)


def _record(status: Status, said: dict[str, Any]) -> None:
    settings = load_settings(bootstrap=said.pop("bootstrap"), topic_prefix=said.pop("topic_prefix"))
    who = {name: value for name in _WHO if (value := said.pop(name)) is not None}
    if not who:
        raise CommandError("say whom: --email, --phone, --linkedin-url or --crm-id")
    said["recorded_by"] = said.pop("by")
    try:
        place = run_kafka(_publish(settings, who, status, {name: v for name, v in said.items() if v is not None}))
    except ConsentError as error:
        raise CommandError(str(error)) from None
    click.echo(rendering.clean(f"{status}: {place.consent_id} at {place.topic}[{place.partition}]@{place.offset}"))


async def _publish(settings: Settings, who: dict[str, str], status: Status, said: dict[str, Any]) -> Recorded:
    async with Client(settings=settings) as client:
        return await client.consent(who, status, **said)


@consent.command("import", short_help="Publish records from a file of JSON lines, or CSV.")
@click.argument("file", type=click.File("rb"), metavar="[FILE]", default="-")
@click.option("--by", help="Who records what a line does not say it of; default: you.")
@click.option("--source", help="The system in which it was said, where a line does not say it.")
@kafka_options
def import_(
    file: BinaryIO, by: str | None, source: str | None, bootstrap: str | None, topic_prefix: str | None
) -> None:
    """Publish records of consent from JSON lines (FILE, or standard input), as POST /v1/consents takes them, or from a table (FILE called
    .csv) whose first line names the columns: email, phone, linkedin_url, crm_id, click_id, cookie_id, and the names below.

    A record with a known consent_id takes the place of the former; the same one again changes nothing. Without a consent_id it is the same
    when it says the same `at`; without `at` it was said now. A broken line is named with its number, the rest goes on; the exit code is
    then 1.

    \b
    {"customer": {"email": "dana@example.com"}, "status": "granted", "channel": "email", "purpose": "newsletter",
     "at": "2026-03-02T09:00:00Z", "source": "cmp", "form": "sign-up, version 4", "recorded_by": "cmp", "consent_id": "cmp-88123"}
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    if by is None:
        with suppress(click.UsageError):  # in some containers nobody has a name, and lines that say who need none
            by = you()
    broken: list[str] = []
    counts = Counts()
    usual = {name: value for name, value in (("recorded_by", by), ("source", source)) if value}
    run_kafka(_import(settings, read(file, usual, broken), counts, broken))
    click.echo(f"recorded {counts.sent}, broken {len(broken)}")
    mistakes = Mistakes()
    told = [problem for problem in broken if mistakes.take(problem)]
    for problem in (*told, *mistakes.more()):
        click.echo(rendering.clean(problem), err=True)
    if broken:
        sys.exit(1)


async def _import(
    settings: Settings, changes: Iterable[tuple[int, ConsentChange]], counts: Counts, broken: list[str]
) -> None:
    async with Client(settings=settings) as client:
        ticker = Ticker(counts)
        records = _records(client, changes, broken)
        for chunk in chunks(records, IN_FLIGHT):
            results = await client.publisher.publish_many(chunk)
            lost = next((result for result in results if isinstance(result, PublishError)), None)
            counts.sent += sum(not isinstance(result, PublishError) for result in results)
            if lost is not None:
                raise CommandError(f"{lost} (so far: recorded {counts.sent})")
            ticker.tick()
        ticker.end()


def _records(client: Client, changes: Iterable[tuple[int, ConsentChange]], broken: list[str]) -> Iterator[Record]:
    for number, change in changes:
        try:
            yield client.encode_consent(change)
        except ConsentError as error:
            broken.append(f"line {number}: {error}")


def read(file: BinaryIO, usual: dict[str, str], broken: list[str]) -> Iterator[tuple[int, ConsentChange]]:
    """The records of a file by the number of their line, with what is `usual` where a line does not say it; what is none is named."""
    if tables.is_table(file):
        lines: Iterator[tuple[int, Any]] = tables.rows(file, _COLUMNS, broken)
        change_of: Callable[[Any, int, dict[str, str]], ConsentChange] = consent_json.from_row
    else:
        lines, change_of = (
            ((number, line) for number, line in enumerate(file, start=1) if line.strip()),
            consent_json.parse,
        )
    for number, line in lines:
        try:
            yield number, change_of(line, time.time_ns() // 1_000_000, usual)
        except ConsentError as error:
            broken.append(f"line {number}: {error}")


@consent.command(short_help="Show what holds, each with its proof.")
@click.argument("identifier", metavar="ID")
@kind_option
@click.option("--json", "as_json", is_flag=True, help="What holds and all records, as JSON.")
@kafka_options
def show(identifier: str, kind: str | None, as_json: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Show what the customer agreed to and opted out of, as a check sees it now, each with its proof.

    ID is a mail address, phone number, LinkedIn URL, CRM id, click id or cookie, as a source writes it, or a customer id. Read from the
    workers' timelines in Kafka.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    person = look_up(identifier, kind, settings)
    timelines, policy = run_kafka(_timelines(settings, person))
    now = time.time_ns() // 1_000_000
    holds = held(timelines, policy, now)
    if as_json:
        records = [one for timeline in timelines for one in consents_json(timeline.consents or ())]
        values = {
            "customer_id": person.person.customer_id,
            "at": rfc3339(now),
            "holds": [_plain(one, holds) for one in holds],
        }
        click.echo(msgspec.json.encode(values | {"records": records}).decode())
        return
    click.echo(rendering.clean(f"customer {person.person.customer_id}"))
    for one in holds:
        click.echo(rendering.clean(f"  {rendering.consent(one, holds)}"))
    if not holds:
        click.echo("  no consent is recorded, and no opt-out")


async def _timelines(settings: Settings, person: Known) -> tuple[list[Timeline], Policy]:
    policy, _ = await in_force(settings, load_policy(None, settings))
    async with open_codec(settings) as codec:
        search = holding.Search(settings, codec, person)
        await search.timelines()
    return list(search.held.timelines.values()), policy


def held(timelines: list[Timeline], policy: Policy, now: int) -> tuple[Agreed, ...]:
    """What holds at a moment (UTC ms) by a person's timelines, as a check reads them."""
    standing, history = NOTHING, []
    for timeline in timelines:
        some, standing = seen(timeline, policy, now, standing)
        history += list(some)
    return agreed(history, standing, now)


def _plain(one: Agreed, holds: tuple[Agreed, ...]) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(one)
    if (no := overruled(one, holds)) is not None:
        values["overruled_by"] = {"channel": no.channel, "purpose": no.purpose, "status": no.status, "proof": no.proof}
    return values | {name: rfc3339(values[name]) for name in ("at", "until") if values.get(name) is not None}
