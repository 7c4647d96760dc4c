"""How long contacts went on after an opt-out: the proof that a customer's no has reached every tool, or not.

Rests on the conflicts `contact_after_opt_out`, of which there is one for each contact of any tool after an opt-out, with both as
evidence. Who must stop within a time (mailbox providers ask for two days with RFC 8058's one-click; CAN-SPAM for ten business days) reads
it here.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from streams.core.detect import contact_after_opt_out
from streams.core.outcome import Evidence, Finding


class OptOut(Struct, frozen=True):
    """One opt-out after which somebody was contacted. Times in UTC ms. `latency_ms` is from the opt-out to the last such contact;
    `senders` are the departments and channels of the contacts, `last_touch` the last one's id."""

    customer: str
    touch_id: str
    channel: str
    kind: str
    at: int
    contacts: int
    last_at: int
    last_touch: str
    latency_ms: int
    senders: tuple[str, ...]


def parts(finding: Finding) -> tuple[Evidence, Evidence] | None:
    """The opt-out and the contact after it that a finding is about; None when it is about something else."""
    if finding.rule != contact_after_opt_out.NAME:
        return None
    by_role = {one.role: one for one in finding.evidence}
    opt_out, contact = by_role.get("opt_out"), by_role.get("contact")
    return None if opt_out is None or contact is None else (opt_out, contact)


def latencies(findings: Iterable[Finding]) -> list[OptOut]:
    """Of findings that hold, each folded to its newest revision: one entry for each opt-out, the longest latency first."""
    found: dict[tuple[str, str], list[tuple[Evidence, Evidence]]] = {}
    for finding in findings:
        told = parts(finding)
        if told is not None and finding.state != "retracted" and not finding.withdrawn:
            found.setdefault((finding.customer, told[0].touch_id), []).append(told)
    made = []
    for (customer, touch_id), pairs in found.items():
        opt_out = pairs[0][0]
        last = max((contact for _, contact in pairs), key=lambda one: (one.occurred_at, one.touch_id))
        senders = sorted({f"{contact.department} by {contact.channel}" for _, contact in pairs})
        made.append(
            OptOut(
                customer, touch_id, opt_out.channel, opt_out.kind, opt_out.occurred_at, len(pairs), last.occurred_at,
                last.touch_id, last.occurred_at - opt_out.occurred_at, tuple(senders),
            )
        )  # fmt: skip
    return sorted(made, key=lambda one: (-one.latency_ms, one.customer, one.touch_id))
