"""The same rules after the fact: what the engine allowed breaks none, and late, corrected and deleted touches re-decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import pipeline
from streams.core.backtest import fold, standing
from streams.core.detect import governed
from streams.core.entry import DELETED, Entry, key
from streams.core.govern.check import check
from streams.core.govern.loading import on_timelines
from streams.core.govern.records import NOTHING, USUAL_KIND, Contact, Standing
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline
from tests.core import segmented
from tests.core.govern import oracle, worlds

ON_TIMELINES = (
    "frequency_cap", "department_overlap", "minimum_gap", "duplicate_campaign", "duplicate_sequence", "never_with", "quiet_hours",
    "holidays", "opt_out", "after_reply", "rejection_cool_down", "stale_offer",
)  # fmt: skip
findable = worlds.policies(ON_TIMELINES, action="suppress", find=True)


def _entry(contact: Contact, n: int) -> Entry:
    c = contact
    call = f"i{n}" if c.channel == "calls" else None
    offer = (worlds.Claim("offer", "", c.offer.lower(), c.offer),) if c.offer else ()
    ends = (worlds.Claim("deadline", "", c.offer_ends.isoformat(), "until"),) if c.offer_ends else ()
    return Entry(
        c.at, f"t{n:03d}", c.channel, c.department, "outbound", USUAL_KIND[c.channel], 0, c.actor_id, None, c.actor_kind, c.campaign,
        None, None, call, (*offer, *ends), category=c.category, priority=c.priority, sequence=c.sequence,
    )  # fmt: skip


def _all(entries: Sequence[Entry], policy: Policy) -> list[Finding]:
    return governed.RULE.find(Timeline(entries=tuple(entries)), 0, len(entries), policy, "c") if entries else []


@settings(max_examples=100, deadline=None)
@given(worlds.histories(6), st.lists(worlds.contacts, min_size=1, max_size=10), findable, st.data())
def test_what_the_engine_allowed_breaks_no_rule(
    facts: tuple[Entry, ...], plans: list[Contact], policy: Policy, data: st.DataObject
) -> None:
    """Contacts are asked for ahead, take the slot they are given, are asked again when it comes, and made when allowed: no finding."""
    told = [
        replace(fact, id=f"f{n}", direction="inbound")
        for n, fact in enumerate(facts)
        if fact.kind not in oracle.CONTACT
    ]
    asked = [(data.draw(st.sampled_from((one.at, one.at - worlds.DAY))), one) for one in plans]
    events: list[Any] = sorted([(fact.at, 0, n, fact) for n, fact in enumerate(told)] + [
        (when, 1, n, one) for n, (when, one) in enumerate(asked)
    ], key=lambda event: event[:3])  # fmt: skip
    made: list[Entry] = []
    held: list[Contact] = []

    def use(due: Contact) -> None:
        held.remove(due)
        if check(made, due, policy, due.at, Standing(held=tuple(held))).allowed:
            made.append(_entry(due, len(made)))

    for now, _, n, event in events:
        # What is told at the millisecond of a contact is known when the contact is made.
        while held and min(held, key=lambda one: one.at).at < now + (not isinstance(event, Entry)):
            use(min(held, key=lambda one: one.at))
        if isinstance(event, Entry):
            made.append(event)
            continue
        verdict = check(made, event, policy, now, Standing(held=tuple(held)), ())
        at = verdict.slots[event.channel]
        if at is not None:
            held.append(replace(event, at=at, id=f"h{n}", kind="", approved_by=None))
    for one in sorted(held, key=lambda one: one.at):
        use(one)
    assert _all(sorted(made, key=key), policy) == []


@settings(max_examples=100, deadline=None)
@given(worlds.histories(12), findable)
def test_the_findings_are_the_oracles(history: tuple[Entry, ...], policy: Policy) -> None:
    """Each contact breaks the rules that the oracle says, looking only at what came before it."""
    wanted = set()
    for n, entry in enumerate(history):
        if entry.direction == "outbound" and entry.kind in oracle.CONTACT and not entry.late:
            offer = next((claim.value for claim in entry.claims), None)
            c = Contact(
                entry.at, entry.channel, entry.department, entry.kind, entry.id, entry.campaign, entry.category, entry.sequence,
                entry.actor_id, entry.actor_kind, entry.priority, offer,
            )  # fmt: skip
            itself = replace(entry, kind="opened", id="")
            wanted |= {(rule, entry.id) for rule in oracle.broken((*history[:n], itself), c, policy, entry.at, NOTHING)}
    judged = {rule.name for rule in policy.rules if on_timelines(rule)}
    by_rule = {(one.rule.partition(":")[2], one.evidence[-1].touch_id) for one in _all(history, policy)}
    assert {pair for pair in wanted if pair[0] in judged} == by_rule


@settings(max_examples=100, deadline=None)
@given(worlds.histories(10), findable, st.data())
def test_any_order_and_any_correction_ends_with_the_same_findings(
    history: tuple[Entry, ...], policy: Policy, data: st.DataObject
) -> None:
    """Touches in any order, some first wrong and corrected, some deleted again, over short segments: the findings of what is left."""
    first = {}
    for entry in history:
        fate = data.draw(st.sampled_from(("same", "same", "corrected", "deleted")))
        if fate == "corrected":
            wrong = data.draw(st.sampled_from(history))
            first[entry.id] = replace(
                wrong, id=entry.id, version=0, late=entry.late, interaction_id=entry.interaction_id
            )
        elif fate == "deleted":
            first[entry.id] = replace(entry, version=0)
            history = tuple(
                replace(Entry(one.at, one.id, one.channel, one.department, one.direction, DELETED), late=one.late)
                if one is entry
                else one
                for one in history
            )
    records = [first[entry.id] for entry in history if entry.id in first] + list(history)
    timeline, known = EMPTY, dict[str, Finding]()
    with segmented.length(2):
        for entry in data.draw(st.permutations(records)):
            step = pipeline.add(timeline, entry, policy, "c")
            timeline = step.timeline
            fold(known, step.findings)
    entries = sorted(history, key=key)
    wanted = {one.finding_id: one for one in _all(entries, policy)}
    found = {one.finding_id: one for one in standing(known) if ":" in one.rule}
    assert tuple(timeline.entries) == tuple(entries)
    assert found.keys() == wanted.keys()
    assert {id_: one.reason for id_, one in found.items()} == {id_: one.reason for id_, one in wanted.items()}
