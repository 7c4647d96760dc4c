"""What may come out: findings for people and tools downstream, and rejected input with its address.

Findings are folded by `finding_id`: the record with the highest `revision` is the truth. Their content is a pure function
of the touches and the policy, so a replay re-emits the same bytes.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from streams.core.touch import Origin

FindingState = Literal["detected", "amended", "retracted"]
Severity = Literal["low", "medium", "high"]
CauseKind = Literal[
    "touch", "late_touch", "correction", "deletion", "merge", "split", "erasure", "acknowledgement"
]  # fmt: skip
RejectReason = Literal[
    "undecodable", "unknown_schema", "too_large", "not_a_touch", "no_identifier", "occurred_in_future", "too_old",
    "id_conflict", "unknown_event", "broken_record", "wrong_channel", "unroutable", "erased",
]  # fmt: skip


class Cause(Struct, frozen=True, gc=False, omit_defaults=True):
    """What made a revision of a finding. `id` is that of the touch, or of the command; `reason` why, as who asked for a split said."""

    kind: CauseKind
    id: str
    reason: str | None = None


class Evidence(Struct, frozen=True, gc=False, omit_defaults=True):
    """One touch that a finding rests on, and the part it plays ("contact", "earlier_contact", "opt_out", "message", ...).

    `label` is what a person would call the message: its offer, else its subject, else its campaign.
    """

    role: str
    touch_id: str
    occurred_at: int
    channel: str
    department: str
    kind: str
    actor: str | None = None
    campaign: str | None = None
    label: str | None = None
    quote: str | None = None


class Contradiction(Struct, frozen=True, gc=False):
    """Two statements that cannot both be true, with both quotes. `against` is "message" or "campaign_facts"."""

    kind: str
    subject: str
    earlier_value: str
    earlier_quote: str
    later_value: str
    later_quote: str
    against: str


class ScoreComponent(Struct, frozen=True, gc=False):
    """The part one kind of touch has in an engagement score, decayed to the moment of the hand-off."""

    kind: str
    touches: int
    points: float


class FitComponent(Struct, frozen=True, gc=False):
    """Points that a `[[handoff.fit]]` of the policy gives for what the customer is. They do not decay."""

    name: str
    points: float


class Handoff(Struct, frozen=True, gc=False, omit_defaults=True):
    """Marketing hands a customer to sales: why now, with what history, by when. `score` is the sum of `components` and `fit`."""

    trigger: Literal["score", "request"]
    score: float
    threshold: float
    components: tuple[ScoreComponent, ...]
    crossing_touch: str
    recent_campaigns: tuple[str, ...]
    due_at: int
    fit: tuple[FitComponent, ...] = ()


class Finding(Struct, frozen=True, gc=False):
    """A conflict or a hand-off. `touch_ids` are sorted; `event_time` is that of the touch that made it true (UTC ms).

    `acknowledged_by` is who acts on it. Such a finding is never retracted: when it does not hold any more it is amended and `withdrawn`.
    """

    finding: Literal["conflict", "handoff"]
    rule: str
    rule_version: int
    finding_id: str
    revision: int
    state: FindingState
    customer: str
    customer_name: str | None
    touch_ids: tuple[str, ...]
    event_time: int
    severity: Severity
    reason: str
    evidence: tuple[Evidence, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    handoff: Handoff | None = None
    cause: Cause | None = None
    acknowledged_by: str | None = None
    withdrawn: bool = False


class Rejected(Struct, frozen=True, gc=False):
    """Input that cannot go on, as a value. `payload` are the bytes as they came (never altered); `detail` says in one
    sentence what is wrong and what to do; `origin` is its place in Kafka, `line` its place in an imported file."""

    reason: RejectReason
    detail: str
    stage: str
    payload: bytes
    origin: Origin | None = None
    key: bytes | None = None
    source: str | None = None
    line: int | None = None
