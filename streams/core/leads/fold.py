"""What one entry does to a lead. The whole history of a lead is this function, applied to the customer's entries in order.

Timers fire in event time: before anything that happened later than they were due. So a touch that comes late, but was made in time,
undoes the breach when the entries are folded again, and a tick is needed only where nothing else happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from msgspec.structs import replace

from streams.core import engagement as scores
from streams.core.entry import Engagement, Entry
from streams.core.leads.acts import INTERNAL, Act, act_of, derived_id
from streams.core.leads.came_of import begins_another, stands, still_open
from streams.core.leads.states import ENDED, UNTOUCHED, WITH_SALES, Change, ChangeKind, LeadState, State
from streams.core.policy import DAY_MS, Policy
from streams.core.touch import CONTACT_KINDS

Lead = LeadState | None


def active(policy: Policy) -> bool:
    """Whether leads are followed: somebody could get one."""
    return policy.leads.enabled and bool(policy.teams or policy.leads.owners)


def concerns(entry: Entry, policy: Policy) -> bool:
    """Whether the entry can begin a lead: a reaction that counts, or an act."""
    return entry.direction == INTERNAL or scores.counts(entry, policy.handoff)


def touched_by_sales(entry: Entry) -> bool:
    """Whether a person of sales touched the customer, or met them."""
    return entry.department == "sales" and entry.actor_kind == "person" and not entry.late


def hands_over(changes: Iterable[Change], entry: Entry) -> bool:
    """Whether by these changes the entry hands a lead over to sales."""
    return any(change.kind == "mql" and change.cause == entry.id for change in changes)


def fold_all(
    lead: Lead, engagement: Engagement, entries: Iterable[Entry], policy: Policy
) -> tuple[Lead, Engagement, tuple[Change, ...]]:
    """The lead after these entries, in order, the score after them, and all changes of the lead; `engagement` is the score before them."""
    changes: list[Change] = []
    for entry in entries:
        engagement, crossed = scores.fold(engagement, entry, policy.handoff)
        lead, more = fold(lead, entry, crossed, policy)
        changes += more
    return lead, engagement, tuple(changes)


def fold(lead: Lead, entry: Entry, crossed: bool, policy: Policy) -> tuple[Lead, tuple[Change, ...]]:
    """The lead after one more entry, not before the others; `crossed`: it sets off a hand-off."""
    if entry.late or (lead is None and not crossed and not concerns(entry, policy)):
        return lead, ()
    steps = _Steps(lead, entry)
    steps.expire()
    if entry.direction == INTERNAL:
        _act(steps, act_of(entry), policy)
    else:
        _touch(steps, crossed, policy)
    return steps.lead, tuple(steps.changes)


class _Steps:
    """A lead on its way through one entry."""

    def __init__(self, lead: Lead, entry: Entry) -> None:
        self.lead, self.entry = lead, entry
        self.changes: list[Change] = []

    def to(
        self,
        kind: ChangeKind,
        state: State | None = None,
        why: str = "",
        timer: int | None = None,
        **fields: Any,
    ) -> None:
        """The lead takes a step; without a `state` it stays where it is."""
        before, entry = self.lead, self.entry
        assert before is not None
        at = entry.at if timer is None else timer
        moved = state is not None and state != before.state
        after = replace(before, **fields, **({"state": state, "since": at} if moved else {}))
        cause_kind: Literal["touch", "act", "timer"] = "act" if entry.direction == INTERNAL else "touch"
        cause = entry.id
        if timer is not None:
            cause_kind, cause = "timer", f"{kind}@{timer}"
        self.lead = after
        self.changes.append(Change(kind, at, cause_kind, cause, before, after, why))

    def begin(self) -> None:
        """A new lead."""
        before, entry = self.lead, self.entry
        older = () if before is None else still_open(before)
        self.lead = LeadState(derived_id("begun", entry.id), "new", entry.at, older=older, identifier=entry.identifier)
        cause_kind: Literal["touch", "act"] = "act" if entry.direction == INTERNAL else "touch"
        self.changes.append(Change("new", entry.at, cause_kind, entry.id, before, self.lead))

    def take(self, lead: Lead, source: str) -> None:
        """A lead that another customer id had. Of two, the one that is with sales stays, or that of the customer."""
        mine, entry = self.lead, self.entry
        if lead is not None and (mine is None or (lead.state in WITH_SALES and mine.state not in WITH_SALES)):
            self.lead = replace(lead, identifier=entry.identifier)
            self.changes.append(Change("carried", entry.at, "act", entry.id, mine, self.lead, moved_from=source))

    def expire(self) -> None:
        """What was due before the entry happens first."""
        while self.lead is not None and self.lead.timers and self.lead.timers[0][0] < self.entry.at:
            lead = self.lead
            (due, kind), rest = lead.timers[0], lead.timers[1:]
            if kind == "recycle_due":
                self.to(kind, "nurtured", timer=due, timers=rest)
            elif kind == "reassign" and lead.state in ("handed_off", "accepted"):
                self.to("escalated", "mql", "nobody got in touch: another rep gets it", due, **_taken_from(lead))
            elif kind == "reassign" and lead.state == "opportunity" and lead.owner is None:
                self.to("escalated", None, "nobody has the deal: a rep is looked for again", due, **_taken_from(lead))
            elif kind == "reassign":
                self.to("escalated", None, timer=due, timers=rest)
            else:
                self.to(kind, None, timer=due, timers=rest)


def _taken_from(lead: LeadState) -> dict[str, Any]:
    """Another rep is to get it."""
    passed = (*lead.passed, lead.owner) if lead.owner else lead.passed
    return {"owner": None, "timers": (), "due_at": None, "passed": passed, "accepted": False, "touched_at": 0}


def _touch(steps: _Steps, crossed: bool, policy: Policy) -> None:
    entry, rules = steps.entry, policy.handoff
    if steps.lead is None and scores.counts(entry, rules):
        steps.begin()
    asked = scores.asks(entry, rules)
    if crossed or asked:
        _interested(steps, asked)
    lead = steps.lead
    if lead is None:
        return
    outbound = entry.direction == "outbound" and entry.kind in CONTACT_KINDS
    if outbound and entry.department in rules.departments and lead.state in ("new", "recycled"):
        steps.to("nurtured", "nurtured")  # of a recycled lead, the date that sales gave still stands
    if not touched_by_sales(entry):
        return
    met = entry.kind == "meeting"
    if (outbound or met) and lead.state in WITH_SALES and not lead.touched_at:
        _first_touch(steps)
    if met and steps.lead is not None and steps.lead.state in ("handed_off", "accepted", "working"):
        steps.to("qualified", "qualified")


def _interested(steps: _Steps, asked: bool) -> None:
    """The customer asked, or the score passed."""
    if steps.lead is not None and steps.lead.state in WITH_SALES:
        steps.to("asked_again")
        return
    if steps.lead is None or steps.lead.state in ENDED:
        steps.begin()
    entry, lead = steps.entry, steps.lead
    assert lead is not None
    steps.to(
        "mql", "mql", cycle=lead.cycle + 1, attempt=0, crossing=entry.id, asked_at=entry.at, asked=asked, owner=None, team="",
        assigned_at=0, due_at=None, timers=(), touched_at=0, accepted=False, passed=(), reason=None, recycle_at=None,
        nurture_with=None,
    )  # fmt: skip


def _first_touch(steps: _Steps) -> None:
    """A person of sales got in touch: that, and nothing else, stops the clocks."""
    entry, lead = steps.entry, steps.lead
    assert lead is not None
    owner = lead.owner or entry.actor_id
    if lead.state in UNTOUCHED:
        steps.to("working", "working", touched_at=entry.at, timers=(), owner=owner)
    else:
        steps.to("first_touch", touched_at=entry.at, timers=(), owner=owner)


def _act(steps: _Steps, act: Act, policy: Policy) -> None:
    kind, lead = steps.entry.kind, steps.lead
    if kind == "lead_carried":
        steps.take(act.lead, act.source)
    elif lead is None or kind == "lead_tick":
        return
    elif kind == "lead_deal":
        _deal(steps, lead, act)
    elif kind == "lead_assigned":
        _assigned(steps, act)
    elif kind == "lead_accepted":
        if lead.state in ("handed_off", "working") and not lead.accepted:
            _accepted(steps, lead, act)
    elif kind == "lead_qualified":
        if lead.state in ("handed_off", "accepted", "working"):
            steps.to("qualified", "qualified")
    elif kind == "lead_rejected":
        if lead.state in ("handed_off", "accepted", "working"):
            _rejected(steps, act, policy)
    elif kind == "lead_recycled":
        if lead.state in WITH_SALES:
            steps.to("recycled", "recycled", **_given_back(steps.entry, act, policy))
    elif kind == "lead_disqualified" and lead.state not in ENDED:
        steps.to("disqualified", "disqualified", reason=act.reason, timers=())


def _assigned(steps: _Steps, act: Act) -> None:
    lead = steps.lead
    assert lead is not None
    # A deal that began after the request, but was told after the assignment, is of the rep who was given the lead, whoever owns the deal.
    state: State | None = "handed_off" if lead.state == "mql" else None
    owned = lead.owner is not None and lead.assigned_at
    if state is None and (lead.state != "opportunity" or owned or lead.touched_at):
        return  # somebody got in touch before, or the hand-off did not hold
    # Who is given a deal that nobody owns is handed nothing over by marketing.
    kind: ChangeKind = "handed_off" if lead.attempt == 0 and lead.cycle else "reassigned"
    timers = tuple(sorted(act.timers))
    steps.to(
        kind, state, act.why, owner=act.owner, team=act.team, attempt=lead.attempt + 1, assigned_at=steps.entry.at,
        due_at=act.due_at, timers=timers,
    )  # fmt: skip


def _accepted(steps: _Steps, lead: LeadState, act: Act) -> None:
    """Who takes the lead owns it, also if another rep was given it, or nobody. The clock runs on: the customer was promised no other."""
    state: State | None = "accepted" if lead.state == "handed_off" else None
    if act.by in ("", lead.owner):
        steps.to("accepted", state, accepted=True)
    elif lead.owner is None:
        steps.to("accepted", state, f"{act.by} takes it; nobody had it", accepted=True, owner=act.by)
    else:
        passed = (*lead.passed, lead.owner)
        steps.to(
            "accepted", state, f"{act.by} takes it; {lead.owner} had it", accepted=True, owner=act.by, passed=passed
        )


def _rejected(steps: _Steps, act: Act, policy: Policy) -> None:
    lead = steps.lead
    assert lead is not None
    consequence = policy.leads.on_reject.get(act.reason or "bad_timing", "recycle")
    if consequence == "reroute":
        steps.to("rejected", "mql", reason=act.reason, **_taken_from(lead))
    elif consequence == "disqualify":
        steps.to("rejected", "disqualified", reason=act.reason, timers=())
    else:
        steps.to("rejected", "recycled", **_given_back(steps.entry, act, policy))


def _given_back(entry: Entry, act: Act, policy: Policy) -> dict[str, Any]:
    """Back to marketing, until the date."""
    again = max(act.recycle_at or entry.at + int(policy.leads.recycle_days * DAY_MS), entry.at)
    return {
        "reason": act.reason,
        "recycle_at": again,
        "nurture_with": act.nurture_with,
        "timers": ((again, "recycle_due"),),
        "owner": None,
        "due_at": None,
    }


def _deal(steps: _Steps, lead: LeadState, act: Act) -> None:
    """What is said of a deal. Whom sales found without marketing has no lead, and gets none by a deal: marketing would fall silent for
    every deal in the CRM."""
    if begins_another(lead, act):
        steps.begin()
        assert steps.lead is not None
        lead = steps.lead
    said = stands(lead, act)
    steps.lead = said.kept(lead)
    owner, why = lead.owner, ""
    if owner is None and act.owner:
        owner, why = act.owner, f"{act.owner} owns the deal {act.deal}".strip()
    if said.state == "opportunity" != lead.state:
        timers = tuple(timer for timer in lead.timers if timer[1] != "recycle_due")
        steps.to("opportunity", "opportunity", why, owner=owner, timers=timers, **_taken_up(lead))
    elif said.state in ("won", "lost") and said.state != lead.state:
        steps.to(said.state, said.state, why, owner=owner, timers=())


def _taken_up(lead: LeadState) -> dict[str, Any]:
    """Sales has it by a deal, not by what the customer asked before: its clocks run from when a rep is given the deal."""
    if lead.state in WITH_SALES or lead.state in ENDED:
        return {}
    return {"asked_at": 0, "assigned_at": 0, "touched_at": 0, "due_at": None, "accepted": False, "passed": ()}
