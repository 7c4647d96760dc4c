"""Planned touches on a timeline: which of them are there, when they end, and what is found because of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core import plans
from streams.core.commands import Command
from streams.core.customer import on_command, on_touch
from streams.core.entry import DELETED, Entry, encode_entry
from streams.core.erasure import WITHDRAWN
from streams.core.leads.asked import lead_command, tick_command
from streams.core.leads.states import LeadState
from streams.core.moving import merge_command, split_command
from streams.core.outcome import Finding
from streams.core.policy import DoubleContactPolicy, PlannedPolicy, Policy, TimelinePolicy, parse
from streams.core.timeline import EMPTY, STALE, Timeline, decode, due, due_of, encode, may_have_plans
from streams.core.touch import Account, Customer, IdentifiedTouch, Touch
from streams.core.touch_check import TouchError
from tests.core.govern import worlds
from tests.core.govern.worlds import DAY, HOUR

WHO = "c2-a"
POLICY = Policy()
NOON = worlds.START + 12 * HOUR
MAIL = Entry(NOON + 3 * DAY, "mail", "email", "marketing", "outbound", "sent", NOON, campaign="spring")
CALL = Entry(NOON + 3 * DAY + 5 * HOUR, "call", "calls", "sales", "outbound", "dialed", NOON + 1)


def planned(*entries: Entry, customer: str = WHO, source: str | None = None, at: int = 1) -> Command:
    """Plans as a timeline is told of them."""
    some = tuple(map(encode_entry, entries))
    return Command("p", customer, plans.PLANNED, NOON, "plan", source_customer_id=source, entries=some, decided_at=at)


def withdrawn(plan: Entry, at: int = NOON + 9) -> Entry:
    """What takes it back."""
    return replace(plan, kind=DELETED, published_at=at)


def play(timeline: Timeline, *commands: Command, policy: Policy = POLICY) -> tuple[Timeline, list[Finding]]:
    """The timeline after the commands, and all findings."""
    found: list[Finding] = []
    for command in commands:
        effect = on_command(timeline, command, policy)
        assert effect.refused is None, effect.refused
        timeline = effect.timeline
        found += effect.findings
    return timeline, found


def touch(id_: str, at: int, **values: Any) -> IdentifiedTouch:
    """A call of sales."""
    fields = {"channel": "calls", "department": "sales", "direction": "outbound", "kind": "dialed"} | values
    return IdentifiedTouch(
        WHO, Touch(id_, occurred_at=at, customer=Customer(email="a"), **fields), (), at, resolved_at=1
    )


def states(findings: list[Finding] | tuple[Finding, ...]) -> list[tuple[str, str, int]]:
    """Plan, state and revision."""
    return [(*one.touch_ids, one.state, one.revision) for one in findings]


SOLD = parse(
    """
    [leads.owners]
    "acme" = "kim"
    [[teams]]
    name = "all"
    sla = "4h"
    calendar = { time_zone = "UTC", start = "00:00", end = "23:59" }
    [[teams.reps]]
    id = "ana"
    """
)


def test_a_plan_for_a_lead_that_sales_has_is_told_until_it_gives_it_back() -> None:
    """A mail of marketing is planned, then the customer asks for sales: the plan is in the way until sales gives the lead back. A call by
    another rep than the one who has it is told, too, and where nobody has it, by another than the account's."""
    colleague = replace(CALL, actor_id="bob", actor_kind="person")
    timeline, found = play(EMPTY, planned(MAIL), planned(replace(colleague, at=MAIL.at + 2 * DAY)), policy=SOLD)
    assert found == []
    asks = {"channel": "email", "department": "marketing", "direction": "inbound", "kind": "replied"}
    effect = on_touch(timeline, touch("asks", NOON - HOUR, **asks), SOLD)
    about = [one for one in effect.findings if one.rule == "planned_conflict"]
    assert states(about) == [("mail", "detected", 1), ("call", "detected", 1)]
    assert "the rule 'sales-has-the-lead': sales has the customer's lead (ana) since 26 March 2026" in about[0].reason
    assert "the rule 'owner-first': the customer is owned by ana, not by bob" in about[1].reason
    lead = effect.timeline.lead
    assert lead is not None
    back = lead_command("lead_recycled", WHO, "ana", NOON, lead.id, "no_budget", None, None, None, None)
    timeline, found = play(effect.timeline, back, policy=SOLD)
    assert states([one for one in found if one.rule == "planned_conflict"]) == [
        ("mail", "retracted", 2), ("call", "retracted", 2)
    ]  # fmt: skip
    of_acme = on_touch(timeline, touch("opens", NOON, **asks | {"kind": "opened"}, account=Account(id="acme")), SOLD)
    assert states(of_acme.findings) == [("call", "detected", 3)] and "owned by kim" in of_acme.findings[0].reason


