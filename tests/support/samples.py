"""One realistic record of each kind, for the codec's tests, taken from the schemas' examples."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.commands import Command
from streams.core.dead_letter import DeadLetter
from streams.core.erasure import Receipt
from streams.core.leads.events import LeadEvent
from streams.core.ledger.totals import Total
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Finding, Rejected
from streams.core.published import Published
from streams.core.reservation import Reservation
from streams.core.touch import IdentifiedTouch, Origin, Touch
from streams.edge import records
from streams.edge.codec import Codec
from streams.edge.schema_check import example

TOUCH: Touch = records.touch_from_dict(example("touch"))
IDENTIFIED: IdentifiedTouch = records.identified_from_dict(example("identified_touch"))
CONFLICT: Finding = records.finding_from_dict("conflict", example("conflict"))
HANDOFF: Finding = records.finding_from_dict("handoff", example("handoff"))
COMMAND: Command = records.command_from_dict(example("command"))
RECEIPT: Receipt = records.receipt_from_dict(example("erasure"))
POLICY: Published = records.published_from_dict(example("policy"))
RESERVATION: Reservation = records.reservation_from_dict(example("reservation"))
DEAL: Deal = records.deal_from_dict(example("deal"))
COST: Cost = records.cost_from_dict(example("cost"))
TOTAL: Total = records.total_from_dict(example("ledger_total"))
LEAD_EVENT: LeadEvent = records.lead_event_from_dict(example("lead_event"))
DEAD_LETTER: DeadLetter = records.dead_letter_from_dict(example("dead_letter"))
REJECTED = Rejected("undecodable", "no Avro", "ingest", b"\x00\xff", Origin("touches.calls", 3, 2**40), b"key", "x", 7)


def payloads(codec: Codec) -> dict[str, bytes]:
    """Every sample encoded, by schema subject."""
    return {
        "touch": codec.encode_touch(TOUCH),
        "identified_touch": codec.encode_identified(IDENTIFIED),
        "conflict": codec.encode_finding(CONFLICT),
        "handoff": codec.encode_finding(HANDOFF),
        "command": codec.encode_command(COMMAND),
        "dead_letter": codec.encode_dead_letter(REJECTED, 1_772_466_000_000),
        "erasure": codec.encode_receipt(RECEIPT),
        "reservation": codec.encode_reservation(RESERVATION),
        "policy": codec.encode_policy(POLICY),
        "deal": codec.encode_deal(DEAL),
        "cost": codec.encode_cost(COST),
        "ledger_total": codec.encode_total(TOTAL),
        "lead_event": codec.encode_lead_event(LEAD_EVENT),
    }


def decoders(codec: Codec) -> dict[str, Any]:
    """The decoder of every subject."""
    return {
        "touch": codec.decode_touch,
        "identified_touch": codec.decode_identified,
        "conflict": codec.decode_finding,
        "handoff": codec.decode_finding,
        "command": codec.decode_command,
        "dead_letter": codec.decode_dead_letter,
        "erasure": codec.decode_receipt,
        "reservation": codec.decode_reservation,
        "policy": codec.decode_policy,
        "deal": codec.decode_deal,
        "cost": codec.decode_cost,
        "ledger_total": codec.decode_total,
        "lead_event": codec.decode_lead_event,
    }


def replace(record: Any, **changes: Any) -> Any:
    """A copy of a frozen record with some fields changed."""
    return msgspec.structs.replace(record, **changes)
