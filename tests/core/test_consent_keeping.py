"""Which records of consent a customer keeps where there are many: by themselves, by a merge, and when no timeline could bear more."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import consent, consent_keeping
from streams.core.consent import Consent, ConsentChange
from streams.core.customer import on_command
from streams.core.govern.check import check, known
from streams.core.govern.records import Contact, Verdict
from streams.core.moving import merge_command
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import CHANNELS, Customer
from tests.core.govern.worlds import DAY, HOUR
from tests.core.oracle import consents_at
from tests.core.test_consent import NOON, OTHER, POLICY, WHO, play, record, told


def test_too_many_records_leave_out_what_is_superseded() -> None:
    """The newest of each channel and purpose stay, in any order of arrival; a customer with too many of these is refused."""
    many = [record(f"r{n:03}", "granted", NOON + n, purpose=f"p{n % 30}") for n in range(150)]
    forwards, backwards = None, None
    for one, other in zip(many, reversed(many), strict=True):
        forwards, backwards = consent_keeping.put(forwards, [one]), consent_keeping.put(backwards, [other])
    assert forwards == backwards == tuple(many[50:])
    timeline = Timeline(consents=forwards)
    more = [record(f"s{n}", "granted", NOON + n, purpose=f"q{n}") for n in range(71)]
    effect = on_command(timeline, told(*more), POLICY)
    assert effect.timeline is timeline
    assert effect.refused == (
        "unroutable",
        "the customer would have records of consent for 101 channels and purposes, and may have 100; use fewer names",
    )


def test_what_counts_once_a_later_record_has_ended_stays() -> None:
    """Neither a withdrawal that outlasts any number of later consents, nor one of the same moment as a consent, makes room for more."""
    withdrawn = record("w", "withdrawn", NOON)
    brief = [record(f"b{n:03}", "granted", NOON + n + 1, until=NOON + n + 2) for n in range(150)]
    for some in ([withdrawn, *brief], [*brief, withdrawn]):
        held: tuple[Consent, ...] | None = None
        for one in some:
            held = consent_keeping.put(held, [one])
        assert held is not None and len(held) == 100
        assert consent.in_force(held, NOON + DAY) == {("email", ""): withdrawn}
    both = [withdrawn, record("x", "granted", NOON)]
    others = [record(f"o{n:03}", "granted", NOON + n + 1, purpose=f"p{n % 30}") for n in range(150)]
    assert withdrawn in (consent_keeping.put(None, [*both, *others]) or ())


def test_records_take_a_part_of_a_timeline_only() -> None:
    """Records with texts as long as they may be leave out what is superseded, too; those of which each counts are refused, and no touch
    goes for them."""
    text = "\U0001f600" * 512
    proof = {"source": text, "form": text, "recorded_by": text}
    superseded = consent_keeping.put(None, [record(f"r{n}", "granted", NOON + n, **proof) for n in range(100)])
    assert superseded is not None and 1 < len(superseded) < 40 and superseded[-1].id == "r99"
    many = [record(f"r{n}", "granted", NOON + n, purpose=f"p{n}", **proof) for n in range(40)]
    effect = on_command(EMPTY, told(*many), POLICY)
    assert effect.timeline is EMPTY
    assert effect.refused is not None and effect.refused[1].endswith("and may take 200000; shorten their texts")


def test_a_no_is_never_refused_for_a_bound() -> None:
    """Who has as many records as a customer may have can withdraw what another identifier agreed to, and does not lose by a merge what was
    withdrawn before it; then further consent is refused, and a correction is not."""
    full = consent_keeping.put(None, [record(f"r{n}", "granted", NOON + n, purpose=f"p{n}") for n in range(100)])
    no = record("no", "withdrawn", NOON + DAY, purpose="p1", identifier="c4-x")
    timeline, _ = play(told(no), timeline=Timeline(consents=full))
    assert consent.in_force(timeline.consents or (), NOON + DAY)["email", "p1"] == no
    others = [
        record(f"m{n}", "withdrawn" if n else "granted", NOON, purpose=f"q{n}", identifier="c5-y") for n in range(60)
    ]
    merged, _ = play(told(*others, source="c5-y"), timeline=timeline)
    assert set(others) <= set(merged.consents or ())
    more = on_command(merged, told(record("more", "granted", NOON, purpose="more")), POLICY)
    assert more.refused is not None and "for 162 channels and purposes, and may have 100" in more.refused[1]
    mended, _ = play(told(replace(others[0], published_at=NOON + DAY, form="sign-up")), timeline=merged)
    assert [one.form for one in mended.consents or () if one.id == "m0"] == ["sign-up"]


def test_a_refusal_is_never_refused_for_want_of_room() -> None:
    """A customer with as many names as may be has no room for consent to another one; a withdrawal is taken, whatever it is for, and so is
    consent for what is known."""
    full = Timeline(
        consents=consent_keeping.put(None, [record(f"r{n}", "granted", NOON, purpose=f"p{n}") for n in range(100)])
    )
    given_ = on_command(full, told(record("new", "granted", NOON, purpose="q")), POLICY)
    assert given_.refused is not None and given_.timeline is full
    for status, purpose in (("withdrawn", "q"), ("denied", ""), ("granted", "p7")):
        effect = on_command(full, told(record("new", status, NOON + 1, purpose=purpose)), POLICY)
        assert effect.refused is None, purpose
        assert "new" in {one.id for one in effect.timeline.consents or ()}


def test_the_newest_refusal_stays_behind_any_consent() -> None:
    """It is superseded, and yet no number of later records drives it out: it holds again when the consent is taken back as a mistake."""
    no, yes = record("no", "withdrawn", NOON), record("yes", "granted", NOON + 1)
    later = [record(f"o{n:03}", "granted", NOON + n + 2, purpose=f"p{n % 30}") for n in range(150)]
    held = consent_keeping.put(None, [no, yes, *later])
    assert held is not None and len(held) == 100 and no in held
    mistake = replace(yes, deleted=True, published_at=yes.published_at + 1)
    assert consent.in_force(consent_keeping.put(held, [mistake]) or (), NOON + DAY)["email", ""] == no


def _some(rng: random.Random, name: str, purposes: int) -> list[Consent]:
    """Up to 130 records of one customer, as another system may have published them."""
    found = []
    for n in range(rng.randint(1, 130)):
        at = NOON + HOUR * rng.randint(0, 40)
        until = rng.choice((None, None, None, at + HOUR * rng.randint(1, 90)))
        where = {"channel": rng.choice(("", *CHANNELS[:2])), "purpose": rng.choice(("", *map(str, range(purposes))))}
        status = rng.choice(("granted", "granted", "denied", "withdrawn"))
        found.append(record(f"{name}{n}", status, at, until=until, **where))
    return found


def _held(customer: str, records: list[Consent]) -> tuple[Timeline, list[Consent]]:
    """The customer's timeline, and the records that it took."""
    timeline, taken = EMPTY, []
    for one in records:
        effect = on_command(timeline, told(one, customer=customer), POLICY)
        taken += [] if effect.refused else [one]
        timeline = effect.timeline
    return timeline, taken