def test_two_plans_that_collide_are_two_findings_until_one_is_withdrawn() -> None:
    """Each plan has its finding with the other as evidence, at the plan's time; the withdrawal retracts both, with its cause."""
    timeline, found = play(EMPTY, planned(MAIL), planned(CALL))
    assert states(found) == [("mail", "detected", 1), ("call", "detected", 1)]
    mail = found[0]
    assert (mail.rule, mail.event_time, mail.cause and mail.cause.id) == ("planned_conflict", MAIL.at, "call")
    assert [(one.role, one.touch_id) for one in mail.evidence] == [("other_plan", "call"), ("planned", "mail")]
    assert (
        "is to get an email from marketing on 29 March 2026 at 12:00, against the rule 'departments-apart'"
        in mail.reason
    )
    timeline, gone = play(timeline, planned(withdrawn(CALL)))
    assert states(gone) == [("mail", "retracted", 2), ("call", "retracted", 2)]
    assert {one.cause and (one.cause.kind, one.cause.id) for one in gone} == {("deletion", "call")}
    assert play(timeline, planned(CALL)) == (timeline, []), "an older record of it does not bring it back"


def test_a_plan_that_moves_is_amended_or_retracted() -> None:
    """Of two records the higher version holds, of the same version the later; the finding says what is so now."""
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    sooner = replace(CALL, at=CALL.at - HOUR, published_at=NOON + 5)
    timeline, found = play(timeline, planned(sooner))
    assert states(found) == [("mail", "amended", 2), ("call", "amended", 2)]
    timeline, found = play(timeline, planned(replace(CALL, published_at=NOON + 4)))
    assert found == []
    timeline, found = play(timeline, planned(replace(CALL, version=2, at=CALL.at + 9 * DAY)))
    assert states(found) == [("mail", "retracted", 3), ("call", "retracted", 3)]


def test_the_touch_itself_ends_its_plan() -> None:
    """When the planned touch is there, its plan is gone, and its finding; the other plan now collides with what was made. A plan that
    comes after its touch is none."""
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    effect = on_touch(timeline, touch("call", CALL.at), Policy())
    assert [one.id for one in effect.timeline.plans] == ["mail"]
    assert states(effect.findings)[0] == ("call", "retracted", 2)
    assert play(effect.timeline, planned(replace(CALL, version=7))) == (effect.timeline, [])


def test_touches_and_opt_outs_find_plans() -> None:
    """A touch that comes before a planned one, and an opt-out, are told at once; so is a correction that takes it away."""
    timeline, found = play(EMPTY, planned(MAIL))
    assert found == []
    near = on_touch(timeline, touch("other", MAIL.at - HOUR), Policy())
    assert states(near.findings) == [("mail", "detected", 1)]
    far = on_touch(near.timeline, touch("other", MAIL.at - 50 * HOUR, version=2), Policy())
    assert states(far.findings) == [("mail", "retracted", 2)]
    out = on_touch(timeline, touch("o", NOON, channel="email", kind="unsubscribed", direction="inbound"), Policy())
    assert [one.role for one in out.findings[0].evidence] == ["opt_out", "planned"]


def test_a_plan_is_past_by_the_customers_clock() -> None:
    """`planned.grace_hours` after its time, by the newest touch or plan, a plan is gone, and so is its finding."""
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    due = MAIL.at + 24 * HOUR
    assert [one.id for one in on_touch(timeline, touch("t", due, kind="no_answer"), Policy()).timeline.plans] == [
        "mail",
        "call",
    ]
    after = on_touch(timeline, touch("t", due + 1, kind="no_answer"), Policy())
    assert states(after.findings)[0] == ("mail", "retracted", 2)
    assert [one.id for one in after.timeline.plans] == ["call"]
    by_plan, _ = play(timeline, planned(replace(CALL, id="x", at=due + DAY, published_at=due + 1)))
    assert [one.id for one in by_plan.plans] == ["call", "x"]


