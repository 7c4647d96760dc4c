"""The finding `identity_conflict`: one identifier, two CRM records. They stay two customers until a person decides.

It follows the facts of the identity log: "blocked" detects it, "acted" is somebody who acts on it, "ended" retracts it, or withdraws it
when somebody acts on it. So its revisions are 1, 2 and 3, or 1 and 2, and one more when one of the two is erased.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.erasure import blank
from streams.core.identify import WORDS, kind_of
from streams.core.identity_facts import Conflict, Fact, decode_conflict
from streams.core.ids import finding_id
from streams.core.outcome import Cause, Evidence, Finding, Severity

RULE = "identity_conflict"
VERSION = 2


def withdrawn(fact: Fact, severity: Severity, request_id: str, acted: bool = False) -> Finding | None:
    """What is left of the finding of a fact "blocked" when one of the two is erased; `acted`: somebody acts on it."""
    told = finding(fact, severity)
    return told and replace(
        blank(told), state="retracted", revision=3 if acted else 2, cause=Cause("erasure", request_id)
    )


def finding(fact: Fact, severity: Severity) -> Finding | None:
    """What a fact "blocked", "acted" or "ended" tells people, or None when the log does not know the touch that caused it (a log mended by
    hand).

    A pure function of the fact, so that whoever reports it publishes the same bytes.
    """
    said = decode_conflict(fact)
    touch = said.conflict
    if touch is None:
        return None
    customer, other = sorted(fact.customers)
    what = WORDS.get(kind_of(fact.b) or "", "identifier")
    told = Finding(
        finding="conflict",
        rule=RULE,
        rule_version=VERSION,
        finding_id=finding_id(RULE, VERSION, f"{fact.a}|{fact.b}", (touch.touch_id,)),
        revision=1,
        state="detected",
        customer=customer,
        customer_name=None,
        touch_ids=(touch.touch_id,),
        event_time=touch.occurred_at,
        severity=severity,
        reason=(
            f"Two CRM records, {customer} and {other}, were seen with the same {what} ({fact.b}): they are kept apart."
            f" If they are one person, say so: `touchstream identity merge {customer} {other}`, and merge the records in the CRM; if not,"
            f" correct the record that has the wrong one, and say so: `touchstream identity split {customer} {other}`."
        ),
        evidence=(Evidence("link", touch.touch_id, touch.occurred_at, touch.channel, touch.department, touch.kind),),
        cause=Cause("touch", touch.touch_id),
    )
    if said.acted is not None:
        by, cause = said.acted.requested_by, Cause("acknowledgement", said.acted.command_id)
        told = replace(told, revision=2, state="amended", acknowledged_by=by, cause=cause)
    return _ended(told, said) if fact.kind == "ended" else told


def _ended(told: Finding, said: Conflict) -> Finding:
    """The conflict does not hold any more: its last revision, with why."""
    if said.request is not None:
        cause = Cause("split", said.request.command_id, said.request.reason or None)
        reason = f": {said.request.reason}" if said.request.reason else ""
        why = f"{said.request.requested_by} decided who is who{reason}"
    elif said.joined is not None:
        cause = Cause("merge", said.joined.command_id, said.joined.reason or None)
        reason = f": {said.joined.reason}" if said.joined.reason else ""
        why = f"{said.joined.requested_by} decided that they are one person{reason}"
    elif said.touch is not None:
        cause, why = Cause("split", said.touch.touch_id), "an identifier that held them together is many people's"
    else:
        cause, why = Cause("merge", told.touch_ids[0]), "another touch had linked the two before"
    acted = told.acknowledged_by is not None
    customers = told.reason.partition(": they are kept apart")[0]
    return replace(
        told,
        revision=told.revision + 1,
        state="amended" if acted else "retracted",
        withdrawn=acted,
        reason=f"{customers}. It is no conflict any more: {why}",
        cause=cause,
    )
