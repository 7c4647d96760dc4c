"""Customers who are merged, split and erased in any order while their leads go on: whoever reads the topic sees each lead that is with
sales with the customer who has it, and nowhere else."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.core.leads import asked
from streams.core.leads.acts import act_of
from streams.core.leads.deal_acts import counts_from
from streams.core.leads.events import still_here
from streams.core.leads.follow import history
from streams.core.leads.states import NEXT, WITH_SALES, lead_id
from streams.core.policy import parse
from streams.core.timeline import due
from streams.core.touch import Kind
from tests.core.leads.people import People
from tests.core.leads.world import TEAM, at

START = at("2026-03-26T08:00")  # three days before clocks go forward
HOUR = 3_600_000
POLICY = parse(
    TEAM + '[timeline]\nmax_touches = 10\n[touch]\nlate_after_days = 9000\n[erasure]\nlater_touches = "fresh"\n'
)
WHO = tuple(f"c2-{'0' * 23}{letter}" for letter in "abc")
who = st.sampled_from(WHO)


class Customers(RuleBasedStateMachine):
    """Time goes on by hours; touches come at once or up to two days late."""

    def __init__(self) -> None:
        super().__init__()
        self.people, self.now, self.n = People(POLICY), START, 0

    def _go_on(self, hours: int) -> int:
        self.now += hours * HOUR + 1
        self.n += 1
        return self.now

    @rule(
        who=who, kind=st.sampled_from(["opened", "opened", "replied", "lead_form", "sent"]), hours=st.integers(0, 20),
        late=st.sampled_from([0, 0, 0, 1, 48]), count=st.sampled_from([1, 1, 4]),
    )  # fmt: skip
    def marketing(self, who: str, kind: Kind, hours: int, late: int, count: int) -> None:
        for _ in range(count):
            when = self._go_on(hours) - late * HOUR
            self.people.touch(who, f"m{self.n:04d}", kind, when, self.now)

    @rule(
        who=who, kind=st.sampled_from(["dialed", "meeting"]), hours=st.integers(0, 20), late=st.sampled_from([0, 0, 5])
    )
    def sales(self, who: str, kind: Kind, hours: int, late: int) -> None:
        when = self._go_on(hours) - late * HOUR
        self.people.touch(who, f"s{self.n:04d}", kind, when, self.now, person=True)

    @rule(
        who=who, kind=st.sampled_from(["lead_accepted", "lead_rejected", "lead_recycled", "lead_qualified"]),
        hours=st.integers(0, 20), reason=st.sampled_from(["no_budget", "wrong_territory", "not_icp"]),
    )  # fmt: skip
    def answer(self, who: str, kind: asked.AskedKind, hours: int, reason: str) -> None:
        given = reason if kind in ("lead_rejected", "lead_recycled") else None
        self.people.say(who, kind, self._go_on(hours), reason=given)

    @rule(
        who=who, stage=st.sampled_from(["open", "won", "lost", "deleted", "deleted"]), deal=st.sampled_from(["a", "b"]),
        behind=st.sampled_from([0, 0, 1, 3]), days=st.sampled_from([0, 0, 1, 40]), knows=st.booleans(), to=st.sampled_from((None, *WHO)),
        owner=st.sampled_from([None, None, "kim"]),
    )  # fmt: skip
    def deal(
        self, who: str, stage: str, deal: str, behind: int, days: int, knows: bool, to: str | None, owner: str | None
    ) -> None:
        """What the ledger tells: of the newest version, or of one before it, on some day until now; to the customer who has the identifier,
        or to who had it, where it does not know of a merge yet; or that it is whose it is by an identifier `to` now."""
        now = self._go_on(1)
        went = (to,) if to is not None and stage == "deleted" else ()
        self.people.say(
            self.people.home.get(who, who) if knows else who, "lead_deal", now, identifiers=(who, *went), deal_id=deal,
            deal_stage=stage, deal_owner=owner, requested_by=asked.LEDGER,
            deal_version=max(1, self.n - behind), deal_at=None if stage == "deleted" else now - days * 24 * HOUR,
        )  # fmt: skip

    @rule(hours=st.integers(0, 100))
    def time_goes_on(self, hours: int) -> None:
        """Workers fire what is due, twice: the second time nothing follows."""
        now = self._go_on(hours)
        for id_ in WHO:
            at_ = due(self.people.timeline(id_))
            if at_ is not None and at_ <= now:
                self.people.tick(id_, now)
                count = len(self.people.records)
                self.people.tick(id_, now)
                assert len(self.people.records) == count
                later = due(self.people.timeline(id_))
                assert later is None or later > now

    @rule(two=st.sampled_from([(0, 1), (0, 2), (1, 2)]))
    def merge(self, two: tuple[int, int]) -> None:
        """Two who are not one yet, each by the id that it goes by."""
        into, gone = sorted(self.people.home.get(WHO[n], WHO[n]) for n in two)
        if into != gone:
            self.people.merge(gone, into, self._go_on(1))

    @rule(who=who)
    def split(self, who: str) -> None:
        if who in self.people.home:
            self.people.split(who, self._go_on(1))

    @rule(who=who)
    def erase(self, who: str) -> None:
        self.people.erase(who, self._go_on(1))

    @rule(who=who)
    def come_back(self, who: str) -> None:
        """Who was split off in time is merged once more with somebody who was erased: the same findings are told again."""
        into = self.people.home.get(who)
        if into is not None:
            self.people.split(who, self._go_on(1))
            self.people.erase(into, self._go_on(1))
            self.people.merge(who, into, self._go_on(1))

    @invariant()
    def no_illegal_step(self) -> None:
        """Each step of each lead leads where the table allows, and what stands on a timeline is what its history says."""
        for timeline in self.people.held.values():
            lead, changes = history(timeline, POLICY)
            assert lead == timeline.lead
            assert lead is None or lead.state != "mql"
            for change in changes:
                before, state = change.before, change.after.state
                was = before.state if before is not None and before.id == change.after.id else None
                assert change.kind == "carried" or state == was or state in NEXT[was], change

    @invariant()
    def a_lead_with_sales_is_seen_where_it_is(self) -> None:
        """Folded by id and revision, without what went elsewhere: the lead of each customer that is with sales, and no other one."""
        for id_ in WHO:
            last = {event.lead_id: event for event in still_here(self.people.standing(id_))}
            seen = {lead_id: (event.state, event.owner) for lead_id, event in last.items() if event.state in WITH_SALES}
            lead = self.people.timeline(id_).lead
            held = {lead.id: (lead.state, lead.owner)} if lead is not None and lead.state in WITH_SALES else {}
            assert seen == held

    @invariant()
    def a_hand_off_is_due_when_its_lead_is(self) -> None:
        """As long as the timeline holds the touch that led to it."""
        for id_ in WHO:
            timeline = self.people.timeline(id_)
            lead, found = timeline.lead, self.people.handoffs(id_)
            held = {entry.id for entry in timeline.entries}
            if lead is not None and lead.state in ("handed_off", "accepted") and lead.crossing in held & found.keys():
                handoff = found[lead.crossing].handoff
                assert handoff is not None and handoff.due_at == lead.due_at

    @invariant()
    def a_hand_off_is_found_where_a_lead_is_handed_over(self) -> None:
        """Who reads both topics sees the same hand-offs, of the touches that the timeline holds: none while sales has the lead."""
        for id_ in WHO:
            held = {entry.id for entry in self.people.timeline(id_).entries}
            handed_over = {event.cause for event in self.people.standing(id_) if event.kind == "mql"}
            assert self.people.handoffs(id_).keys() & held == handed_over & held

    @invariant()
    def a_lead_came_from_one_customer(self) -> None:
        """All that is told of a lead says the same of where it was before."""
        for id_ in WHO:
            timeline = self.people.timeline(id_)
            mine = [one for one in self.people.standing(id_) if one.lead_id == lead_id(timeline.lead)]
            if not (timeline.floor[1] or timeline.erased_at):
                assert len({event.moved_from for event in mine}) <= 1

    @invariant()
    def a_deleted_deal_stays_away(self) -> None:
        """No timeline has an act of a version that a mark on it is about; acts of one deal are in the order of its versions."""
        for timeline in self.people.held.values():
            for deal in "ab":
                acts = [act_of(entry) for entry in timeline.entries if entry.kind == asked.DEAL]
                places = [act.place for act in acts if act.deal == deal and act.version]
                assert places == sorted(places)
                assert not places or places[0] >= counts_from(timeline, deal)

    @invariant()
    def no_event_twice(self) -> None:
        """No event and no finding has two records of one revision, or a lower one after a higher; of what holds, nothing stands twice."""
        told = [(event.event_id, event.revision) for event in self.people.records]
        for records in (told, [(one.finding_id, one.revision) for one in self.people.findings]):
            last: dict[str, int] = {}
            for id_, revision in records:
                assert revision > last.get(id_, 0)
                last[id_] = revision
        for id_ in WHO:
            told = Counter((event.lead_id, event.kind, event.at, event.cause) for event in self.people.standing(id_))
            assert set(told.values()) <= {1}


TestCustomers = Customers.TestCase
TestCustomers.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
