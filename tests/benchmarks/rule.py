"""The job `rule_only`: two departments contacted one customer within 24 hours. Pure; the same function in every Python engine,
and line by line the same in `kafka_streams/RuleOnly.java`.

In: JSON `{"customer", "department", "at", "id"}` (`at` in UTC ms), keyed by customer. State: the customer's touches of the 72 hours
before the newest, sorted by (at, id), as JSON. Out: for each pair of touches of two departments that lie less than 24 hours
apart, JSON `{"customer", "earlier", "later"}`, keyed by customer. A repeated id changes nothing.
"""

from __future__ import annotations

from bisect import insort

import msgspec
from msgspec import Struct

WINDOW_MS = 24 * 3_600_000
KEPT_MS = 72 * 3_600_000
"""A touch may be 48 hours late and still meets those of the 24 hours before it."""


class Contact(Struct, gc=False):
    """One record of the input."""

    customer: str
    department: str
    at: int
    id: str


class Pair(Struct, gc=False):
    """One record of the output: ids of the two touches in order of event time."""

    customer: str
    earlier: str
    later: str


State = list[tuple[int, str, str]]
"""(at, id, department), sorted."""

decode_contact = msgspec.json.Decoder(Contact).decode
decode_state = msgspec.json.Decoder(State).decode
decode_pair = msgspec.json.Decoder(Pair).decode
encode = msgspec.json.encode


def advance(state: State, contact: Contact) -> tuple[Pair, ...] | None:
    """Puts the contact into the state, in place; None when it was there already."""
    entry = (contact.at, contact.id, contact.department)
    if any(known[1] == contact.id for known in state):
        return None
    pairs = tuple(
        Pair(contact.customer, known[1], contact.id) if known < entry else Pair(contact.customer, contact.id, known[1])
        for known in state
        if known[2] != contact.department and abs(known[0] - contact.at) < WINDOW_MS
    )
    insort(state, entry)
    horizon = state[-1][0] - KEPT_MS
    while state[0][0] < horizon:
        del state[0]
    return pairs


def step(before: bytes | None, value: bytes) -> tuple[bytes | None, list[tuple[bytes, bytes]]]:
    """For engines that keep state as bytes: the new state (None: unchanged) and the output as (key, value)."""
    contact = decode_contact(value)
    state = decode_state(before) if before else []
    pairs = advance(state, contact)
    if pairs is None:
        return None, []
    return encode(state), [(contact.customer.encode(), encode(pair)) for pair in pairs]
