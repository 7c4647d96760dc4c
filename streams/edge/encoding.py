"""What producers publish, as the records of Kafka that hold it: which topic, which key, which bytes."""

from __future__ import annotations

import time
from functools import partial

from streams.core import consent, plans
from streams.core.commands import Command
from streams.core.consent import ConsentChange
from streams.core.consent_json import ConsentError
from streams.core.dead_letter import letter_key
from streams.core.identify import contact_key
from streams.core.ids import command_id
from streams.core.ledger import records
from streams.core.ledger.records import RecordError
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Rejected
from streams.core.touch import Customer, Touch
from streams.core.touch_json import TouchError, check
from streams.edge.codec import Codec, EncodeError
from streams.edge.publisher import Record
from streams.edge.topics import COMMANDS, COSTS, DEAD_LETTER, DEALS, TOUCH_TOPICS
from streams.settings import Settings


def letter_record(letter: Rejected, settings: Settings, codec: Codec, now: int) -> Record:
    """The Kafka record of a dead letter at a moment (UTC ms), under its key in a form that names nobody."""
    key = letter_key(letter.key, settings.id_key)
    return Record(settings.topic(DEAD_LETTER), key, codec.encode_dead_letter(letter, now))


class Encoding:
    """Base of the client, which has both."""

    settings: Settings
    codec: Codec

    def encode(self, touch: Touch) -> Record:
        """The Kafka record of a touch: topic by channel, keyed by the pseudonymous id of the contact.

        Raises:
            TouchError: it is not valid, has no usable identifier, or is larger than settings.max_message_bytes.
        """
        check(touch)
        key = self._key(touch.customer)
        try:
            value = self.codec.encode_touch(touch)
        except EncodeError as error:  # of a touch that passed `check`, only its size can be wrong
            raise TouchError(str(error), "too_large") from None
        return Record(self.settings.topic(TOUCH_TOPICS[touch.channel]), key.encode(), value)

    def encode_plan(self, touch: Touch) -> Record:
        """The Kafka record of a planned touch: a command, keyed as the touch would be. Raises TouchError, as `encode`."""
        plans.check(touch)
        key, now = self._key(touch.customer), time.time_ns() // 1_000_000
        id_ = command_id(plans.PLANNED, touch.touch_id, str(touch.version), str(touch.deleted), str(now))
        value = self.codec.encode_command(Command(id_, key, plans.PLANNED, now, touch.touch_id, touch=touch))
        if len(value) > self.settings.max_message_bytes:
            raise TouchError(
                f"the plan takes {len(value)} bytes, at most {self.settings.max_message_bytes} are accepted; shorten its message",
                "too_large",
            )
        return Record(self.settings.topic(COMMANDS), key.encode(), value)

    def encode_consent(self, change: ConsentChange) -> Record:
        """The Kafka record of a record of consent: a command, keyed as the customer's touches would be. Raises ConsentError."""
        now = time.time_ns() // 1_000_000
        try:
            key = self._key(change.customer)
            id_ = command_id(consent.CHANGED, change.consent_id, str(change.deleted), str(now))
            by = change.recorded_by or None
            command = Command(id_, key, consent.CHANGED, now, change.consent_id, requested_by=by, consent=change)
            value = self.codec.encode_command(command)
        except (TouchError, EncodeError, UnicodeEncodeError) as error:
            raise ConsentError(str(error)) from None
        if len(value) > self.settings.max_message_bytes:
            raise ConsentError(
                f"the record takes {len(value)} bytes, at most {self.settings.max_message_bytes} are accepted"
            )
        return Record(self.settings.topic(COMMANDS), key.encode(), value)

    def _key(self, customer: Customer) -> str:
        key = contact_key(customer, self.settings.id_key, self.settings.default_region)
        if key is None:
            raise TouchError(
                "customer: no identifier is usable; give a mail address, a phone number with country code, the URL of a public"
                " LinkedIn profile, a CRM id or a click id",
                "no_identifier",
            )
        return key

    def encode_book(self, record: Deal | Cost) -> Record:
        """The Kafka record of a deal or a cost, keyed by its id. Raises RecordError."""
        now = time.time_ns() // 1_000_000
        if isinstance(record, Deal):
            records.check_deal(record, now)
            topic, key, encode = DEALS, record.deal_id, partial(self.codec.encode_deal, record)
        else:
            records.check_cost(record, now)
            topic, key, encode = COSTS, record.cost_id, partial(self.codec.encode_cost, record)
        try:
            return Record(self.settings.topic(topic), key.encode(), encode())
        except (EncodeError, UnicodeEncodeError) as error:
            raise RecordError(str(error)) from None