def test_how_early_is_policy() -> None:
    """A plan further ahead than `planned.horizon_days` is judged when the clock comes near enough; `enabled` turns all off."""
    soon = Policy(planned=PlannedPolicy(horizon_days=1))
    timeline, found = play(EMPTY, planned(MAIL), planned(CALL), policy=soon)
    assert found == []
    near = on_touch(timeline, touch("t", CALL.at - DAY, kind="no_answer"), soon)
    assert states(near.findings) == [("mail", "detected", 1), ("call", "detected", 1)]
    off = Policy(planned=PlannedPolicy(enabled=False))
    assert play(EMPTY, planned(MAIL), planned(CALL), policy=off)[1] == []


def tick(at: int) -> Command:
    """A worker says that it is `at`."""
    return tick_command(WHO, at, at)


def test_a_timer_judges_what_comes_near_and_ends_what_is_past() -> None:
    """Nobody writes to the customer meanwhile: at the very millisecond at which a plan is `planned.horizon_days` ahead it is judged, and
    `planned.grace_hours` after its time it is gone; before that, and said again, nothing follows. When all are gone nothing is due."""
    soon = Policy(planned=PlannedPolicy(horizon_days=1))
    timeline, found = play(EMPTY, planned(MAIL), planned(CALL), policy=soon)
    assert (found, due(timeline), due_of(encode(timeline))) == ([], MAIL.at - DAY, MAIL.at - DAY)
    assert on_command(timeline, tick(MAIL.at - DAY - 1), soon).outcome == "duplicate"
    timeline, found = play(timeline, tick(MAIL.at - DAY), tick(MAIL.at - DAY), tick(CALL.at - DAY - 1), policy=soon)
    assert states(found) == [("mail", "detected", 1)]
    timeline, found = play(timeline, tick(CALL.at - DAY), policy=soon)
    assert (states(found), due(timeline)) == ([("call", "detected", 1)], MAIL.at + DAY + 1)
    late = MAIL.at + 90 * DAY
    timeline, found = play(timeline, tick(MAIL.at + DAY), tick(late), tick(late - DAY), tick(late), policy=soon)
    assert states(found) == [("mail", "retracted", 2), ("call", "retracted", 2)]
    assert (timeline.plans, timeline.judged, due(timeline), due_of(encode(timeline))) == ((), None, None, None)


def test_a_timer_has_plans_judged_by_another_policy() -> None:
    """Plans that another policy judged are due at once: what differs is told, amended findings too, once; by the same policy nothing is.
    So are plans that a release wrote which did not remember who judged them."""
    low = tuple(replace(rule, severity="low") if rule.name == "departments-apart" else rule for rule in POLICY.rules)
    mild = Policy(rules=low)
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    value = encode(timeline)
    assert (due_of(value, plans.name_of(POLICY)), due_of(value, plans.name_of(mild))) == (due(timeline), STALE)
    timeline, found = play(timeline, tick(NOON + 5), tick(NOON + 6), policy=mild)
    assert [(*one.touch_ids, one.state, one.severity) for one in found] == [
        ("mail", "amended", "low"),
        ("call", "amended", "low"),
    ]
    assert due_of(encode(timeline), plans.name_of(mild)) == due(timeline)
    before = replace(timeline, judged=None)
    assert due_of(encode(before), plans.name_of(mild)) == STALE
    again = play(before, tick(NOON + 7), policy=mild)[0].judged
    assert timeline.judged is not None and again == replace(timeline.judged, clock=NOON + 7)


def test_a_lead_that_moves_tells_of_plans_by_its_own_cause() -> None:
    """What sales says of a lead is no split: a finding about a plan that changes with it names the command."""
    held = replace(EMPTY, plans=(MAIL, CALL))
    effect = on_command(held, tick(NOON + 1), Policy())
    assert {one.cause and (one.cause.kind, one.cause.id) for one in effect.findings} == {
        ("touch", tick(NOON + 1).command_id)
    }


def test_another_policy_decides_from_there_on() -> None:
    """When the policy changes, the next touch or plan of the customer tells what is different by the new one: findings that it has no rule
    for are withdrawn, those that only it has are told; none is left standing."""
    nights = Policy(rules=tuple(replace(rule, enabled=rule.name == "quiet-hours") for rule in POLICY.rules))
    night = replace(CALL, at=CALL.at + 6 * HOUR)
    timeline, found = play(EMPTY, planned(MAIL), planned(night))
    assert states(found) == [("mail", "detected", 1), ("call", "detected", 1)]
    other = replace(MAIL, id="x", at=MAIL.at + 20 * DAY, published_at=NOON + 2)
    timeline, changed = play(timeline, planned(other), policy=nights)
    assert states(changed) == [("mail", "retracted", 2), ("call", "amended", 2)]
    timeline, back = play(timeline, planned(withdrawn(other)))
    assert states(back) == [("mail", "detected", 3), ("call", "amended", 3)]
    off = Policy(planned=PlannedPolicy(enabled=False))
    _, gone = play(timeline, planned(withdrawn(MAIL, NOON + 10)), policy=off)
    assert states(gone) == [("mail", "retracted", 4), ("call", "retracted", 4)]


