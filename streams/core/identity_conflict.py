"""The finding `identity_conflict`: one identifier, two CRM records. They stay two customers until a person decides."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.erasure import blank
from streams.core.identify import WORDS, kind_of
from streams.core.identity_facts import Fact, decode_cause
from streams.core.ids import finding_id
from streams.core.outcome import Cause, Evidence, Finding, Severity

RULE = "identity_conflict"
VERSION = 1


def withdrawn(fact: Fact, severity: Severity, request_id: str) -> Finding | None:
    """What is left of the finding when one of the two is erased."""
    told = finding(fact, severity)
    return told and replace(blank(told), state="retracted", revision=2, cause=Cause("erasure", request_id))


def finding(fact: Fact, severity: Severity) -> Finding | None:
    """What a blocked link tells people, or None when the log does not know the touch that caused it (a log mended by hand).

    A pure function of the fact, so that whoever reports it publishes the same bytes.
    """
    cause = decode_cause(fact)
    if cause is None:
        return None
    customer, other = sorted(fact.customers)
    what = WORDS.get(kind_of(fact.b) or "", "identifier")
    return Finding(
        finding="conflict",
        rule=RULE,
        rule_version=VERSION,
        finding_id=finding_id(RULE, VERSION, customer, (other, fact.b)),
        revision=1,
        state="detected",
        customer=customer,
        customer_name=None,
        touch_ids=(cause.touch_id,),
        event_time=cause.occurred_at,
        severity=severity,
        reason=(
            f"Two CRM records, {customer} and {other}, were seen with the same {what} ({fact.b}): they are kept apart."
            " If they are one person, merge the records in the CRM; if not, correct the record that has the wrong one."
        ),
        evidence=(Evidence("link", cause.touch_id, cause.occurred_at, cause.channel, cause.department, cause.kind),),
    )
