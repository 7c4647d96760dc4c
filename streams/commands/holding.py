"""What Kafka holds of one person: read from every topic, decoded, as plain values for JSON.

Whose a touch is, the identity log decides, as the workers do: a shared number alone brings in nobody else's touches.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec

from streams.commands import receipts, rendering
from streams.commands.identifiers import Known, forms
from streams.commands.replaying import Unreplayable, read_again
from streams.commands.timeline_json import change_json, consents_json, entries_json
from streams.core import finding_json, touch_json
from streams.core.commands import Command
from streams.core.consent import CHANGED, decode_consent
from streams.core.dead_letter import DeadLetter
from streams.core.entry import DamagedError, decode_entry
from streams.core.erasure import Receipt
from streams.core.identify import identifiers, node, nodes
from streams.core.ingest import Defaults
from streams.core.leads import event_json
from streams.core.leads.events import LeadEvent
from streams.core.ledger import facts
from streams.core.ledger.types import Deal
from streams.core.outcome import Finding
from streams.core.reservation import Reservation
from streams.core.timeline import Timeline, customer_of, decode, segment_key
from streams.core.touch import Customer, IdentifiedTouch, Touch
from streams.core.touch_json import TouchError, rfc3339
from streams.edge.codec import Codec, DecodeError
from streams.edge.reader import Stored, decoded, in_order, latest, read
from streams.edge.topics import (
    COMMANDS,
    CONFLICTS,
    DEAD_LETTER,
    DEALS,
    ERASURES,
    HANDOFFS,
    IDENTIFIED,
    LEADS,
    LEDGER_FACTS,
    RESERVATIONS,
    TOUCH_TOPICS,
    changelog,
)
from streams.settings import Settings

TOLD_EVERY = 2.0
"""Seconds between two lines about a topic that takes long to read."""


@dataclass
class Holding:
    """What is held of one person. `plain` has the normal forms of identifiers that were found, by pseudonymous id; `unreadable` is the
    number of dead letters that nobody can say whose they are."""

    timelines: dict[str, Timeline] = field(default_factory=dict)
    touches: list[dict[str, Any]] = field(default_factory=list)
    identified: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    leads: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    reservations: list[dict[str, Any]] = field(default_factory=list)
    deals: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    plain: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0


class Search:
    """Reads topics for what is held of `known`; `found` are the findings in `held`, `reserved` the ids of
    reservations that were not deleted. The methods raise ReadError when Kafka, or a registry
    that is needed, is away."""

    def __init__(self, settings: Settings, codec: Codec, known: Known) -> None:
        self._settings, self._codec = settings, codec
        self._log, self._person = known.log, known.person
        self._identity, self._roles = known.identity, frozenset(known.identity.role_addresses)
        self._ids = frozenset(known.person.ids)
        self.held = Holding(plain=dict(known.plain))
        self.found: list[Finding] = []
        self.reserved: set[str] = set()

    async def timelines(self) -> None:
        """The timelines of all their ids, from the changelog."""
        values: dict[bytes, bytes] = {}
        own = {id_.encode() for id_ in self._ids}
        async for stored in self._read(changelog(self._settings)):
            key = stored.key or b""
            if customer_of(key) not in own:
                continue
            if stored.value is None:
                values.pop(key, None)
            else:
                values[key] = stored.value
        for key in sorted(own & values.keys()):
            try:
                timeline = decode(values[key], lambda digest, key=key: values.get(segment_key(key, digest)))  # type: ignore[misc]
                tuple(timeline.entries)
            except DamagedError as error:
                click.echo(rendering.clean(f"the timeline of {key.decode()} cannot be read: {error}"), err=True)
            else:
                self.held.timelines[key.decode()] = timeline

    async def findings(self) -> None:
        """Every revision of every finding about them."""
        async for stored, finding in self._decoded(self._codec.decode_finding, CONFLICTS, HANDOFFS):
            if isinstance(finding, Finding) and finding.customer in self._ids:
                self.found.append(finding)
                self.held.findings.append(_place(stored) | finding_json.as_dict(finding))

    async def leads(self) -> None:
        """Every revision of every event of their leads."""
        async for stored, event in self._decoded(self._codec.decode_lead_event, LEADS):
            if isinstance(event, LeadEvent) and event.customer in self._ids:
                self.held.leads.append(_place(stored) | event_json.as_dict(event))

    async def touches(self) -> None:
        """Touches as their sources published them."""
        async for stored, touch in self._decoded(self._codec.decode_touch, *TOUCH_TOPICS.values()):
            if isinstance(touch, Touch) and self._is_theirs(touch):
                self.held.touches.append(_place(stored) | {"touch": _touch(touch)})
                for same_mailbox in forms(self._identity):
                    for digit, value in identifiers(
                        touch.customer, self._settings.default_region, self._roles, same_mailbox
                    ):
                        self.held.plain.setdefault(node(digit, value, self._settings.id_key), value)

    async def between_workers(self) -> None:
        """Touches with their customer, and commands."""
        async for stored, value in self._decoded(self._identified, IDENTIFIED):
            if isinstance(value, Command):
                self._take_command(stored, value)
            elif isinstance(value, IdentifiedTouch) and value.customer_id in self._ids:
                claims = [msgspec.structs.asdict(claim) for claim in value.claims]
                found = {"customer_id": value.customer_id, "touch": _touch(value.touch), "claims": claims}
                self.held.identified.append(_place(stored) | found)

    async def commands(self) -> None:
        """What was asked for about them."""
        async for stored, command in self._decoded(self._codec.decode_command, COMMANDS):
            if isinstance(command, Command):
                self._take_command(stored, command)

    async def dead_letters(self) -> None:
        """Input of them, or about them, that could not go on."""
        async for stored, letter in self._decoded(self._codec.decode_dead_letter, DEAD_LETTER):
            if not isinstance(letter, DeadLetter):
                continue
            about = (stored.key or b"").decode("utf-8", "replace") in self._ids
            if not about and letter.reason != "erased":  # of which no content is kept
                try:
                    about = await self._is_about(letter)
                except (DecodeError, TouchError, Unreplayable):
                    self.held.unreadable += 1
            if about:
                self.held.dead_letters.append(_place(stored) | rendering.dead_letter_json(letter))

    async def receipts(self) -> None:
        """Receipts of earlier erasures, all parts of each."""
        found: list[tuple[Stored, Receipt]] = []
        async for stored, receipt in self._decoded(self._codec.decode_receipt, ERASURES):
            if isinstance(receipt, Receipt):
                found.append((stored, receipt))
        theirs = {
            receipt.request_id
            for _, receipt in found
            if not self._ids.isdisjoint((receipt.customer_id, *receipt.timelines))
        }
        self.held.receipts += [_place(at) | receipts.as_dict(one) for at, one in found if one.request_id in theirs]

    async def reservations(self) -> None:
        """Contacts that are or were held for them."""

        async def records() -> AsyncIterator[Stored]:
            async for stored in self._read(self._settings.topic(RESERVATIONS)):
                if stored.value is None:
                    self.reserved.discard((stored.key or b"").decode("utf-8", "replace"))
                yield stored

        async for stored, one in decoded(records(), self._codec, self._codec.decode_reservation):
            if isinstance(one, Reservation) and not self._ids.isdisjoint((one.customer_id, *one.persons)):
                self.held.reservations.append(_place(stored) | _reservation(one))
                self.reserved.add(one.reservation_id)

    async def deals(self) -> None:
        """Their deals as the CRM published them."""
        async for stored, deal in self._decoded(self._codec.decode_deal, DEALS):
            if isinstance(deal, Deal) and self._are_theirs(deal.customer):
                values = {name: value for name, value in msgspec.to_builtins(deal).items() if value is not None}
                times = {name: rfc3339(values[name]) for name in ("opened_at", "closed_at") if name in values}
                self.held.deals.append(_place(stored) | values | times)

    async def ledger(self) -> None:
        """What the ledger knows of them, for longer than its sources are kept."""
        for _, value in sorted((await latest(self._settings, self._settings.topic(LEDGER_FACTS))).items()):
            try:
                fact = facts.decode(value)
            except msgspec.MsgspecError as error:
                click.echo(f"a record of {LEDGER_FACTS} cannot be read: {error}", err=True)
                continue
            if not self._ids.isdisjoint(facts.ids_of(fact)):
                kept = {name: value for name, value in msgspec.structs.asdict(fact).items() if value is not None}
                self.held.ledger.append({"kind": fact.__struct_config__.tag} | msgspec.to_builtins(kept))

    def _is_theirs(self, touch: Touch) -> bool:
        return self._are_theirs(touch.customer)

    def _are_theirs(self, customer: Customer) -> bool:
        key, region = self._settings.id_key, self._settings.default_region
        for same_mailbox in forms(self._identity):
            ids = nodes(customer, key, region, self._roles, same_mailbox)
            if ids and self._log.belongs(ids, self._person):
                return True
        return False

    def _identified(self, value: bytes) -> Command | IdentifiedTouch:
        is_command = self._codec.is_command(value)
        return self._codec.decode_command(value) if is_command else self._codec.decode_identified(value)

    def _take_command(self, stored: Stored, command: Command) -> None:
        whose = command.touch or command.consent  # from outside they go by the key of one identifier
        named = {command.customer_id, command.into, command.source_customer_id, *command.identifiers}
        if not self._ids.isdisjoint(named) or (whose is not None and self._are_theirs(whose.customer)):
            values = {k: v for k, v in msgspec.structs.asdict(command).items() if v not in (None, (), 0)}
            values["issued_at"] = rfc3339(command.issued_at)
            if command.entries:
                values["entries"] = list(
                    consents_json(map(decode_consent, command.entries))
                    if command.kind == CHANGED
                    else entries_json(map(decode_entry, command.entries))
                )
            if command.touch is not None:
                values["touch"] = _touch(command.touch)
            if command.consent is not None:
                values["consent"] = change_json(command.consent)
            self.held.commands.append(_place(stored) | values)

    async def _is_about(self, letter: DeadLetter) -> bool:
        """Raises what says that the letter's content cannot be read."""
        if letter.origin is None:
            return any(map(self._is_theirs, read_again(letter, Defaults())))
        if unknown := self._codec.unknown_ids([letter.payload]):
            await self._codec.learn(unknown)
        if letter.origin.topic in {self._settings.topic(name) for name in (IDENTIFIED, COMMANDS)}:
            value = self._identified(letter.payload)
            return value.customer_id in self._ids
        return self._is_theirs(self._codec.decode_touch(letter.payload))

    async def _read(self, *topics: str) -> AsyncIterator[Stored]:
        with _counting(", ".join(topics)) as count:
            async for stored in read(self._settings, topics, start="beginning", follow=False):
                count()
                yield stored

    def _decoded(self, decode_one: Callable[[bytes], Any], *topics: str) -> AsyncIterator[tuple[Stored, Any]]:
        records = self._read(*map(self._settings.topic, topics))
        return decoded(records, self._codec, decode_one)


