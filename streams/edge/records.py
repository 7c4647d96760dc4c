"""The shapes between Avro and the core where the two differ: findings, commands, dead letters. Pure; dicts in and out.

A decoded dict has every field of the newest schema, so nothing here guesses; the enums' `unknown` is refused by msgspec.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.commands import Command
from streams.core.dead_letter import DeadLetter
from streams.core.outcome import Finding
from streams.core.touch import Account, Actor, Claim, Customer, IdentifiedTouch, Message, Money, Origin, Touch

MAKERS = {
    f"io.touchstream.{maker.__name__}": maker
    for maker in (Touch, IdentifiedTouch, Customer, Account, Actor, Message, Money, Claim, Origin)
}
"""What the records of the touch schemas are made of; fields stand in the same order in both."""

_HANDOFF_FIELDS = ("trigger", "score", "threshold", "components", "crossing_touch", "recent_campaigns", "due_at")


def touch_from_dict(record: dict[str, Any]) -> Touch:
    """A touch. Raises msgspec.ValidationError."""
    return msgspec.convert(record, Touch)


def identified_from_dict(record: dict[str, Any]) -> IdentifiedTouch:
    """A touch of a known customer. Raises msgspec.ValidationError."""
    claims = [[claim[name] for name in Claim.__struct_fields__] for claim in record["claims"]]
    return msgspec.convert({**record, "claims": claims}, IdentifiedTouch)


def finding_to_dict(finding: Finding) -> dict[str, Any]:
    """The datum of `schemas/conflict` or `schemas/handoff`, by `finding.finding`. Raises ValueError for a hand-off without one."""
    record: dict[str, Any] = msgspec.to_builtins(finding)
    kind, handoff = record.pop("finding"), record.pop("handoff")
    record["customer_id"] = record.pop("customer")
    if kind == "handoff":
        if handoff is None:
            raise ValueError(f"hand-off {finding.finding_id} has no `handoff` part")
        del record["contradictions"]
        record |= handoff
    return record


def finding_from_dict(kind: str, record: dict[str, Any]) -> Finding:
    """A finding of the kind "conflict" or "handoff". Raises msgspec.ValidationError, its path in our names."""
    values = dict(record)
    values["finding"] = kind
    values["customer"] = values.pop("customer_id")
    if kind == "handoff":
        values["handoff"] = {name: values.pop(name) for name in _HANDOFF_FIELDS}
    return msgspec.convert(values, Finding)


def command_to_dict(command: Command) -> dict[str, Any]:
    """The datum of `schemas/command`."""
    return msgspec.structs.asdict(command)


def command_from_dict(record: dict[str, Any]) -> Command:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(record, Command)


def dead_letter_to_dict(letter: DeadLetter) -> dict[str, Any]:
    """The datum of `schemas/dead_letter`."""
    record = msgspec.structs.asdict(letter)
    origin = record.pop("origin")
    for name in ("topic", "partition", "offset"):
        record[name] = None if origin is None else getattr(origin, name)
    return record


def dead_letter_from_dict(record: dict[str, Any]) -> DeadLetter:
    """Raises msgspec.ValidationError."""
    values = dict(record)
    origin = {name: values.pop(name) for name in ("topic", "partition", "offset")}
    values["origin"] = None if origin["topic"] is None else origin
    return msgspec.convert(values, DeadLetter)