def test_plans_go_where_their_identifiers_go() -> None:
    """A merge takes the plans along and withdraws their findings, where they arrive they are found anew; a split gives them back; on the
    way, a plan for an id that went elsewhere is sent on."""
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    merged = on_command(timeline, merge_command(WHO, "c1-w", NOON, "link", 5, (WHO, "c1-w")), Policy())
    assert states(merged.findings) == [("mail", "retracted", 2), ("call", "retracted", 2)]
    assert (merged.timeline.merged_into, merged.timeline.plans) == ("c1-w", ())
    (moved,) = merged.commands
    assert (moved.kind, moved.customer_id, moved.source_customer_id) == (plans.PLANNED, "c1-w", WHO)
    there, found = play(EMPTY, moved)
    assert states(found) == [("mail", "detected", 1), ("call", "detected", 1)]
    assert {one.cause and one.cause.kind for one in found} == {"merge"}
    late = on_command(merged.timeline, planned(replace(MAIL, id="late"), at=4), Policy())
    assert (late.outcome, late.commands[0].customer_id) == ("forwarded", "c1-w")
    back = on_command(there, split_command("c1-w", WHO, (WHO,), NOON, "split", 9), Policy())
    assert (states(back.findings), back.timeline.plans) == ([("mail", "retracted", 2), ("call", "retracted", 2)], ())
    assert play(merged.timeline, *back.commands)[0].plans == timeline.plans


def test_an_erasure_takes_plans_along() -> None:
    """Nothing is left of the plans, and their findings are withdrawn without a word of the person; what is planned later stays."""
    erase = Command("e", WHO, "customer_erased", NOON, "asked", decided_at=(NOON + 5) * 1000, identifiers=(WHO,))
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    effect = on_command(timeline, erase, Policy())
    assert effect.timeline == Timeline(erased_at=(NOON + 5) * 1000)
    assert [(one.state, one.reason, one.evidence) for one in effect.findings] == [("retracted", WITHDRAWN, ())] * 2
    assert on_command(effect.timeline, planned(MAIL), Policy()).outcome == "erased"
    since = replace(CALL, published_at=NOON + 6)
    kept = on_command(play(EMPTY, planned(MAIL), planned(since))[0], erase, Policy())
    assert ([one.id for one in kept.timeline.plans], states(kept.findings)) == (
        ["call"], [("mail", "retracted", 2), ("call", "retracted", 2)],
    )  # fmt: skip


def test_who_acts_on_a_finding_keeps_it() -> None:
    """A finding about a plan can be acknowledged; then it is amended and withdrawn when the plan is, not retracted."""
    timeline, found = play(EMPTY, planned(MAIL), planned(CALL))
    ack = Command("a", WHO, "finding_acknowledged", NOON, "", finding_id=found[0].finding_id, requested_by="rlee")
    timeline, (acknowledged,) = play(timeline, ack)
    assert (acknowledged.acknowledged_by, acknowledged.state) == ("rlee", "amended")
    _, gone = play(timeline, planned(withdrawn(MAIL)))
    assert [(one.state, one.withdrawn) for one in gone] == [("amended", True), ("retracted", False)]


def test_who_acts_on_a_finding_of_a_time_to_come_is_remembered() -> None:
    """Touches since are so many days younger than the acknowledgement that those of its time are pruned: the finding is still withdrawn
    when the plan is, not retracted."""
    policy = replace(
        POLICY, timeline=TimelinePolicy(retention_days=0.5), double_contact=DoubleContactPolicy(window_hours=6)
    )
    timeline, found = play(EMPTY, planned(MAIL), planned(CALL), policy=policy)
    ack = Command("a", WHO, "finding_acknowledged", NOON, "", finding_id=found[0].finding_id, requested_by="rlee")
    timeline, _ = play(timeline, ack, policy=policy)
    for id_, at in (("then", NOON + HOUR), ("since", NOON + DAY)):
        opened = touch(id_, at, channel="email", department="marketing", direction="inbound", kind="opened")
        timeline = on_touch(timeline, opened, policy).timeline
    assert timeline.floor == (NOON + HOUR, "then")
    _, gone = play(timeline, planned(withdrawn(MAIL)), policy=policy)
    assert [(one.state, one.withdrawn) for one in gone] == [("amended", True), ("retracted", False)]


