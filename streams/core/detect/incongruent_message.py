"""`incongruent_message`: the customer is told two things that cannot both be true.

Each outbound message is compared with the messages of the `window_days` before it, nearest first, and with the facts of its
campaign in the policy. What a message states is extracted once, at ingest (`streams.core.claims`).
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.core import claims, wording
from streams.core.detect.base import Rule, build, evidence, name_at, since, until
from streams.core.entry import Entry
from streams.core.outcome import Contradiction, Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline
from streams.core.touch import CONTACT_KINDS

NAME, VERSION = "incongruent_message", 1

# An ad is a message too, though no contact; reports such as `delivered` only repeat the message they are about.
_MESSAGE_KINDS = CONTACT_KINDS | {"impression"}


def _is_message(entry: Entry) -> bool:
    return bool(entry.claims) and entry.direction == "outbound" and entry.kind in _MESSAGE_KINDS and not entry.late


def affected(entries: Sequence[Entry], i: int, policy: Policy) -> tuple[int, int] | None:
    if not _is_message(entries[i]):
        return None
    return i, until(entries, i, policy.incongruent_message.window_ms)


def find(timeline: Timeline, lo: int, hi: int, policy: Policy, customer: str) -> list[Finding]:
    entries, window = timeline.entries, policy.incongruent_message.window_ms
    first = since(entries, lo, window)
    messages = [(j, entry) for j, entry in enumerate(entries[first:hi], first) if _is_message(entry)]
    found = []
    for n, (j, message) in enumerate(messages):
        if j < lo:
            continue
        facts = policy.campaigns.get(message.campaign) if message.campaign else None
        if facts is not None:
            wrong = claims.contradictions(
                claims.of_facts(facts), message.claims, same_campaign=True, against="campaign_facts"
            )
            if wrong:
                found.append(_against_facts(name_at(timeline, j), message, wrong, policy, customer))
        for _, other in reversed(messages[:n]):
            if message.at - other.at >= window:
                break
            same = message.campaign is not None and message.campaign == other.campaign
            wrong = claims.contradictions(other.claims, message.claims, same_campaign=same)
            if wrong:
                found.append(_against_message(name_at(timeline, j), other, message, wrong, policy, customer))
                break
    return found


def _against_message(
    name: str | None, earlier: Entry, message: Entry, wrong: tuple[Contradiction, ...], policy: Policy, customer: str
) -> Finding:
    first = wrong[0]
    reason = (
        f"{name or wording.SOMEONE} read “{first.earlier_quote}” in {wording.contact(earlier)} from {wording.sender(earlier)}"
        f" {wording.when(earlier.at, message.at)} and “{first.later_quote}” in {wording.contact(message)} from"
        f" {wording.sender(message)} {wording.when(message.at, earlier.at)}: the {first.kind} differs."
    )
    proof = [evidence("earlier_message", earlier, first.earlier_quote), evidence("message", message, first.later_quote)]
    rule = (NAME, VERSION)
    return build(
        rule, customer, message, proof, name, policy.incongruent_message.severity, reason, contradictions=wrong
    )


def _against_facts(
    name: str | None, message: Entry, wrong: tuple[Contradiction, ...], policy: Policy, customer: str
) -> Finding:
    first = wrong[0]
    reason = (
        f"{name or wording.SOMEONE} read “{first.later_quote}” in {wording.contact(message)} from {wording.sender(message)}"
        f" on {wording.day(message.at)} at {wording.clock(message.at)},"
        f" but the facts of the campaign '{message.campaign}' are: {first.kind} {first.earlier_quote}."
    )
    proof = [evidence("message", message, first.later_quote)]
    rule = (NAME, VERSION)
    return build(
        rule, customer, message, proof, name, policy.incongruent_message.severity, reason, contradictions=wrong
    )


RULE = Rule(
    NAME,
    VERSION,
    lambda policy: policy.incongruent_message.enabled,
    affected,
    find,
    lambda policy: policy.incongruent_message.window_ms,
)
