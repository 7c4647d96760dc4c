"""`touchstream customer erase|export`: what the GDPR lets a person ask for."""

from __future__ import annotations

import json
import time
from contextlib import aclosing
from typing import Any, TextIO

import click

from streams import settings as settings_module
from streams.commands import holding, receipts, rendering
from streams.commands.asking import answered, request_options
from streams.commands.common import CommandError, kafka_options, load_settings, progress
from streams.commands.identifiers import NAMES, Known, kind_option, look_up, name_of
from streams.commands.identity import as_plain
from streams.commands.publishing import run_kafka
from streams.commands.rendering import counted
from streams.commands.timeline_json import timeline_json
from streams.commands.topics import retention
from streams.core.backtest import fold
from streams.core.erasure import Erasure
from streams.core.outcome import Finding
from streams.core.timeline import touch_count
from streams.core.touch_json import rfc3339
from streams.edge.client import Client
from streams.edge.codec import DecodeError
from streams.edge.reader import decoded, open_codec, read
from streams.edge.topics import ERASURES, catalogue
from streams.settings import Settings

FORMAT, VERSION = "touchstream-customer-export", 1
"""What an export says of itself. A new version may add names; an old name keeps its meaning."""


@click.group()
def customer() -> None:
    """Erase a person, or give them everything that is held about them (GDPR articles 17, 15 and 20)."""


