"""consent_changed -> touches.identified: a record of consent goes to the customer whose identifiers it names.

Whose it is, the identity index decides, and learns from it, as of a touch: so a record moves with its identifiers in merges and splits, and
goes with them in erasures.
"""

from __future__ import annotations

from typing import Any

from streams.core import consent
from streams.core.commands import Command
from streams.core.consent import ConsentChange
from streams.core.consent_json import too_early
from streams.core.identity_facts import Cause, Resolved, encode_cause
from streams.core.policy import Policy
from streams.core.touch_check import EARLIEST_MS, LATEST_MS
from streams.edge.stages.base import origin
from streams.edge.stages.ingest import Ingest, Refused
from streams.edge.stages.planning import Asked, told


def asked(record: Any, command: Command, policy: Policy, ingest: Ingest) -> Asked:
    """The record of consent that a command brings. Raises Refused."""
    change = command.consent
    if change is None:
        raise Refused("unroutable", "consent_changed needs the `consent` that was given, denied or withdrawn")
    wrong = consent.problem(change)
    if wrong is not None:
        raise Refused("unroutable", wrong)
    if not EARLIEST_MS <= change.at <= LATEST_MS:
        raise Refused("unroutable", "at: lies outside the years 2000 to 9999; is the unit right (milliseconds)?")
    early = too_early(change.at, record.timestamp, policy.touch.future_ms)
    if early is not None:
        raise Refused("occurred_in_future", f"{early}, or mend the clock or the unit, then replay")
    return Asked(
        record,
        ingest.ids_of(change.customer),
        lambda: _cause(change, record),
        lambda who: _told(command, change, record.timestamp, who),
    )


def _cause(change: ConsentChange, record: Any) -> bytes:
    kind = f"consent_{change.status}"
    return encode_cause(Cause(change.consent_id, change.at, record.timestamp, change.channel, "", kind), origin(record))


def _told(command: Command, change: ConsentChange, at: int, who: Resolved) -> Command:
    own = "" if who.identifier == who.customer_id else who.identifier
    return told(command, who, consent.encode_consent(consent.consent_of(change, at, own)))
