"""The shapes between Avro and the core where the two differ: findings, commands, dead letters. Pure; dicts in and out.

A decoded dict has every field of the newest schema, so nothing here guesses; the enums' `unknown` is refused by msgspec.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from streams.core.commands import Command
from streams.core.consent import ConsentChange
from streams.core.dead_letter import DeadLetter
from streams.core.erasure import Receipt
from streams.core.leads.events import LeadEvent
from streams.core.ledger.totals import Total
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Finding
from streams.core.published import Published
from streams.core.reservation import Reservation
from streams.core.touch import Account, Actor, Claim, Customer, IdentifiedTouch, Message, Money, Origin, Touch

MAKERS = {
    f"io.touchstream.{maker.__name__}": maker
    for maker in (
        Touch,
        IdentifiedTouch,
        Customer,
        Account,
        Actor,
        Message,
        Money,
        Claim,
        Origin,
        Command,
        ConsentChange,
    )
}
"""What the records of the schemas of touches and commands are made of; fields stand in the same order in both."""

_HANDOFF_FIELDS = ("trigger", "score", "threshold", "components", "crossing_touch", "recent_campaigns", "due_at", "fit")

ATTRIBUTES = {
    "conflict": {"customer_id": "customer"},
    "handoff": {"customer_id": "customer"} | {name: f"handoff.{name}" for name in _HANDOFF_FIELDS},
}
"""Where a finding has the fields of its schema that it does not have by that name."""


def touch_from_dict(record: dict[str, Any]) -> Touch:
    """A touch. Raises msgspec.ValidationError."""
    return msgspec.convert(record, Touch)


def identified_from_dict(record: dict[str, Any]) -> IdentifiedTouch:
    """A touch of a known customer. Raises msgspec.ValidationError."""
    claims = [[claim[name] for name in Claim.__struct_fields__] for claim in record["claims"]]
    return msgspec.convert({**record, "claims": claims}, IdentifiedTouch)


def finding_from_dict(kind: str, record: dict[str, Any]) -> Finding:
    """A finding of the kind "conflict" or "handoff". Raises msgspec.ValidationError, its path in our names."""
    values = dict(record)
    values["finding"] = kind
    values["customer"] = values.pop("customer_id")
    if kind == "handoff":
        values["handoff"] = {name: values.pop(name) for name in _HANDOFF_FIELDS}
    return msgspec.convert(values, Finding)


def lead_event_from_dict(record: dict[str, Any]) -> LeadEvent:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(record, LeadEvent)


def command_from_dict(record: dict[str, Any]) -> Command:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(record, Command)


def flat_dead_letter(letter: DeadLetter) -> SimpleNamespace:
    """A dead letter with the attributes that `schemas/dead_letter` has fields for."""
    values = msgspec.structs.asdict(letter)
    origin = values.pop("origin")
    place = (None, None, None) if origin is None else (origin.topic, origin.partition, origin.offset)
    return SimpleNamespace(**values, **dict(zip(("topic", "partition", "offset"), place, strict=True)))


def dead_letter_from_dict(record: dict[str, Any]) -> DeadLetter:
    """Raises msgspec.ValidationError."""
    values = dict(record)
    origin = {name: values.pop(name) for name in ("topic", "partition", "offset")}
    values["origin"] = None if origin["topic"] is None else origin
    return msgspec.convert(values, DeadLetter)


def receipt_from_dict(record: dict[str, Any]) -> Receipt:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(record, Receipt)


def reservation_from_dict(record: dict[str, Any]) -> Reservation:
    """A state that this release does not know counts as released. Raises msgspec.ValidationError."""
    known = record["state"] if record["state"] in ("held", "committed") else "released"
    return msgspec.convert({**record, "state": known}, Reservation)


def published_from_dict(record: dict[str, Any]) -> Published:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(record, Published)


def deal_from_dict(record: dict[str, Any]) -> Deal:
    """Its values are checked by `streams.core.ledger.records`. Raises msgspec.ValidationError."""
    return msgspec.convert(record, Deal)


def cost_from_dict(record: dict[str, Any]) -> Cost:
    """Its values are checked by `streams.core.ledger.records`. Raises msgspec.ValidationError."""
    return msgspec.convert(record, Cost)


def total_from_dict(record: dict[str, Any]) -> Total:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(record, Total)
