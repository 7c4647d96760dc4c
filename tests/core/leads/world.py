"""One customer's timeline and what is published of its lead, as a consumer folds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from streams.core import pipeline
from streams.core.entry import Entry
from streams.core.leads import acts
from streams.core.leads.events import LeadEvent, standing
from streams.core.leads.follow import followed
from streams.core.leads.states import LeadState, next_due
from streams.core.outcome import Cause
from streams.core.policy import Policy, parse
from streams.core.timeline import EMPTY, Timeline, decode, encode

CUSTOMER = "c2-00000000000000000000000a"

TEAM = """
[[teams]]
name = "iberia"
calendar = { time_zone = "Europe/Madrid", start = "09:00", end = "17:00", country = "ES" }
[[teams.reps]]
id = "ana"
[[teams.reps]]
id = "bo"
[[teams.reps]]
id = "cai"
"""


def at(text: str) -> int:
    """UTC ms of "2026-03-02T10:00" (UTC) or of a time with an offset."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return int(moment.timestamp() * 1000)


def said(moment: int) -> str:
    """Inverse of `at`, without milliseconds."""
    return dt.datetime.fromtimestamp(moment // 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M")


class World:
    """`records` are all events published, in order. Between steps the timeline is encoded and decoded, as a restart would."""

    def __init__(self, policy: Policy | None = None, customer: str = CUSTOMER) -> None:
        self.policy, self.customer = policy or parse(TEAM), customer
        self.timeline: Timeline = EMPTY
        self.records: list[LeadEvent] = []

    @property
    def lead(self) -> LeadState | None:
        return self.timeline.lead

    def add(self, entry: Entry) -> str:
        """One entry, as the timeline stage would take it; returns the step's outcome."""
        before = self.timeline
        step = pipeline.add(before, entry, self.policy, self.customer)
        in_order = step.outcome == "applied" and not step.late
        done = followed(before, step.timeline, self.policy, self.customer, entry.published_at, in_order)
        self.timeline = decode(encode(done.timeline))
        self.records += done.events
        return step.outcome

    def touch(
        self, id_: str, kind: str, when: int, department: str = "marketing", came: int | None = None, **more: object
    ) -> str:
        """A touch, in the direction usual for its kind, by a person when it is of sales."""
        inbound = kind in ("clicked", "replied", "lead_form", "opened")
        actor = ("rep", "person") if department == "sales" else ("robot", "automation")
        entry = Entry(
            when, id_, "email", department, "inbound" if inbound else "outbound", kind, when if came is None else came,
            actor_id=None if inbound else actor[0], actor_kind=None if inbound else actor[1],
        )  # fmt: skip
        return self.add(replace(entry, **more))

    def act(self, kind: acts.ActKind, when: int, **what: object) -> str:
        """An act of a person."""
        act = acts.Act(**{"by": "somebody", **what})  # type: ignore[arg-type]
        return self.add(acts.entry_of(kind, acts.derived_id(kind, when, act), when, act))

    def tick(self, when: int) -> str:
        return self.add(acts.tick(self.customer, when))

    def leave(self, now: int) -> tuple[Entry, ...]:
        """All that the customer has goes to another one."""
        before = self.timeline
        rest, _, moved = pipeline.leave(before, self.policy, self.customer, Cause("merge", "link"))
        done = followed(before, rest, self.policy, self.customer, now)
        self.timeline = decode(encode(done.timeline))
        self.records += done.events
        return moved

    def receive(self, moved: Iterable[Entry], now: int) -> None:
        """What another customer had, in one command: all entries, then what they mean, so that nobody gets a lead who has no need to."""
        waiting = list(moved)
        for n, entry in enumerate(waiting, start=1):
            before = self.timeline
            step = pipeline.add(before, entry, self.policy, self.customer, Cause("merge", "link"))
            in_order = step.outcome == "applied" and not step.late
            done = followed(before, step.timeline, self.policy, self.customer, now, in_order, settle=n == len(waiting))
            self.timeline = decode(encode(done.timeline))
            self.records += done.events

    def due(self) -> int | None:
        return next_due(self.lead)

    def standing(self) -> list[LeadEvent]:
        """What holds for a consumer who folds by id, in order of time."""
        return [replace(event, revision=1, status="detected") for event in standing(self.records)]

    def told(self) -> list[str]:
        return [f"{said(event.at)} {event.kind} {event.state}" for event in self.standing()]
