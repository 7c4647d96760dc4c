"""Planned touches against a second reading of the policy: whatever comes in whatever order."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.backtest import fold, standing
from streams.core.commands import Command
from streams.core.customer import on_command
from streams.core.detect import planned_conflict
from streams.core.entry import DELETED, Entry, encode_entry, key
from streams.core.govern.loading import on_plans
from streams.core.govern.records import USUAL_KIND, Contact, Standing
from streams.core.outcome import Finding
from streams.core.policy import PlannedPolicy, Policy
from streams.core.timeline import EMPTY
from streams.core.touch import Claim
from tests.core import segmented
from tests.core.govern import oracle, worlds
from tests.core.govern.test_governed_findings import ON_TIMELINES
from tests.core.govern.worlds import DAY, HOUR
from tests.core.test_plans import WHO, planned, tick, withdrawn


def _entry(contact: Contact, id_: str, **values: Any) -> Entry:
    c = contact
    offer = (Claim("offer", "", c.offer.lower(), c.offer),) if c.offer else ()
    ends = (Claim("deadline", "", c.offer_ends.isoformat(), "until"),) if c.offer_ends else ()
    return Entry(
        c.at, id_, c.channel, c.department, "outbound", USUAL_KIND[c.channel], actor_id=c.actor_id, actor_kind=c.actor_kind,
        campaign=c.campaign, claims=(*offer, *ends), category=c.category, priority=c.priority, sequence=c.sequence, **values,
    )  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> list[tuple[Entry | int, Contact | None]]:
    """Touches, and plans of contacts, some under the id of a touch, some with two records, one withdrawn, and timers, in any order."""
    told: list[tuple[Entry | int, Contact | None]] = [(entry, None) for entry in draw(worlds.histories(7))]
    told += [(at, None) for at in draw(st.lists(worlds.times, max_size=3))]
    for id_ in draw(st.lists(st.sampled_from(("t00", "t01", "p0", "p1", "p2", "p3")), unique=True)):
        for version in range(1, 1 + draw(st.sampled_from((1, 1, 2)))):
            contact = replace(draw(worlds.contacts), id=id_, approved_by=None)
            plan = _entry(contact, id_, version=version, published_at=draw(worlds.times))
            told.append((withdrawn(plan, plan.published_at) if draw(st.integers(0, 5)) == 0 else plan, contact))
    return list(draw(st.permutations(told)))


@settings(max_examples=250, deadline=None)
@given(
    events(),
    worlds.policies(ON_TIMELINES),
    st.builds(PlannedPolicy, horizon_days=st.sampled_from((1, 30)), grace_hours=st.sampled_from((0, 24))),
    st.sampled_from((2, 32)),
)
def test_the_findings_are_the_oracles(
    told: list[tuple[Entry | int, Contact | None]], policy: Policy, planned_policy: PlannedPolicy, length: int
) -> None:
    """Whatever comes in whatever order: the plans that are left, and the rules that each would break, are those of a second reading, and
    the findings, folded, say just that."""
    policy = replace(
        policy, planned=planned_policy, leads=replace(policy.leads, enabled=False)
    )  # timers of leads apply ticks, too
    timeline, known = EMPTY, dict[str, Finding]()
    made: dict[str, Entry] = {}
    left: dict[str, tuple[Entry, Contact]] = {}
    said = clock = 0  # what timers said, and how late it is for the customer

    def changes(at: int) -> bool:
        """Whether a plan has come near, or is past, between the customer's clock and a moment."""
        grace, horizon = planned_policy.grace_hours * HOUR, planned_policy.horizon_days * DAY
        return any(
            clock <= plan.at + grace < at or (plan.kind != DELETED and clock < plan.at - horizon <= at)
            for plan, _ in left.values()
        )

    with segmented.length(length):
        for entry, contact in told:
            if isinstance(entry, int):
                effect = on_command(timeline, tick(entry), policy)
                assert (effect.outcome == "applied") == changes(entry)
                said = max(said, entry) if changes(entry) else said
            elif contact is None:
                effect = on_command(
                    timeline, Command("m", WHO, "timeline_moved", 0, "", source_customer_id="c2-b", entries=(encode_entry(entry),)), policy
                )  # fmt: skip
                made[entry.id] = entry
            else:
                effect = on_command(timeline, planned(entry), policy)
                before = left.get(entry.id)
                if entry.id not in made and (
                    before is None or (before[0].version, before[0].published_at) < (entry.version, entry.published_at)
                ):
                    left[entry.id] = entry, contact
            timeline = effect.timeline
            fold(known, effect.findings)
            known_times = [one.at for one in made.values()] + [plan.published_at for plan, _ in left.values()]
            clock = max([said, *known_times])
            oldest = clock - planned_policy.grace_hours * HOUR
            left = {id_: both for id_, both in left.items() if id_ not in made and both[0].at >= oldest}
            said = said if left else 0
    assert [one.id for one in timeline.plans] == [
        one.id for one, _ in sorted(left.values(), key=lambda both: key(both[0]))
    ]
    standing_plans = [contact for plan, contact in left.values() if plan.kind != DELETED]
    clock = planned_conflict.clock(timeline)
    judged = {rule.name for rule in policy.rules if on_plans(rule)}
    wanted = {}
    for one in standing_plans:
        if one.at <= clock + planned_policy.horizon_days * DAY:
            history = sorted(made.values(), key=key)
            held = Standing(held=tuple(standing_plans))
            wanted[one.id] = oracle.broken(history, one, policy, one.at, held) & judged
    found = {f.touch_ids[0]: f for f in standing(known) if f.rule == planned_conflict.NAME}
    assert {id_: set(re.findall(r"'(r\d)'", f.reason)) for id_, f in found.items()} == {
        id_: rules for id_, rules in wanted.items() if rules
    }
    plain = [replace(f, revision=1, state="detected", cause=None) for f in found.values()]
    assert sorted(plain, key=lambda f: (f.event_time, f.touch_ids)) == planned_conflict.find(timeline, policy, WHO)
