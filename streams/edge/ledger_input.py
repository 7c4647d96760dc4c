"""The records of the ledger's topics, as facts: for `touchstream ledger` as they come, for `touchstream report --from-kafka` all of them
(`streams.edge.ledger_reading`)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from streams.core.ledger import facts, records
from streams.core.ledger.facts import ConflictFact, Fact, LeadFact
from streams.core.outcome import Rejected
from streams.core.policy import Policy
from streams.core.touch import IdentifiedTouch, Origin
from streams.core.touch_check import EARLIEST_MS, LATEST_MS
from streams.edge.codec import Codec, DecodeError
from streams.edge.reader import Stored
from streams.edge.topics import CONFLICTS, COSTS, DEALS, IDENTIFIED, LEADS, LEDGER_FACTS
from streams.settings import Settings

STAGE = "ledger"

SOURCES = (IDENTIFIED, DEALS, COSTS, LEADS, CONFLICTS)
"""Topics that the ledger is made of, besides its own."""


class Damaged(Exception):
    """A record of the ledger's own topic that cannot be read; going on would forget it."""


class Input:
    """Turns records into facts. `topics` are the sources' full names; `log` is that of the ledger's own topic."""

    def __init__(self, settings: Settings, policy: Policy, codec: Codec) -> None:
        self._settings, self._policy, self._codec = settings, policy, codec
        self._roles = frozenset(policy.identity.role_addresses)
        self.log = settings.topic(LEDGER_FACTS)
        self.topics = tuple(map(settings.topic, SOURCES))
        self._identified, self._deals, self._costs, self._leads, self._conflicts = self.topics

    def facts(self, stored: Stored) -> list[Fact] | Rejected:
        """What a record says, or why it cannot be used. A null says nothing: what was erased is told by commands. Of the ledger's own
        topic only a fact with a time in no year is refused, which an older release wrote.

        Raises:
            Damaged: it is the ledger's own.
        """
        if stored.value is None:
            return []
        try:
            return self._facts(stored.topic, stored.value, stored.timestamp)
        except DecodeError as error:
            return _rejected(stored, error.reason, error.detail)
        except records.RecordError as error:
            return _rejected(stored, "broken_record", str(error))
        except msgspec.MsgspecError as error:
            raise Damaged(
                f"{stored.address} cannot be read: {error}; was it written by a newer release? Run that one, or newer"
            ) from None

    def _facts(self, topic: str, value: bytes, published: int) -> list[Fact]:
        if topic == self.log:
            fact = facts.decode(value)
            return [_dated(fact) if isinstance(fact, LeadFact | ConflictFact) else fact]
        if topic == self._deals:
            deal = self._codec.decode_deal(value)
            records.check_deal(deal, published)
            settings = self._settings
            fact = facts.of_deal(deal, self._policy.identity, settings.id_key, settings.default_region)
            if fact is None:
                raise records.RecordError("customer: no identifier is usable")
            return [fact]
        if topic == self._costs:
            cost = self._codec.decode_cost(value)
            records.check_cost(cost, published)
            return [facts.of_cost(cost)]
        if topic == self._leads:
            return [_dated(facts.of_lead(self._codec.decode_lead_event(value)))]
        if topic == self._conflicts:
            return [_dated(facts.of_conflict(self._codec.decode_finding(value)))]
        if self._codec.is_command(value):
            return list(facts.of_command(self._codec.decode_command(value)))
        identified = self._codec.decode_identified(value)
        if not EARLIEST_MS <= identified.touch.occurred_at <= LATEST_MS:
            raise DecodeError("not_a_touch", "occurred_at lies outside the years 2000 to 9999")
        return [*facts.of_touch(identified), *self._shown(identified)]

    def _shown(self, identified: IdentifiedTouch) -> Iterator[Fact]:
        settings, same_mailbox = self._settings, self._policy.identity.same_mailbox
        return facts.shown_by(identified, self._roles, same_mailbox, settings.id_key, settings.default_region)


def _dated(fact: LeadFact | ConflictFact) -> LeadFact | ConflictFact:
    """The same. Raises RecordError when its time can be in no period: figures could not be reckoned with it, now or ever again."""
    if not facts.is_dated(fact):
        name = "at" if isinstance(fact, LeadFact) else "event_time"
        raise records.RecordError(f"{name}: lies outside the years 2000 to 9999; it is UTC milliseconds")
    return fact


def _rejected(stored: Stored, reason: str, detail: str) -> Rejected:
    origin = Origin(stored.topic, stored.partition, stored.offset)
    return Rejected(reason, detail, STAGE, stored.value or b"", origin, stored.key)  # type: ignore[arg-type]
