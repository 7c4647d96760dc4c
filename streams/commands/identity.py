"""`touchstream identity show`: who an identifier belongs to, and what made it so."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import click
import msgspec

from streams.commands import rendering
from streams.commands.common import CommandError, kafka_options, load_policy, load_settings
from streams.commands.publishing import quiet_kafka
from streams.core.identify import RANKS, WORDS, identifiers, kind_of, node
from streams.core.identity_facts import decode, decode_cause
from streams.core.identity_person import Event, IdentityLog, Person
from streams.core.touch import Customer
from streams.core.touch_json import rfc3339
from streams.edge.reader import ReadError, read
from streams.edge.topics import IDENTITIES
from streams.settings import PREFIX, Settings, SettingsError

CUSTOMER_ID = "customer_id"
_WORDS = WORDS | {CUSTOMER_ID: "customer id"}
_NODE = re.compile(r"c[1-5]-\S+")


@click.group()
def identity() -> None:
    """Show who an identifier belongs to, and why."""


@identity.command()
@click.argument("identifier", metavar="ID")
@click.option(
    "--kind", type=click.Choice((CUSTOMER_ID, *(name for name, _ in RANKS))), help="What ID is, if it is ambiguous."
)
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@kafka_options
def show(identifier: str, kind: str | None, as_json: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Print the customer that ID belongs to, all their ids, and each link, merge, block and shared mark with date and cause.

    ID is a mail address, phone number, LinkedIn URL, CRM id or click id, as a source writes it, or a customer id. All is read from
    the log in Kafka; Redis is not asked. Other identifiers are known by their pseudonyms only, so only the given one is shown in
    plain. Exit code 1 when nobody has it.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    meanings = _meanings(identifier, kind, settings)
    if not meanings:
        raise CommandError(f"{identifier!r} is no usable {_WORDS[kind] if kind else 'identifier'}")
    log = _load(settings, load_policy(None, settings).identity.shared_after)
    found = log.known(meanings)
    if not found:
        tried = ", ".join(dict.fromkeys(_WORDS[name] for name, _ in meanings.values()))
        raise CommandError(
            f"the identity log at {settings.bootstrap} knows nobody by {identifier!r} (tried as {tried}); are --topic-prefix,"
            f" {PREFIX}ID_KEY and {PREFIX}DEFAULT_REGION those of the workers?"
        )
    if len({log.customer(node_id) for node_id in found}) > 1:
        named = ", ".join(f"{meanings[node_id][0]} of {log.customer(node_id)}" for node_id in found)
        raise CommandError(f"{identifier!r} is ambiguous: {named}; say which with --kind")
    person = log.person(found[0])
    plain = {node_id: value for node_id in found if (value := meanings[node_id][1])}
    if as_json:
        click.echo(json.dumps(_as_json(person, plain), ensure_ascii=False))
    else:
        click.echo(_text(person, plain))


def _meanings(raw: str, kind: str | None, settings: Settings) -> dict[str, tuple[str, str | None]]:
    """What the text may stand for: node id -> (kind, normal form; None when it is an id already)."""
    found: dict[str, tuple[str, str | None]] = {}
    if kind in (None, CUSTOMER_ID) and _NODE.fullmatch(raw.strip()):
        found[raw.strip()] = (CUSTOMER_ID, None)
    for name, _ in RANKS:
        if kind in (None, name):
            for digit, value in identifiers(Customer(**{name: raw}), settings.default_region):
                found[node(digit, value, settings.id_key)] = (name, value)
    return found


def _load(settings: Settings, limit: int) -> IdentityLog:
    quiet_kafka()
    try:
        return asyncio.run(_read(settings, limit))
    except (ReadError, SettingsError) as error:
        raise CommandError(str(error)) from None


async def _read(settings: Settings, limit: int) -> IdentityLog:
    log = IdentityLog(limit)
    async for stored in read(settings, [settings.topic(IDENTITIES)], start="beginning", follow=False):
        try:
            if stored.value is None:
                log.remove((stored.key or b"").decode())
            else:
                log.put(decode(stored.key or b"", stored.value), stored.timestamp)
        except ValueError as error:  # the workers skip it, too
            click.echo(rendering.clean(f"skipped {stored.address}: {error}"), err=True)
    return log


def _kind(node_id: str) -> str:
    return kind_of(node_id) or CUSTOMER_ID


def _text(person: Person, plain: dict[str, str]) -> str:
    lines = [f"customer {person.customer_id}"]
    width = max(map(len, person.ids))
    for node_id in person.ids:
        marks = [
            plain.get(node_id, ""),
            "shared by many people: it links nobody any more" if node_id in person.shared else "",
            "its timeline is not known to have moved yet" if node_id in person.untold else "",
        ]
        lines.append(
            "  ".join(("", node_id.ljust(width), _WORDS[_kind(node_id)].ljust(16), *filter(None, marks))).rstrip()
        )
    lines.append("history")
    lines += [line for event in person.history for line in _event(event)]
    return rendering.clean("\n".join(lines))


def _event(event: Event) -> tuple[str, str]:
    a, b = event.fact.a, event.fact.b
    what = {
        "customer": f"touches are sent on under {a}",
        "seen": f"{a} and {b}, seen in one touch while the index was away",
        "link": f"{a} and {b} are one person",
        "blocked": f"{a} and {b} are kept apart: they lead to {' and '.join(event.fact.customers) or 'two CRM records'}",
        "shared": f"{a} has too many people",
        "merge": f"the timeline of {a} moved to {b}",
    }[event.kind]
    cause = decode_cause(event.fact)
    if cause is None:
        why = "cause unknown; the date is that of the log"
    else:
        place = f", {cause.origin}" if cause.origin else ""
        why = f"touch {cause.touch_id} of {rfc3339(cause.occurred_at)}: {cause.department}, {cause.channel} {cause.kind}{place}"
    return f"  {rfc3339(event.at)}  {event.kind:8}  {what}", f"      {why}"


def _as_json(person: Person, plain: dict[str, str]) -> dict[str, Any]:
    return {
        "customer_id": person.customer_id,
        "ids": [
            {
                "id": node_id,
                "kind": _kind(node_id),
                "value": plain.get(node_id),
                "shared": node_id in person.shared,
                "timeline_moved": node_id not in person.untold,
            }
            for node_id in person.ids
        ],
        "history": [_event_json(event) for event in person.history],
    }


def _event_json(event: Event) -> dict[str, Any]:
    cause = decode_cause(event.fact)
    values = None
    if cause is not None:
        values = {name: value for name, value in msgspec.structs.asdict(cause).items() if value != ""}
        values |= {name: rfc3339(values[name]) for name in ("occurred_at", "published_at")}
    return {
        "date": rfc3339(event.at),
        "event": event.kind,
        "a": event.fact.a,
        "b": event.fact.b,
        "customers": list(event.fact.customers),
        "cause": values,
    }
