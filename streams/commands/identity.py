"""`touchstream identity show`: who an identifier belongs to, and what made it so."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from streams.commands import rendering
from streams.commands.common import kafka_options, load_settings
from streams.commands.identifiers import NAMES, kind_option, look_up, name_of
from streams.commands.identity_merge import merge
from streams.commands.identity_split import split
from streams.core.identity_facts import decode_cause, decode_request
from streams.core.identity_person import Event, Person
from streams.core.touch_json import rfc3339


@click.group()
def identity() -> None:
    """Show who an identifier belongs to, and why; split those who are not one person, merge those who are."""


identity.add_command(split)
identity.add_command(merge)


@identity.command()
@click.argument("identifier", metavar="ID")
@kind_option
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@kafka_options
def show(identifier: str, kind: str | None, as_json: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Print the customer that ID belongs to, all their ids, and each link, merge, block and shared mark with date and cause.

    ID is a mail address, phone number, LinkedIn URL, CRM id, click id or cookie, as a source writes it, or a customer id. All is read from
    the log in Kafka; Redis is not asked. Other identifiers are known by their pseudonyms only, so only the given one is shown in
    plain. Exit code 1 when nobody has it.
    """
    known = look_up(identifier, kind, load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix))
    person, plain = known.person, known.plain
    if as_json:
        click.echo(json.dumps(as_plain(person, plain), ensure_ascii=False))
    else:
        click.echo(_text(person, plain))


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
            "  ".join(("", node_id.ljust(width), NAMES[name_of(node_id)].ljust(16), *filter(None, marks))).rstrip()
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
        "cut": f"{a} and {b} are not one person"
        if decode_cause(event.fact) is None
        else f"{a} and {b} are linked no more: one of them has too many people",
        "joined": f"{a} and {b} are one person, as somebody decided",
        "acted": f"somebody acts on the conflict of {a} and {b}",
        "ended": f"the conflict of {a} and {b} has ended",
        "erased": f"what was known of {a} was erased",
    }[event.kind]
    cause, request = decode_cause(event.fact), decode_request(event.fact)
    if request is not None:
        reason = f": {request.reason}" if request.reason else ""
        why = f"asked for by {request.requested_by}, request {request.command_id}{reason}"
    elif cause is None:
        why = "cause unknown; the date is that of the log"
    else:
        place = f", {cause.origin}" if cause.origin else ""
        name, said = rendering.identity_cause(cause)
        why = f"{name} of {rfc3339(cause.occurred_at)}: {said}{place}"
    return f"  {rfc3339(event.at)}  {event.kind:8}  {what}", f"      {why}"


def as_plain(person: Person, plain: dict[str, str]) -> dict[str, Any]:
    """A person as plain values; `plain` has the identifiers whose normal form is known, by id."""
    return {
        "customer_id": person.customer_id,
        "ids": [
            {
                "id": node_id,
                "kind": name_of(node_id),
                "value": plain.get(node_id),
                "shared": node_id in person.shared,
                "timeline_moved": node_id not in person.untold,
            }
            for node_id in person.ids
        ],
        "history": [_event_json(event) for event in person.history],
    }


def _event_json(event: Event) -> dict[str, Any]:
    cause = decode_request(event.fact) or decode_cause(event.fact)
    values = None
    if cause is not None:
        values = {name: value for name, value in msgspec.structs.asdict(cause).items() if value != ""}
        values |= {name: rfc3339(value) for name, value in values.items() if name.endswith("_at")}
    return {
        "date": rfc3339(event.at),
        "event": event.kind,
        "a": event.fact.a,
        "b": event.fact.b,
        "customers": list(event.fact.customers),
        "cause": values,
    }