def _answered(timeline: Timeline, contact: Contact) -> Verdict:
    history, standing = known(timeline, POLICY, contact.at)
    return check(history, contact, POLICY, contact.at, standing)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((2, 30, 90)))
def test_a_merge_changes_no_answer(seed: int, purposes: int) -> None:
    """Whatever two customers said, up to the limit each: after a merge every check is answered as by all records of both, with the same
    evidence, and none of them is a dead letter."""
    rng = random.Random(seed)
    (theirs, some), (timeline, others) = (_held(who, _some(rng, who, purposes)) for who in (WHO, OTHER))
    moved = on_command(theirs, merge_command(WHO, OTHER, NOON, "link", 5, (WHO,)), POLICY)
    for command in moved.commands:
        effect = on_command(timeline, command, POLICY)
        assert effect.refused is None
        timeline = effect.timeline
    everything = Timeline(consents=tuple(some + others))
    changes = [
        ConsentChange(one.id, Customer(), one.status, one.at, one.channel, one.purpose, one.until)
        for one in some + others
    ]
    for _ in range(30):
        at, channel, purpose = (
            NOON + HOUR * rng.randint(41, 140),
            rng.choice(CHANNELS),
            rng.choice(("", str(rng.randrange(purposes)))),
        )
        contact = Contact(at, channel, "marketing", category=purpose or None)
        answer, wanted = (
            check(history, contact, POLICY, at, standing)
            for history, standing in (known(one, POLICY, at) for one in (timeline, everything))
        )
        assert answer == wanted
        refused = [one.consent_id for one in consents_at(changes, channel, purpose, at) if one.status != "granted"]
        assert any(one.rule == "consent" for one in answer.violations) == bool(refused)


def test_what_no_timeline_can_bear_is_told() -> None:
    """Many customers with long texts turn out to be one: what is superseded goes first, then the oldest consent; each refusal stays, and a
    dead letter names what was left out."""
    text = "\U0001f600" * 512
    proof = {"source": text, "form": text, "recorded_by": text}
    timeline, letters = EMPTY, []
    for n in range(4):
        old = record(f"old{n}", "granted", NOON - n - 1, identifier=f"c4-{n}", purpose="same", **proof)
        no = [
            record(f"no{n}-{m}", "denied", NOON + m, purpose=f"n{n}-{m}", identifier=f"c4-{n}", **proof)
            for m in range(8)
        ]
        yes = [
            record(f"yes{n}-{m}", "granted", NOON + 9 + n, purpose=f"y{n}-{m}", identifier=f"c4-{n}", **proof)
            for m in range(15)
        ]
        effect = on_command(timeline, told(old, *no, *yes, customer=OTHER, source=f"c4-{n}"), POLICY)
        assert effect.outcome == "applied"
        timeline = effect.timeline
        letters += [effect.refused[1]] if effect.refused else []
    held = timeline.consents or ()
    assert sum(one.status == "denied" for one in held) == 32
    assert len(letters) == 2 and "0 of them refusals: old" in letters[0] and "shorter texts" in letters[0]
    left = {one.id for one in held if one.status == "granted"}
    assert "yes3-0" in left and not left & {"old0", "old1", "yes0-0"}


def test_as_many_records_as_a_check_reads() -> None:
    """Refusals under ever new names, too, have an end: the oldest go, and are told."""
    many: list[Any] = [record(f"r{n:04}", "denied", NOON + n, purpose=f"p{n}") for n in range(1_003)]
    effect = on_command(EMPTY, told(*many), POLICY)
    assert effect.timeline.consents == tuple(many[3:])
    assert (
        effect.refused is not None
        and "3 were left out, 3 of them refusals: r0000, r0001, r0002; publish" in effect.refused[1]
    )
    again = on_command(effect.timeline, told(many[0]), POLICY)
    assert again.timeline == effect.timeline and again.refused is not None
