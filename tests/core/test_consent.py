"""Records of consent on a timeline: which of them count, what they change in what was found, and where they go."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import consent, consent_keeping, opt_outs
from streams.core.commands import Command
from streams.core.consent import Consent, ConsentChange, encode_consent
from streams.core.customer import on_command, on_touch
from streams.core.entry import DamagedError, Entry, encode_entry
from streams.core.govern.check import check, known
from streams.core.govern.forecast import forecast, sentence
from streams.core.govern.records import Contact
from streams.core.leads.asked import tick_command
from streams.core.leads.states import LeadState
from streams.core.moving import all_moves, merge_command, split_command
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Judged, Timeline, decode, due_of, encode, is_customer, lead_of, may_have_plans
from streams.core.touch import Customer, IdentifiedTouch, Touch
from tests.core.govern.worlds import DAY, HOUR, START

WHO, OTHER = "c2-b", "c1-a"
POLICY = Policy()
NOON = START + 12 * HOUR


def record(id_: str, status: str, at: int, **values: Any) -> Consent:
    """A record of consent for email, unless said otherwise."""
    usual = {"channel": "email", "source": "preference centre", "recorded_by": "onetrust", "published_at": at}
    return Consent(status, at, id=id_, **(usual | values))  # type: ignore[arg-type]


def told(*records: Consent, customer: str = WHO, source: str | None = None, at: int = 1) -> Command:
    """Records as a timeline is told of them."""
    some = tuple(map(encode_consent, records))
    return Command("c", customer, consent.CHANGED, NOON, "c", source_customer_id=source, entries=some, decided_at=at)


def touch(id_: str, at: int, kind: str = "sent", **values: Any) -> IdentifiedTouch:
    """A mail of marketing, or what the customer did in the channel."""
    direction = "outbound" if kind == "sent" else "inbound"
    fields = {"channel": "email", "department": "marketing", "direction": direction, "kind": kind} | values
    return IdentifiedTouch(
        WHO, Touch(id_, occurred_at=at, customer=Customer(email="a"), **fields), (), at, resolved_at=1
    )


def play(*inputs: Command | IdentifiedTouch, timeline: Timeline = EMPTY) -> tuple[Timeline, list[Finding]]:
    """The timeline after the inputs, and all findings."""
    found: list[Finding] = []
    for one in inputs:
        on: Any = on_command if isinstance(one, Command) else on_touch
        effect = on(timeline, one, POLICY)
        assert effect.refused is None, effect.refused
        timeline = effect.timeline
        found += effect.findings
    return timeline, found


def holding(found: list[Finding]) -> set[tuple[str, ...]]:
    """The touches and records of each finding that stands in the end."""
    last = {one.finding_id: one for one in found}
    return {one.touch_ids for one in last.values() if one.state != "retracted"}


OFF = touch("off", NOON, "unsubscribed")
MAIL = touch("mail", NOON + 2 * DAY)
GIVEN = record("yes", "granted", NOON + DAY)


def test_consent_given_since_ends_an_opt_out() -> None:
    """A mail after an unsubscribe is no conflict where consent was given between them, whatever comes first of the three."""
    for order in permutations((OFF, told(GIVEN), MAIL)):
        timeline, found = play(*order)
        assert holding(found) == set()
        assert timeline.consents == (GIVEN,)
    assert holding(play(OFF, MAIL)[1]) == {("mail", "off")}
    assert holding(play(OFF, told(replace(GIVEN, at=NOON)), MAIL)[1]) == {("mail", "off")}, "not since"


@pytest.mark.parametrize(
    "other",
    [
        record("w", "withdrawn", NOON + DAY + HOUR),
        record("w", "withdrawn", NOON + DAY + HOUR, channel=""),
        record("w", "denied", NOON + DAY),
    ],
)
def test_a_later_refusal_makes_the_opt_out_hold_again(other: Consent) -> None:
    """And what is found rests on the record, which is the latest no; of two at one time the refusal holds."""
    for order in permutations((OFF, told(GIVEN), told(other), MAIL)):
        assert holding(play(*order)[1]) == {("mail", "w")}


def test_consent_is_of_its_channel_and_purpose() -> None:
    """What was given for newsletters lets no other mail pass after an unsubscribe, nor a call; what was given for everything does."""
    letter, offer = (touch(name, NOON + 2 * DAY, category=name) for name in ("newsletter", "offer"))
    given_ = told(replace(GIVEN, purpose="newsletter"))
    assert holding(play(OFF, given_, letter)[1]) == set()
    assert holding(play(OFF, given_, offer)[1]) == {("off", "offer")}
    assert holding(play(OFF, given_, MAIL)[1]) == {("mail", "off")}
    assert holding(play(OFF, told(replace(GIVEN, channel="calls")), MAIL)[1]) == {("mail", "off")}
    assert holding(play(OFF, told(replace(GIVEN, channel="")), offer)[1]) == set()


def test_consent_that_has_ended_ends_no_opt_out() -> None:
    """Until the moment at which it ends the mail is none, from then on it is one again."""
    until = NOON + 2 * DAY
    short = told(replace(GIVEN, until=until))
    assert holding(play(OFF, short, touch("m", until - 1))[1]) == set()
    assert holding(play(OFF, short, touch("m", until))[1]) == {("m", "off")}


def test_a_mail_after_a_withdrawal_is_found_with_its_latency() -> None:
    """The finding names the record, its system and who recorded it, and the latency is from the withdrawal to the mail."""
    gone = record("w", "withdrawn", NOON, purpose="offer", form="footer, version 3")
    _, (found,) = play(told(gone), touch("mail", NOON + 5 * HOUR, category="offer"))
    proof = found.evidence[0]
    assert (found.rule, found.cause and found.cause.id) == ("contact_after_opt_out", "mail")
    assert "withdrew consent to email about offer (preference centre) at 12:00 and still got an email" in found.reason
    assert (proof.role, proof.touch_id, proof.kind) == ("opt_out", "w", "consent_withdrawn")
    assert (proof.actor, proof.label) == ("onetrust", "footer, version 3")
    (latency,) = opt_outs.latencies([found])
    assert (latency.kind, latency.channel, latency.latency_ms) == ("consent_withdrawn", "email", 5 * HOUR)
    assert play(told(gone), touch("mail", NOON + 5 * HOUR, category="newsletter"))[1] == []


def test_a_record_that_comes_late_is_judged_by_its_own_time() -> None:
    """Consent that was given before a mail takes back what was found of it, with the record as the cause; taken back itself, it is found
    again, under the next revision."""
    timeline, _ = play(OFF, MAIL)
    late = replace(GIVEN, published_at=NOON + 9 * DAY)
    timeline, more = play(told(late), timeline=timeline)
    assert [(one.state, one.revision, one.cause and one.cause.id) for one in more] == [("retracted", 2, "yes")]
    mistake = replace(late, deleted=True, published_at=late.published_at + 1)
    timeline, more = play(told(mistake), timeline=timeline)
    assert [(one.state, one.revision, one.cause and one.cause.kind) for one in more] == [("detected", 3, "deletion")]
    assert consent.told(timeline.consents) == ()
    again = on_command(timeline, told(late), POLICY)
    assert (again.outcome, again.timeline) == ("duplicate", timeline)


def test_a_check_reads_what_the_timeline_keeps() -> None:
    """The opt-out that was ended lets the mail pass, the withdrawal stops a call and is the evidence, and the slot is where it ends."""
    withdrawn = record("w", "withdrawn", NOON + DAY, channel="calls", until=NOON + 4 * DAY)
    timeline, _ = play(OFF, told(GIVEN, withdrawn))
    at = NOON + 2 * DAY
    history, standing = known(timeline, POLICY, at)
    mail = check(history, Contact(at, "email", "marketing"), POLICY, at, standing, ("calls",))
    assert (mail.allowed, mail.slots["calls"]) == (True, NOON + 4 * DAY)
    call = check(history, Contact(at, "calls", "sales"), POLICY, at, standing)
    assert [(one.rule, one.evidence[0].id) for one in call.violations] == [("consent", "w")]
    early = check(history, Contact(NOON + HOUR, "email", "marketing"), POLICY, NOON + HOUR, standing)
    assert [(one.rule, one.until) for one in early.violations] == [("opted-out", NOON + DAY)]


def test_a_plan_is_judged_by_consent_at_its_time() -> None:
    """A plan for after a withdrawal is told, with the record as evidence, and no more once consent is given again."""
    plan = Entry(NOON + 3 * DAY, "plan", "email", "marketing", "outbound", "sent", NOON)
    announced = Command("p", WHO, "touch_planned", NOON, "p", entries=(encode_entry(plan),), decided_at=1)
    timeline, found = play(announced, told(record("w", "withdrawn", NOON + DAY)))
    assert [(one.rule, one.evidence[0].role, one.evidence[0].touch_id) for one in found] == [
        ("planned_conflict", "consent", "w")
    ]
    _, more = play(told(record("y", "granted", NOON + 2 * DAY)), timeline=timeline)
    assert [(one.rule, one.state) for one in more] == [("planned_conflict", "retracted")]


@given(st.data())
def test_the_order_of_arrival_does_not_matter(data: st.DataObject) -> None:
    """Records in any order, some twice, corrected and taken back, leave the same on the timeline."""
    made = st.builds(
        Consent,
        st.sampled_from(("granted", "denied", "withdrawn")),
        st.integers(NOON, NOON + 3),
        st.sampled_from(("", "email", "calls")),
        st.sampled_from(("", "offer")),
        st.sampled_from((None, NOON + 2)),
        id=st.sampled_from("abcdefgh"),
        published_at=st.integers(NOON, NOON + 3),
        deleted=st.sampled_from((False, False, True)),
    )
    records = data.draw(st.lists(made, max_size=12))
    one, other = None, None
    for came in records:
        one = consent_keeping.put(one, [came])
    for came in data.draw(st.permutations([*records, *records[:3]])):
        other = consent_keeping.put(other, [came])
    assert one == other == consent_keeping.put(None, records)


def test_a_merge_joins_what_was_agreed_and_a_split_gives_it_back() -> None:
    """Records travel with their identifiers, say whose they are, and end the opt-out of the other one until they part again."""
    merged, _ = play(told(GIVEN))
    effect = on_command(merged, merge_command(WHO, OTHER, NOON, "link", 5, (WHO,)), POLICY)
    assert effect.timeline.consents is None
    (move,) = effect.commands
    assert (move.kind, move.customer_id, move.source_customer_id) == (consent.CHANGED, OTHER, WHO)
    off, mail = (replace(one, customer_id=OTHER) for one in (OFF, MAIL))
    timeline, found = play(off, mail, move)
    assert timeline.consents == (replace(GIVEN, identifier=WHO),)
    assert holding(found) == set()
    apart = split_command(OTHER, WHO, [WHO], NOON + 9 * DAY, "cut", 9)
    parted = on_command(timeline, apart, POLICY)
    assert parted.timeline.consents is None
    assert [(one.touch_ids, one.state) for one in parted.findings] == [(("mail", "off"), "detected")]
    back, _ = play(*parted.commands, timeline=effect.timeline)
    assert (back.consents, back.merged_into) == ((GIVEN,), None)


def test_an_erasure_forgets_what_was_agreed() -> None:
    """What was said before it, of the identifiers that are erased; what another identifier or a later moment brought stays."""
    of_other = record("o", "granted", NOON, identifier="c4-x")
    later = record("l", "granted", NOON + 3 * DAY)
    timeline, _ = play(told(GIVEN, of_other, later))
    erased = Command(
        "e", WHO, "customer_erased", NOON + 2 * DAY, "", decided_at=(NOON + 2 * DAY) * 1000, identifiers=(WHO,)
    )
    after = on_command(timeline, erased, POLICY).timeline
    assert after.consents == (of_other, later)
    stale = on_command(after, told(GIVEN, at=2), POLICY)
    assert (stale.outcome, stale.timeline.consents) == ("erased", (of_other, later))


def test_a_timeline_with_records_is_kept_whole() -> None:
    """Encoded and decoded it is the same; timers and leads are seen beside records; one that was written before them has none."""
    held = (replace(GIVEN, identifier=""), replace(GIVEN, id="z", identifier="c4-x"))
    lead = LeadState(id="lead", state="mql", since=NOON)
    plan = Entry(NOON + 3 * DAY, "plan", "email", "marketing", "outbound", "sent", NOON)
    judged = Judged(NOON + 4 * DAY, 0, {}, "policy")
    for timeline in (
        Timeline(consents=held),
        Timeline(consents=held, lead=lead),
        Timeline(consents=held, plans=(plan,), judged=judged),
        Timeline(plans=(plan,), judged=judged),
        Timeline(lead=lead),
        Timeline(lead=lead, lead_base=lead),
        EMPTY,
    ):
        value = encode(timeline)
        assert decode(value) == timeline
        assert is_customer(value)
        assert lead_of(value) == timeline.lead
        assert due_of(value, "policy") == (None if timeline.judged is None else judged.due)
        assert may_have_plans(value) or not timeline.plans
        if timeline.consents is None:
            before = value[:1] + bytes.fromhex("dc 00 10") + value[4:-1]
            assert decode(before) == timeline
            assert (lead_of(before), due_of(before, "policy")) == (lead_of(value), due_of(value, "policy"))
            assert may_have_plans(before) == may_have_plans(value) == bool(timeline.plans or timeline.lead_base)


def test_a_damaged_record_is_refused_whole() -> None:
    """Bytes that are no record are a dead letter, and change nothing."""
    broken = Command("c", WHO, consent.CHANGED, NOON, "c", entries=(b"\xc1",), decided_at=1)
    effect = on_command(EMPTY, broken, POLICY)
    assert effect.refused is not None and effect.refused[0] == "undecodable"
    with pytest.raises(DamagedError):
        consent.decode_consent(b"\x01")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"consent_id": ""}, "consent_id: 1 to 200"),
        ({"channel": "fax"}, "channel: 'fax' is none of email, ads, linkedin, calls"),
        ({"purpose": "p" * 513}, "purpose: at most 512"),
        ({"source": ""}, "source: a record without it proves nothing"),
        ({"recorded_by": ""}, "recorded_by: a record without it proves nothing"),
        ({"until": NOON}, "was never in force"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(values: dict[str, Any], said: str) -> None:
    """By field, with what is allowed; a record that is taken back needs no proof."""
    good = ConsentChange("id", Customer(email="a"), "granted", NOON, source="crm", recorded_by="jo")
    assert consent.problem(good) is None
    assert said in str(consent.problem(replace(good, **values)))
    assert consent.problem(replace(good, source="", recorded_by="", deleted=True)) is None


def test_records_go_before_touches() -> None:
    """A customer that is merged brings its consent first, so that nothing is found which it allowed."""
    timeline, _ = play(told(GIVEN), MAIL)
    kinds = [one.kind for one in all_moves(timeline, OTHER, timeline.entries, merge_command(WHO, OTHER, NOON, "link"))]
    assert kinds == [consent.CHANGED, "timeline_moved"]


def test_a_timer_finds_nothing_due() -> None:
    """Consent that ends changes nothing by itself, so a timeline with records alone waits for no moment."""
    timeline, _ = play(told(replace(GIVEN, until=NOON + 2 * DAY)))
    assert due_of(encode(timeline), "p") is None
    assert on_command(timeline, tick_command(WHO, NOON + 3 * DAY, NOON), POLICY).outcome == "duplicate"


def test_a_forecast_knows_what_was_withdrawn() -> None:
    """A campaign for who withdrew consent to its purpose is in the forecast, in words."""
    timeline, _ = play(told(record("w", "withdrawn", NOON, purpose="offer")))
    planned = Contact(NOON + 5 * DAY, "email", "marketing", campaign="spring", category="offer")
    (outlook,) = forecast([(WHO, planned)], lambda _: known(timeline, POLICY, NOON), POLICY, NOON)
    assert "collides once: 1 without consent; 1 of 1 may not be made." in sentence(outlook)