@customer.command()
@click.argument("identifier", metavar="ID")
@kind_option
@request_options("the receipt")
@kafka_options
def erase(
    identifier: str,
    kind: str | None,
    by: str,
    yes: bool,
    wait: bool,
    timeout: float,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Erase the person that ID belongs to: the right to erasure, GDPR article 17.

    ID is a mail address, phone number, LinkedIn URL, CRM id, click id or cookie, as a source writes it, or a customer id. Only pseudonymous
    ids travel in the command. Their timelines, their part of the identity index and of its log, and what is reserved for them go at once,
    their findings are withdrawn without their content; what was published before leaves Kafka with compaction and retention, and the
    receipt says by when. Touches published later are refused, or start afresh, as the policy says (erasure.later_touches). The sources
    keep what they have: erase the person there, too.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    known = look_up(identifier, kind, settings)
    if known.id in known.person.shared:
        raise CommandError(
            f"many people have {identifier!r}, so it does not say whom to erase; name another id of the person"
        )
    click.echo(rendering.clean(_preview(known, run_kafka(_count(settings, known)))), err=True)
    if not yes:
        click.confirm("Erase all of this? It cannot be undone", abort=True, err=True)
    request_id = run_kafka(_ask(settings, known, by))
    if wait:
        click.echo(rendering.clean(receipts.whole(_receipt(settings, request_id, timeout))))
    else:
        click.echo("asked for; `touchstream tail erasures` shows it")


@customer.command()
@click.argument("identifier", metavar="ID")
@kind_option
@click.option(
    "--out",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="File to write; default standard output.",
)
@kafka_options
def export(identifier: str, kind: str | None, out: TextIO, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Write everything that is held about the person that ID belongs to, as JSON: the right of access, GDPR article 15, and to data
    portability, article 20.

    All topics are read from their beginning: the touches as their sources published them, what was made of them (identity,
    timelines, findings), what could not go on, what was asked for, and receipts of erasures. `kept` says how long each topic keeps its
    records. Purposes, recipients and the person's rights, which article 15 asks for as well, are yours to add.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    known = look_up(identifier, kind, settings)
    with progress("reading all topics"):
        held = run_kafka(_everything(settings, known))
    values = _exported(settings, known, held)
    json.dump(values, out, ensure_ascii=False, indent=2)
    out.write("\n")
    click.echo(rendering.clean(_summary(known, values)), err=True)


async def _count(settings: Settings, known: Known) -> tuple[int, int, int]:
    """How many touches their timelines hold, how many findings stand, and how many reservations are kept."""
    async with open_codec(settings) as codec:
        search = holding.Search(settings, codec, known)
        await search.timelines()
        await search.findings()
        await search.reservations()
    touches = sum(map(touch_count, search.held.timelines.values()))
    standing: dict[str, Finding] = {}
    fold(standing, search.found)
    return touches, sum(finding.state != "retracted" for finding in standing.values()), len(search.reserved)


def _preview(known: Known, counts: tuple[int, int, int]) -> str:
    person = known.person
    width = max(map(len, person.ids))
    lines = [f"customer {person.customer_id}"]
    for id_ in person.ids:
        marks = [known.plain.get(id_, ""), "of many people: stays" if id_ in person.shared else ""]
        lines.append("  ".join(("", id_.ljust(width), NAMES[name_of(id_)].ljust(16), *filter(None, marks))).rstrip())
    touches, findings, reservations = counts
    held = [f"{counted(touches, 'touch', 'touches')} on timelines", counted(findings, "finding")]
    return "\n".join((*lines, f"  {', '.join((*held, counted(reservations, 'reservation')))}"))


async def _ask(settings: Settings, known: Known, by: str) -> str:
    async with Client(settings=settings) as client:
        return await client.request("customer_erased", known.id, by=by)


def _receipt(settings: Settings, request_id: str, timeout: float) -> Erasure:
    erasure = Erasure()

    def look() -> Erasure | None:
        nonlocal erasure
        erasure = run_kafka(_parts(settings, request_id))
        return erasure if erasure.is_complete else None

    done = answered(look, timeout)
    if done is not None:
        return done
    said = f"; so far: {receipts.whole(erasure)}" if erasure.identity else ""
    raise CommandError(
        f"the receipt was not complete within {timeout:g} s. The request {request_id} is stored and will be done: are workers and Redis"
        f" running? `touchstream tail erasures --from-beginning` shows the receipt{said}"
    )


async def _parts(settings: Settings, request_id: str) -> Erasure:
    erasure = Erasure()
    async with open_codec(settings) as codec:
        records = read(settings, [settings.topic(ERASURES)], start="beginning", follow=False)
        async with aclosing(records), aclosing(decoded(records, codec, codec.decode_receipt)) as parts:  # type: ignore[type-var]
            async for _, receipt in parts:
                if not isinstance(receipt, DecodeError) and receipt.request_id == request_id:
                    erasure.add(receipt)
    return erasure


async def _everything(settings: Settings, known: Known) -> holding.Holding:
    async with open_codec(settings) as codec:
        search = holding.Search(settings, codec, known)
        for part in (
            search.timelines, search.touches, search.between_workers, search.findings, search.dead_letters,
            search.commands, search.reservations, search.receipts, search.leads, search.deals, search.ledger,
        ):  # fmt: skip
            await part()
    return search.held


def _exported(settings: Settings, known: Known, held: holding.Holding) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": rfc3339(time.time_ns() // 1_000_000),
        "exported_by": f"touchstream {settings_module.version()}",
        "customer_id": known.person.customer_id,
        "identity": as_plain(known.person, held.plain),
        "timelines": [timeline_json(id_, timeline) for id_, timeline in held.timelines.items()],
        "touches": holding.as_published(held.touches),
        "identified_touches": holding.as_published(held.identified),
        "findings": holding.as_published(held.findings),
        "leads": holding.as_published(held.leads),
        "dead_letters": sorted(held.dead_letters, key=lambda one: (holding.published_at(one), one["dead_letter_id"])),
        "dead_letters_of_unknown_people": held.unreadable,
        "commands": holding.as_published(held.commands),
        "reservations": holding.as_published(held.reservations),
        "deals": holding.as_published(held.deals),
        "ledger": held.ledger,
        "erasures": holding.as_published(held.receipts),
        "kept": {spec.name: retention(spec) for spec in catalogue(settings)},
    }


def _summary(known: Known, values: dict[str, Any]) -> str:
    """What an export holds, for people."""
    on_timelines = sum(len(one.get("touches", ())) for one in values["timelines"])
    agreed = sum(len(one.get("consents", ())) for one in values["timelines"])
    unknown = values["dead_letters_of_unknown_people"]
    lines = [
        f"customer {known.person.customer_id}: {counted(len(known.person.ids), 'id')},"
        f" {counted(len(known.person.history), 'event')} of identity",
        f"  {counted(len(values['touches']), 'touch', 'touches')} as published, {on_timelines} on"
        f" {counted(len(values['timelines']), 'timeline')}, {counted(agreed, 'record')} of consent",
        f"  {counted(len(values['findings']), 'record')} of findings, {counted(len(values['dead_letters']), 'dead letter')},"
        f" {counted(len(values['commands']), 'command')}, {counted(len(values['reservations']), 'record')} of reservations,"
        f" {counted(len(values['erasures']), 'receipt')}",
        f"  {counted(len(values['leads']), 'change')} of leads, {counted(len(values['deals']), 'record')} of deals,"
        f" {counted(len(values['ledger']), 'fact')} of the ledger",
    ]
    if unknown:
        lines.append(
            f"  {counted(unknown, 'dead letter')} cannot be read, so nobody can say whose: `touchstream dead-letter list`"
        )
    return "\n".join(lines)
