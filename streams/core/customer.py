"""What reaches one customer and what follows from it: touches, merges, timelines that move. Pure; the agents perform the effects.

Customer ids only ever get smaller when customers are merged (`streams.core.identify`), so merges that arrive in any order, twice,
or from several workers end at the same id, and no circle can form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from streams.core import pipeline
from streams.core.commands import Command
from streams.core.entry import Entry, decode_entry, encode_entry
from streams.core.ids import command_id
from streams.core.outcome import Finding, RejectReason
from streams.core.policy import Policy
from streams.core.timeline import Timeline
from streams.core.touch import IdentifiedTouch
from streams.core.touch_check import EARLIEST_MS, LATEST_MS

ENTRIES_PER_COMMAND = 200
"""Timeline entries moved in one command, usually some 60 kB."""

BYTES_PER_COMMAND = 600_000
"""Bytes of entries in one command; Kafka's record limit is 1,048,588 by default. One entry is at most a few kB."""


class Effect(Struct, frozen=True, gc=False):
    """All that one input leads to. `timeline` is the customer's new state; `findings`, `commands` and `links` are to be
    published; `forward` is the touch under the id that its customer goes by now; `refused` is a dead letter's reason
    and detail."""

    timeline: Timeline
    outcome: Literal["applied", "duplicate", "forwarded", "refused"]
    findings: tuple[Finding, ...] = ()
    commands: tuple[Command, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    forward: IdentifiedTouch | None = None
    refused: tuple[RejectReason, str] | None = None
    late: bool = False


def on_touch(timeline: Timeline, identified: IdentifiedTouch, policy: Policy) -> Effect:
    """A touch for this customer."""
    if timeline.merged_into is not None:
        return Effect(timeline, "forwarded", forward=replace(identified, customer_id=timeline.merged_into))
    step = pipeline.advance(timeline, identified, policy)
    touch_id = identified.touch.touch_id
    if step.outcome == "too_old":
        detail = f"touch {touch_id} lies before what the customer's timeline keeps (timeline.retention_days, timeline.max_touches)"
        return Effect(timeline, "refused", refused=("too_old", detail))
    if step.outcome == "id_conflict":
        detail = (
            f"touch {touch_id} came before with other content, which stands; give a corrected touch an id of its own"
        )
        return Effect(timeline, "refused", refused=("id_conflict", detail))
    return Effect(step.timeline, step.outcome, step.findings, late=step.late)


def on_command(timeline: Timeline, command: Command, policy: Policy) -> Effect:
    """A command for this customer."""
    if command.kind == "customer_merged" and command.into and command.into < command.customer_id:
        return _merged(timeline, command, command.into, policy)
    if command.kind == "timeline_moved":
        return _moved(timeline, command, policy)
    detail = f"command {command.kind!r} is unknown to this release, or its ids are out of order; a newer worker may take it on replay"
    return Effect(timeline, "refused", refused=("unroutable", detail))


def merge_command(loser: str, winner: str, issued_at: int, cause: str) -> Command:
    """Tells the customer `loser` that it goes by `winner` from now on."""
    id_ = command_id("customer_merged", loser, winner)
    return Command(id_, loser, "customer_merged", issued_at, cause, into=winner)


def _merged(timeline: Timeline, command: Command, into: str, policy: Policy) -> Effect:
    customer, known = command.customer_id, timeline.merged_into
    if known == into:
        return Effect(timeline, "duplicate")
    if known is not None:  # two ids claim this customer, so they are one person
        winner, loser = sorted((known, into))
        again = merge_command(loser, winner, command.issued_at, command.cause)
        return Effect(timeline, "applied", commands=(again,), links=((winner, loser),))
    emptied, findings, entries = pipeline.leave(timeline, into, policy, customer)
    return Effect(emptied, "applied", findings, tuple(_moves(customer, into, entries, command)))


def _moved(timeline: Timeline, command: Command, policy: Policy) -> Effect:
    try:
        entries = tuple(decode_entry(data) for data in command.entries)
    except ValueError as error:
        return Effect(timeline, "refused", refused=("undecodable", str(error)))
    absurd = next((entry for entry in entries if not EARLIEST_MS <= entry.at <= LATEST_MS), None)
    if absurd is not None:
        return Effect(
            timeline, "refused", refused=("not_a_touch", f"entry {absurd.id} lies outside the years 2000 to 9999")
        )
    customer, into = command.customer_id, timeline.merged_into
    if into is not None:
        return Effect(timeline, "forwarded", commands=tuple(_moves(customer, into, entries, command)))
    findings: list[Finding] = []
    for entry in entries:
        step = pipeline.add(timeline, entry, policy, customer)
        timeline = step.timeline
        findings += step.findings
    return Effect(timeline, "applied", tuple(findings))


def _moves(customer: str, into: str, entries: tuple[Entry, ...], cause: Command) -> Iterator[Command]:
    """The entries in commands that each fit into a Kafka record."""
    part: list[bytes] = []
    first = 0
    for n, encoded in enumerate(map(encode_entry, entries)):
        if part and (len(part) == ENTRIES_PER_COMMAND or sum(map(len, part)) + len(encoded) > BYTES_PER_COMMAND):
            yield _move(customer, into, entries[first], entries[n - 1], tuple(part), cause)
            part, first = [], n
        part.append(encoded)
    if part:
        yield _move(customer, into, entries[first], entries[-1], tuple(part), cause)


def _move(customer: str, into: str, first: Entry, last: Entry, entries: tuple[bytes, ...], cause: Command) -> Command:
    id_ = command_id("timeline_moved", customer, into, first.id, last.id)
    return Command(
        id_, into, "timeline_moved", cause.issued_at, cause.cause, source_customer_id=customer, entries=entries
    )