def test_more_plans_than_anybody_makes() -> None:
    """A customer has `plans.MOST` plans at most: one more is refused, with what to do; a change of one is not."""
    some = [replace(MAIL, id=f"p{n}", kind="impression", channel="ads", at=MAIL.at + n) for n in range(plans.MOST)]
    full = replace(EMPTY, plans=tuple(some))
    effect = on_command(full, planned(CALL), Policy())
    assert effect.refused is not None and "withdraw some" in effect.refused[1]
    room = on_command(full, planned(withdrawn(some[3])), Policy())
    assert room.outcome == "applied"
    assert on_command(room.timeline, planned(CALL), Policy()).outcome == "applied"


def test_plans_that_are_past_take_no_room() -> None:
    """Two hundred that are over do not keep a new one out."""
    some = [replace(MAIL, id=f"p{n}", kind="impression", channel="ads", at=MAIL.at + n) for n in range(plans.MOST)]
    later = replace(CALL, at=CALL.at + 60 * DAY, published_at=CALL.at + 59 * DAY)
    effect = on_command(replace(EMPTY, plans=tuple(some)), planned(later), Policy())
    assert [plan.id for plan in effect.timeline.plans] == ["call"]


def test_plans_that_take_more_than_kafka_takes() -> None:
    """Plans with endless labels are refused before they fill the timeline's record, also where two customers meet."""
    some = [replace(MAIL, id=f"p{n}", label="x" * 8_000, at=MAIL.at + n) for n in range(24)]
    timeline, _ = play(EMPTY, *map(planned, some))
    more = replace(CALL, label="y" * 9_000)
    for command in (planned(more), planned(more, source="c4-b")):
        refused = on_command(timeline, command, Policy()).refused
        assert refused is not None and "may take 200000" in refused[1]


def test_a_plan_for_the_end_of_time() -> None:
    """Some tools write the calendar's last day for "no date": the customer's other plans are judged, and nothing fails."""
    never = replace(CALL, at=253_402_300_799_000)
    timeline, found = play(EMPTY, planned(never), planned(MAIL), planned(replace(CALL, id="c2")))
    assert {one.touch_ids for one in found} == {("mail",), ("c2",)}
    assert len(timeline.plans) == 3


def test_of_equal_records_the_later_holds() -> None:
    """Of one file's two lines with one id, which Kafka stamps in one millisecond, the second one holds."""
    timeline, _ = play(EMPTY, planned(MAIL), planned(replace(MAIL, at=MAIL.at + HOUR)))
    assert [plan.at for plan in timeline.plans] == [MAIL.at + HOUR]
    timeline, _ = play(timeline, planned(withdrawn(MAIL, MAIL.published_at)))
    assert [plan.kind for plan in timeline.plans] == [DELETED]


def test_a_plan_is_outbound() -> None:
    """A reaction cannot be planned."""
    with pytest.raises(TouchError, match="a planned touch is outbound"):
        plans.check(touch("r", NOON, kind="replied", channel="email", direction="inbound").touch)


def test_a_timeline_with_plans_is_kept_whole() -> None:
    """Encoded and decoded, in one value or with segments, it is the same; one that was written before plans has none."""
    timeline, _ = play(EMPTY, planned(MAIL), planned(CALL))
    assert decode(encode(timeline)) == timeline
    assert may_have_plans(encode(timeline))
    none = replace(timeline, plans=(), judged=None, entries=(replace(CALL, country="\N{CYRILLIC CAPITAL LETTER A}"),))
    assert not any(map(may_have_plans, (encode(none), encode(EMPTY), encode(Timeline("c1-w")), b"\x03segment")))
    before = encode(replace(timeline, plans=(), judged=None))
    earlier = before[:1] + bytes([0x9E]) + before[4:-3]
    assert decode(earlier) == EMPTY


def test_a_lead_without_plans_waits_for_its_own_timer() -> None:
    """No policy judges what is not planned: a customer with only a lead is due when the lead is, or never."""
    lead = LeadState(id="lead", state="mql", since=NOON)
    assert due_of(encode(Timeline(lead=lead)), "policy") is None
    waiting = replace(lead, timers=((NOON + HOUR, "sla_breached"),))
    assert due_of(encode(Timeline(lead=waiting)), "policy") == NOON + HOUR + 1
