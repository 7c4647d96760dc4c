"""Any order of touches, acts, ticks and late news: no illegal state, no lost lead, each timer once, and the same however it came."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from streams.core.leads.follow import history
from streams.core.leads.states import ENDED, NEXT, WITH_SALES, LeadState
from streams.core.ledger.types import LeadReason
from streams.core.policy import parse
from tests.core.leads.world import TEAM, World, at

START = at("2026-03-26T08:00")  # three days before clocks go forward
HOUR = 3_600_000
POLICY = parse(TEAM + "[timeline]\nmax_touches = 12\n[touch]\nlate_after_days = 9000\n")
REASONS = list(LeadReason.__args__)  # type: ignore[attr-defined]


def as_told(lead: LeadState | None) -> LeadState | None:
    """A lead without its deals, of which each is remembered, and told if it changes the state."""
    return None if lead is None else replace(lead, deal="", deals=(), older=())


class Leads(RuleBasedStateMachine):
    """Time goes on by hours; touches come at once or up to two days late."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.now, self.n = World(POLICY), START, 0

    def _go_on(self, hours: int) -> int:
        self.now += hours * HOUR + 1
        self.n += 1
        return self.now

    @rule(
        kind=st.sampled_from(["clicked", "opened", "replied", "lead_form", "sent"]),
        hours=st.integers(0, 30),
        late=st.sampled_from([0, 0, 0, 1, 5, 48]),
    )
    def marketing(self, kind: str, hours: int, late: int) -> None:
        when = self._go_on(hours) - late * HOUR
        self.world.touch(f"m{self.n:04d}", kind, when, came=self.now)

    @rule(
        kind=st.sampled_from(["dialed", "sent", "meeting"]),
        hours=st.integers(0, 30),
        late=st.sampled_from([0, 0, 1, 5, 48]),
        by=st.sampled_from(["person", "automation"]),
    )
    def sales(self, kind: str, hours: int, late: int, by: str) -> None:
        when = self._go_on(hours) - late * HOUR
        self.world.touch(f"s{self.n:04d}", kind, when, "sales", self.now, actor_kind=by)

    @rule(
        kind=st.sampled_from(
            ["lead_accepted", "lead_rejected", "lead_recycled", "lead_disqualified", "lead_qualified"]
        ),
        hours=st.integers(0, 30),
        reason=st.sampled_from(REASONS),
        after=st.integers(0, 200),
    )
    def act(self, kind: str, hours: int, reason: LeadReason, after: int) -> None:
        when = self._go_on(hours)
        again = when + after * HOUR if kind in ("lead_recycled", "lead_rejected") else None
        self.world.act(kind, when, reason=reason, recycle_at=again)  # type: ignore[arg-type]

    @rule(
        stage=st.sampled_from(["open", "proposal", "won", "lost"]),
        deal=st.sampled_from(["a", "b", "c", ""]),
        hours=st.integers(0, 30),
        owner=st.sampled_from([None, None, "kim"]),
    )
    def deal(self, stage: str, deal: str, hours: int, owner: str | None) -> None:
        self.world.act("lead_deal", self._go_on(hours), deal=deal, stage=stage, owner=owner)

    @rule(hours=st.integers(0, 200))
    def tick_when_something_is_due(self, hours: int) -> None:
        """A worker fires what is due, twice; or is down for long and fires it then."""
        now, due = self._go_on(hours), self.world.due()
        if due is None or due > now:
            return
        self.world.tick(now)
        count = len(self.world.records)
        assert self.world.tick(now) == "duplicate"
        assert len(self.world.records) == count
        after = self.world.due()
        assert after is None or after > now, "a tick leaves nothing due"

    @rule(hours=st.integers(0, 9))
    def tick_too_early(self, hours: int) -> None:
        """A clock that is ahead fires early: nothing happens that is not due at that moment."""
        when, due = self._go_on(hours), self.world.due()
        count = len(self.world.records)
        self.world.tick(when)
        assert due is None or due <= when or len(self.world.records) == count

    @invariant()
    def no_illegal_step(self) -> None:
        """Each step leads where the table allows, and begins where the one before it ended."""
        _, changes = history(self.world.timeline, POLICY)
        for change in changes:
            before, state = change.before, change.after.state
            same = before is not None and before.id == change.after.id
            was = before.state if before is not None and same else None
            assert state == was or state in NEXT[was], change
        for one, other in pairwise(changes):
            assert as_told(one.after) == as_told(other.before)
            assert one.at <= other.at

    @invariant()
    def no_lost_lead(self) -> None:
        """What stands on the timeline is what its history says; a lead with sales has been given to somebody or is being worked on, an
        untouched one has its clock running, and one that became a deal has an owner, unless nobody could be found."""
        lead = self.world.lead
        assert lead == history(self.world.timeline, POLICY)[0]
        if lead is None:
            return
        assert lead.state != "mql"
        if lead.state == "opportunity" and not lead.touched_at:
            assert lead.owner is not None or lead.due_at is not None
        if lead.state in ("handed_off", "accepted") and not lead.touched_at:
            assert lead.due_at is not None
        assert (lead.state in ENDED) <= (lead.timers == ())
        if lead.state not in WITH_SALES:
            assert {kind for _, kind in lead.timers} <= {"recycle_due"}
        assert list(lead.timers) == sorted(lead.timers)

    @invariant()
    def a_lead_follows_its_deals(self) -> None:
        """One that is won has a won deal, one that is lost has none that is open; each deal stands once."""
        lead = self.world.lead
        if lead is not None:
            assert lead.state != "won" or "won" in {one.how for one in lead.deals}
            assert lead.state != "lost" or lead.deals == ()
            assert len({*lead.older, *(one.id for one in lead.deals)}) == len(lead.older) + len(lead.deals)

    @invariant()
    def what_is_published_is_what_holds(self) -> None:
        """Folded by id and revision, the events of the time that the timeline holds are exactly its history; each stands once."""
        world = self.world
        floor = world.timeline.floor[0]
        _, changes = history(world.timeline, POLICY)
        held = Counter((change.kind, change.at, change.cause) for change in changes if change.at > floor)
        told = Counter((event.kind, event.at, event.cause) for event in world.standing() if event.at > floor)
        assert told == held
        assert set(told.values()) <= {1}

    @invariant()
    def no_revision_twice(self) -> None:
        """No event has two records of one revision, and ids are ids."""
        revisions = Counter((event.event_id, event.revision) for event in self.world.records)
        assert set(revisions.values()) <= {1}
        assert all(re.fullmatch(r"[0-9a-f-]{36}", event.event_id) for event in self.world.records[-3:])


TestLeads = Leads.TestCase
TestLeads.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
