"""touch_planned -> touches.identified: a tool's plan goes to the customer whom its touch would go to.

Whose it is, the identity index decides as of a touch, and what the plan's identifiers have in common it learns from it: so a plan moves
with its identifiers in merges and splits, and goes with them in erasures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from streams.core import pipeline, plans
from streams.core.commands import Command
from streams.core.entry import encode_entry, entry_of
from streams.core.identity_facts import Resolved, cause_of
from streams.core.policy import DAY_MS, Policy
from streams.core.touch import Touch
from streams.core.touch_check import TouchError
from streams.edge.identity_index import IdentityIndex
from streams.edge.stages.base import origin
from streams.edge.stages.ingest import Ingest, Refused

FARTHEST_MS = 2 * 366 * DAY_MS
"""How far ahead a touch may be planned; tools that know no date write one at the end of the calendar."""


class Asked(NamedTuple):
    """A command that brings a plan, or a record of consent, and can be looked up by the ids of its identifiers. `cause` is what identities
    learn by it, `told` what its customer's timeline is told."""

    record: Any
    ids: tuple[str, ...]
    cause: Callable[[], bytes]
    told: Callable[[Resolved], Command]


def asked(record: Any, command: Command, policy: Policy, ingest: Ingest) -> Asked:
    """The plan that a command brings. Raises Refused."""
    touch = command.touch
    if touch is None:
        raise Refused("unroutable", "touch_planned needs the `touch` that is planned, as `touchstream plan` takes it")
    try:
        plans.check(touch)
    except TouchError as error:
        raise Refused(error.reason, str(error)) from None
    if touch.occurred_at < record.timestamp - policy.planned.grace_ms and not touch.deleted:
        raise Refused(
            "too_old",
            "occurred_at, the time it is planned for, was past when Kafka received the plan, by more than planned.grace_hours ="
            f" {policy.planned.grace_hours:g}; publish what was made as a touch",
        )
    if touch.occurred_at > record.timestamp + FARTHEST_MS and not touch.deleted:
        raise Refused(
            "occurred_in_future",
            "occurred_at, the time it is planned for, is more than two years ahead; give the date, not a stand-in for none",
        )
    return Asked(
        record,
        ingest.ids_of(touch.customer),
        lambda: cause_of(touch, record.timestamp, origin(record)),
        lambda who: _told(command, touch, record.timestamp, who),
    )


async def resolved(some: Sequence[Asked], index: IdentityIndex) -> list[Resolved]:
    """Whose they are, in order. Without Redis each is decided alone, as touches are: the timelines send it on."""

    return await index.resolve([one.ids for one in some], lambda n: some[n].cause())


def _told(command: Command, touch: Touch, at: int, who: Resolved) -> Command:
    """What the customer's timeline is told. It holds nothing of the touch but what a timeline keeps."""
    identified = pipeline.identify(touch, who.customer_id, at, None, who.identifier, who.resolved_at)
    return told(command, who, encode_entry(entry_of(identified)))


def told(command: Command, who: Resolved, entry: bytes) -> Command:
    """What the customer's timeline is told of one entry."""
    return replace(
        command, customer_id=who.customer_id, touch=None, consent=None, entries=(entry,), decided_at=who.resolved_at,
        source_customer_id=None, into=None, identifiers=(),
    )  # fmt: skip
