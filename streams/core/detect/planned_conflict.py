"""Planned touches that would break a rule of the policy's `[[rules]]` if they were made as planned: told early enough to act.

One conflict for each plan, with all rules that it would break: against touches that were made, and against the customer's other plans,
of which each has its own finding. It is amended as plans and touches change, and retracted when nothing hinders the plan any more, when it
is withdrawn, made, or past. Judged are plans up to `planned.horizon_days` ahead of the customer's clock, by the rules that a timeline can
tell, whether they are found after the fact or not: also by who has the customer's lead, or their account, now. It is no rule of
`detect.RULES`, whose findings belong to touches that were made.
"""

from __future__ import annotations

from streams.core import wording
from streams.core.consent import Consent
from streams.core.detect.base import build, evidence, is_contact, name_at
from streams.core.entry import DELETED, Entry, is_opt_out, newest_name
from streams.core.govern import compiled as ready
from streams.core.govern.check import each, known
from streams.core.govern.reasons import Reason
from streams.core.govern.ruling import Hit, Ruling
from streams.core.govern.scene import Scene
from streams.core.outcome import Evidence, Finding, Severity
from streams.core.policy import Policy
from streams.core.timeline import Timeline

NAME, VERSION = str(Reason.PLANNED_CONFLICT), 1

_SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")


def clock(timeline: Timeline) -> int:
    """How late it is for the customer (UTC ms): the time of the newest touch or of the newest plan's publication, or what a timer said."""
    newest = timeline.entries[-1].at if timeline.entries else timeline.floor[0]
    told = timeline.judged.clock if timeline.judged is not None else 0
    return max(newest, told, max((plan.published_at for plan in timeline.plans), default=0))


def find(timeline: Timeline, policy: Policy, customer: str) -> list[Finding]:
    """The findings of all plans of a timeline, as first detected, by the plans' times."""
    if not (timeline.plans and policy.planned.enabled):
        return []
    plans = tuple(plan for plan in timeline.plans if plan.kind != DELETED and is_contact(plan))
    until = clock(timeline) + policy.planned.horizon_ms
    if not plans or plans[0].at > until:
        return []
    compiled = ready.of(policy, "plans")
    # What lies beyond the reach of any rule tells nothing of the others, and "no date" may be one at the end of time.
    plans = tuple(plan for plan in plans if plan.at <= until + compiled.reach_ms)
    history, standing = known(timeline, policy, plans[0].at)
    return [
        _finding(hits, plan, scene, timeline, customer)
        for plan, hits, scene in each(compiled, history, plans, standing)
        if hits and plan.at <= until and isinstance(plan, Entry)
    ]


def bare(plan: Entry, timeline: Timeline, customer: str) -> Finding:
    """A finding that was told of a plan, without what another policy had against it."""
    name = plan.name or timeline.name
    reason = "By another policy, the plan broke rules."
    return build(
        (NAME, VERSION), customer, plan, [evidence("planned", plan)], name, "low", reason, touch_ids=(plan.id,)
    )


def _finding(hits: list[tuple[Ruling, Hit]], plan: Entry, scene: Scene, timeline: Timeline, customer: str) -> Finding:
    name = name_at(timeline, len(timeline.entries) - 1) if timeline.entries else timeline.name
    name = name or plan.name or newest_name(timeline.plans)
    whys = [(ruling.rule.name, ruling.text(hit, plan, plan.at, scene)) for ruling, hit in hits]
    against = "; and the rule ".join(f"'{rule}': {why[0].lower()}{why[1:].rstrip('.')}" for rule, why in whys)
    reason = (
        f"{name or wording.SOMEONE} is to get {wording.contact(plan)} from {wording.sender(plan)} on {wording.day(plan.at)}"
        f" at {wording.clock(plan.at)}, against the rule {against}."
    )
    planned = {other.id for other in timeline.plans}
    proof: dict[str, Evidence] = {}
    for _, hit in hits:
        for one in hit.proof:
            if isinstance(one, Entry | Consent):
                proof.setdefault(one.id, evidence(_role(one, planned), one))
    shown = sorted(proof.values(), key=lambda one: (one.occurred_at, one.touch_id))
    severity = max((ruling.rule.severity for ruling, _ in hits), key=_SEVERITIES.index)
    rule = (NAME, VERSION)
    return build(
        rule, customer, plan, [*shown, evidence("planned", plan)], name, severity, reason, touch_ids=(plan.id,)
    )


def _role(one: Entry | Consent, planned: set[str]) -> str:
    if isinstance(one, Consent):
        return "consent"
    if one.id in planned:
        return "other_plan"
    if is_opt_out(one):
        return "opt_out"
    return "earlier_contact" if is_contact(one) else "reaction"
