"""`contact_after_opt_out`: the customer said no more, and we went on.

One finding for each outbound contact after an unsubscribe or a complaint in that channel (`scope = "channel"`) or in any
(`scope = "all"`), resting on the latest opt-out before it. So does a record by which consent to that channel and purpose was denied or
withdrawn; and one by which it was given ends what was said before (`streams.core.consent`).
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.core import consent, wording
from streams.core.consent import Consent
from streams.core.detect.base import Rule, build, contacts, evidence, is_contact, name_at, until_calls_end
from streams.core.entry import Entry, is_opt_out
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline, past, standing
from streams.core.touch import CALL_KINDS

NAME, VERSION = "contact_after_opt_out", 1


def affected(entries: Sequence[Entry], i: int, policy: Policy) -> tuple[int, int] | None:
    if is_opt_out(entries[i]):
        return i, len(entries)
    if not is_contact(entries[i]):
        return None
    return i, until_calls_end(entries, i, policy) if entries[i].kind in CALL_KINDS else i + 1


def find(timeline: Timeline, lo: int, hi: int, policy: Policy, customer: str) -> list[Finding]:
    entries = timeline.entries
    everywhere = policy.contact_after_opt_out.scope == "all"
    latest: dict[str, Entry] = {}
    for opt_out in _opt_outs(timeline, lo):
        latest["" if everywhere else opt_out.channel] = opt_out
    new_opt_outs = [(j, entry) for j, entry in enumerate(entries[lo:hi], lo) if is_opt_out(entry)]
    consents = () if timeline.consents is None else consent.told(timeline.consents)
    if not (latest or new_opt_outs or consents):
        return []
    found = []
    for j, contact in contacts(entries, lo, hi, 0, policy):
        while new_opt_outs and new_opt_outs[0][0] < j:
            opt_out = new_opt_outs.pop(0)[1]
            latest["" if everywhere else opt_out.channel] = opt_out
        cause = latest.get("" if everywhere else contact.channel)
        no = consent.refusal(consents, contact, cause) if consents else cause
        if j >= lo and no is not None:
            found.append(_finding(name_at(timeline, j), contact, no, policy, customer))
    return found


def _opt_outs(timeline: Timeline, lo: int) -> list[Entry]:
    """The opt-outs before lo that matter, in order."""
    rows, near = past(timeline, lo)
    kept = [opt_out for row in rows for opt_out in row.opt_outs]
    return [*standing(timeline), *kept, *filter(is_opt_out, near)]


def _finding(name: str | None, contact: Entry, opt_out: Entry | Consent, policy: Policy, customer: str) -> Finding:
    reason = (
        f"{name or wording.SOMEONE} {_did(opt_out)} {wording.when(opt_out.at, contact.at)}"
        f" and still got {wording.contact(contact)}"
        f" from {wording.sender(contact)} {wording.when(contact.at, opt_out.at)}, {wording.span(contact.at - opt_out.at)} later."
    )
    proof = [evidence("opt_out", opt_out), evidence("contact", contact)]
    return build((NAME, VERSION), customer, contact, proof, name, policy.contact_after_opt_out.severity, reason)


def _did(no: Entry | Consent) -> str:
    if isinstance(no, Entry):
        return (
            f"{'unsubscribed from' if no.kind == 'unsubscribed' else 'complained about'} {wording.channel(no.channel)}"
        )
    did = "withdrew" if no.status == "withdrawn" else "denied"
    what = f"{wording.channel(no.channel) or 'every channel'}{f' about {no.purpose}' if no.purpose else ''}"
    return f"{did} consent to {what}{f' ({no.source})' if no.source else ''}"


RULE = Rule(NAME, VERSION, lambda policy: policy.contact_after_opt_out.enabled, affected, find)
