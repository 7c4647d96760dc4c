"""What timelines are told of merges and splits, and entries on their way to another customer id: commands that each fit into a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from streams.core import consent, plans
from streams.core.commands import Command
from streams.core.consent import Consent, encode_consent
from streams.core.entry import Entry, encode_entry
from streams.core.ids import command_id
from streams.core.leads.acts import INTERNAL
from streams.core.timeline import Timeline

ENTRIES_PER_COMMAND = 200
"""Timeline entries moved in one command, usually some 60 kB."""

BYTES_PER_COMMAND = 600_000
"""Bytes of entries in one command; Kafka's record limit is 1,048,588 by default. One entry is at most a few kB."""

Moved = Entry | Consent


def all_moves(
    timeline: Timeline, into: str, entries: Iterable[Entry], cause: Command, gone: frozenset[str] | None = None
) -> Iterator[Command]:
    """The entries, and the plans and records of consent of the identifiers `gone` or all, in commands to the customer `into`. Records go
    first, so that no contact is found that they allowed."""
    customer, at = cause.customer_id, cause.decided_at
    yield from moves(customer, into, consent.leave(timeline.consents, customer, gone)[1], cause, at, consent.CHANGED)
    yield from moves(customer, into, entries, cause, at)
    yield from moves(customer, into, plans.leave(timeline.plans, customer, gone)[1], cause, at, plans.PLANNED)


def moves(
    customer: str, into: str, entries: Iterable[Moved], cause: Command, at: int, kind: str = "timeline_moved"
) -> Iterator[Command]:
    """The entries in commands that each fit into a Kafka record. Acts go first: who has a lead already must not be missed when the touches
    that made it arrive."""
    waiting = sorted(entries, key=lambda entry: not (isinstance(entry, Entry) and entry.direction == INTERNAL))
    part: list[bytes] = []
    first = 0
    for n, entry in enumerate(waiting):
        whole = replace(entry, identifier=entry.identifier or customer)
        encoded = encode_entry(whole) if isinstance(whole, Entry) else encode_consent(whole)
        if part and (len(part) == ENTRIES_PER_COMMAND or sum(map(len, part)) + len(encoded) > BYTES_PER_COMMAND):
            yield _command(kind, customer, into, waiting[first], waiting[n - 1], tuple(part), cause, at)
            part, first = [], n
        part.append(encoded)
    if part:
        yield _command(kind, customer, into, waiting[first], waiting[-1], tuple(part), cause, at)


def _command(
    kind: str, customer: str, into: str, first: Moved, last: Moved, entries: tuple[bytes, ...], cause: Command, at: int
) -> Command:
    id_ = command_id(kind, customer, into, first.id, last.id, str(at))
    return Command(
        id_, into, kind, cause.issued_at, cause.cause,
        source_customer_id=customer, entries=entries, decided_at=at, reason=cause.reason,
    )  # fmt: skip


def merge_command(
    loser: str,
    winner: str,
    issued_at: int,
    cause: str,
    decided_at: int = 0,
    identifiers: Iterable[str] = (),
    reason: str | None = None,
) -> Command:
    """Tells the customer `loser` that it goes by `winner` from now on, as all these identifiers do, and why, if somebody asked for it."""
    ids = tuple(sorted(identifiers))
    id_ = command_id("customer_merged", loser, winner)
    return Command(
        id_, loser, "customer_merged", issued_at, cause,
        into=winner, decided_at=decided_at, identifiers=ids, reason=reason,
    )  # fmt: skip


def split_command(
    customer: str,
    into: str,
    identifiers: Iterable[str],
    issued_at: int,
    cause: str,
    decided_at: int,
    reason: str | None = None,
) -> Command:
    """Tells the customer that touches of these identifiers belong to `into` from now on, and why, as who asked for it said."""
    ids = tuple(sorted(identifiers))
    id_ = command_id("customer_split", customer, into, str(decided_at), *ids)
    return Command(
        id_, customer, "customer_split", issued_at, cause,
        into=into, decided_at=decided_at, identifiers=ids, reason=reason,
    )  # fmt: skip
