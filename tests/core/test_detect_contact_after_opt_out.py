"""`contact_after_opt_out`, sentence by sentence."""

from __future__ import annotations

import pytest

from streams.core.outcome import Finding
from streams.core.policy import OptOutPolicy, Policy
from streams.core.touch import Touch
from tests.core import made
from tests.core.made import DAY, HOUR, ids, touch

EVERYWHERE = Policy(contact_after_opt_out=OptOutPolicy(scope="all", severity="low"))


def found(*touches: Touch, policy: Policy | None = None) -> list[Finding]:
    """Contacts after opt-outs only."""
    return made.found("contact_after_opt_out", *touches, policy=policy)


@pytest.mark.parametrize("kind", ["unsubscribed", "complained"])
def test_a_contact_after_an_opt_out_is_a_conflict_for_ever(kind: str) -> None:
    """Each later contact in the channel is a finding, a year later too; what came before is none."""
    history = [touch("a", "sent"), touch("no", kind, HOUR), touch("b", "sent", 2 * HOUR), touch("c", "sent", 365 * DAY)]
    findings = found(*history)
    assert ids(findings) == [("b", "no"), ("c", "no")]
    assert [(proof.role, proof.touch_id) for proof in findings[0].evidence] == [("opt_out", "no"), ("contact", "b")]


def test_an_opt_out_holds_for_its_channel_or_for_all() -> None:
    """By default a call after an unsubscribed email is no conflict; with scope "all" it is."""
    history = [touch("no", "unsubscribed"), touch("call", "dialed", HOUR, "sales")]
    assert found(*history) == []
    (finding,) = found(*history, policy=EVERYWHERE)
    assert (finding.touch_ids, finding.severity) == (("call", "no"), "low")


def test_the_latest_opt_out_before_the_contact_is_named() -> None:
    """Of several opt-outs the last one before the contact is the evidence, by channel or over all."""
    history = [
        touch("e", "unsubscribed"),
        touch("f", "complained", HOUR),
        touch("g", "unsubscribed", 2 * HOUR, "sales", channel="calls"),
        touch("x", "sent", 3 * HOUR),
        touch("z", "unsubscribed", 4 * HOUR),
    ]
    assert ids(found(*history)) == [("f", "x")]
    assert ids(found(*history, policy=EVERYWHERE)) == [("g", "x")]


@pytest.mark.parametrize(("opt_out", "contact", "count"), [("a", "b", 1), ("b", "a", 0)])
def test_in_one_millisecond_the_touch_id_decides(opt_out: str, contact: str, count: int) -> None:
    """At equal times the smaller id came first."""
    assert len(found(touch(opt_out, "unsubscribed"), touch(contact, "sent"))) == count


def test_a_call_counts_once() -> None:
    """The phases of a call after "no more calls" are one finding."""
    phases = [touch(kind, kind, HOUR + n, "sales", interaction_id="i") for n, kind in enumerate(("dialed", "answered"))]
    assert ids(found(touch("no", "complained", channel="calls"), *phases)) == [("dialed", "no")]


def test_the_rule_can_be_turned_off() -> None:
    """`enabled = false` finds nothing."""
    policy = Policy(contact_after_opt_out=OptOutPolicy(enabled=False))
    assert found(touch("a", "unsubscribed"), touch("b", "sent", HOUR), policy=policy) == []