def _reservation(one: Reservation) -> dict[str, Any]:
    values = {name: value for name, value in msgspec.to_builtins(one).items() if value is not None}
    times = {name: rfc3339(values[name]) for name in ("at", "expires_at", "created_at", "updated_at")}
    ends = one.contact().offer_ends
    return values | times | ({} if ends is None else {"offer_ends": ends.isoformat()})


@contextmanager
def _counting(what: str) -> Iterator[Callable[[], None]]:
    """Says on standard error how far a long read has come."""
    count, told = 0, time.monotonic()

    def one() -> None:
        nonlocal count, told
        count += 1
        if time.monotonic() - told > TOLD_EVERY:
            told = time.monotonic()
            click.echo(f"  {what}: {count:,} records read", err=True)

    yield one


def as_published(held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records of a `Holding` in the order in which they were published, whichever partition was read first."""
    return in_order(held, lambda one: (one["topic"], one["partition"]), published_at)


def published_at(one: dict[str, Any]) -> dt.datetime:
    """When a record of a `Holding` was published."""
    return dt.datetime.fromisoformat(one["published_at"])


def _place(stored: Stored) -> dict[str, Any]:
    return {
        "topic": stored.topic,
        "partition": stored.partition,
        "offset": stored.offset,
        "published_at": rfc3339(stored.timestamp),
    }


def _touch(touch: Touch) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(touch_json.to_json(touch))
    return values
