"""`double_contact`: two departments reach one customer within a day, in any channel.

One finding for each contact that follows a contact of another department less than `window_hours` before. Exactly the window
apart is no conflict. Contacts at the same millisecond are ordered by touch id.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.core import wording
from streams.core.detect.base import Rule, build, contacts, evidence, is_contact, name_at, until, until_calls_end
from streams.core.entry import Entry
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import Timeline
from streams.core.touch import CALL_KINDS

NAME, VERSION = "double_contact", 1


def affected(entries: Sequence[Entry], i: int, policy: Policy) -> tuple[int, int] | None:
    if not is_contact(entries[i]):
        return None
    hi = i + 1
    if entries[i].kind in CALL_KINDS:
        hi = until_calls_end(entries, i, policy)
    return i, until(entries, hi - 1, policy.double_contact.window_ms)


def find(timeline: Timeline, lo: int, hi: int, policy: Policy, customer: str) -> list[Finding]:
    window = policy.double_contact.window_ms
    latest: dict[str, Entry] = {}
    found = []
    for j, contact in contacts(timeline.entries, lo, hi, window, policy):
        if j >= lo:
            earlier = [e for d, e in latest.items() if d != contact.department and contact.at - e.at < window]
            if earlier:
                name = name_at(timeline, j)
                found.append(_finding(name, contact, sorted(earlier, key=lambda e: (e.at, e.id)), policy, customer))
        latest[contact.department] = contact
    return found


def _finding(name: str | None, contact: Entry, earlier: list[Entry], policy: Policy, customer: str) -> Finding:
    times = [e.at for e in (*earlier, contact)]
    got = [f"{wording.contact(e)} from {wording.sender(e)} {wording.when(e.at, *times)}" for e in (*earlier, contact)]
    later = wording.span(contact.at - earlier[-1].at)
    reason = f"{name or wording.SOMEONE} got {wording.listed(got)}, {later} later."
    proof = [*(evidence("earlier_contact", e) for e in earlier), evidence("contact", contact)]
    return build((NAME, VERSION), customer, contact, proof, name, policy.double_contact.severity, reason)


RULE = Rule(
    NAME,
    VERSION,
    lambda policy: policy.double_contact.enabled,
    affected,
    find,
    lambda policy: policy.double_contact.window_ms,
)
