"""What is known of consent says what a check answers, with the same proof."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.consent import Consent
from streams.core.entry import Entry
from streams.core.govern.check import check
from streams.core.govern.consents import agreed
from streams.core.govern.policy import ConsentRule, OptOut
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Agreed, Contact, Standing
from streams.core.policy import Policy
from tests.core.govern.worlds import HOUR, START, histories, standings, times

REFUSALS = ("denied", "withdrawn")


def judged(
    history: tuple[Entry, ...], standing: Standing, t: int, channel: str, category: str | None, unknown: str = "allow"
) -> dict[str, set[tuple[str, int]]]:
    """Ids and times of the proof of a check's answer about opt-outs and consent, by reason."""
    consent = ConsentRule(name="consent", unknown="deny" if unknown == "deny" else "allow")
    policy = Policy(rules=(OptOut(name="opted-out"), consent))
    verdict = check(history, Contact(t, channel, "sales", category=category), policy, t, standing, None)
    return {str(one.reason): {(proof.id, proof.at) for proof in one.evidence} for one in verdict.violations}


@settings(max_examples=150, deadline=None)
@given(histories(), standings, times, st.sampled_from(("email", "calls", "linkedin")), st.sampled_from((None, "promo")))
def test_it_never_disagrees_with_a_check(
    history: tuple[Entry, ...], standing: Standing, t: int, channel: str, category: str | None
) -> None:
    """A channel is opted out of exactly when the check refuses for that, unless consent was given since for the purpose alone; and refused
    by a record exactly when the check says so. The check's proof stands in the list. Where consent must be there, the check lets pass
    exactly what is granted and nowhere refused."""
    known = [one for one in agreed(history, standing, t) if one.channel in ("", channel)]
    opted = {(one.proof, one.at) for one in known if one.status == "opted_out"}
    records = [one for one in known if one.proof_kind == "record" and one.purpose in ("", category or "")]
    refused = {one.at for one in records if one.status in REFUSALS}
    answer = judged(history, standing, t, channel, category)
    after = answer.get(str(Reason.AFTER_OPT_OUT), set())
    given_ = [one.at for one in records if one.status == "granted" and one.purpose]
    assert after <= opted and (after or all(at < max(given_, default=0) for _, at in opted))
    assert {at for _, at in answer.get(str(Reason.NO_CONSENT), set())} == refused
    strict = judged(history, standing, t, channel, category, "deny")
    assert (str(Reason.NO_CONSENT) not in strict) == (bool(records) and not refused)


def test_each_line_has_its_proof() -> None:
    """The latest opt-out of a channel, the record with its basis and source, and the form by which the customer asked, which is a ground to
    answer it and for nothing else."""
    off = Entry(START, "off", "email", "marketing", "inbound", "unsubscribed")
    again = Entry(START + HOUR, "off-2", "email", "marketing", "inbound", "complained")
    ask = Entry(START + 2 * HOUR, "form", "ads", "marketing", "inbound", "lead_form")
    granted = Consent("granted", START, "calls", "promo", START + 9 * HOUR, "preference centre", "consent", "cpc-17")
    standing = Standing(opt_outs=(off,), consents=(granted,))
    assert agreed((again, ask), standing, START + 3 * HOUR, (ask,)) == (
        Agreed("", "request", "asked", START + 2 * HOUR, "lead_form", "form", basis="contract"),
        Agreed(
            "calls", "promo", "granted", START, "record", "cpc-17", START + 9 * HOUR, "consent", "preference centre"
        ),
        Agreed("email", "", "opted_out", START + HOUR, "complained", "off-2"),
    )
    assert agreed((again, ask), standing, START, (ask,))[-1].proof == "off", "by then"
