"""Erasure (GDPR article 17): what becomes of touches that come later, the mark that is left of a timeline, and the receipt.

What is erased is not gone from Kafka at once. A compacted topic loses it when Kafka compacts, a topic with a retention when that ends;
`fate` says when. Until then, and for touches that are still on their way, marks tell what was before the erasure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from streams.core.consent import Consent
from streams.core.entry import Entry
from streams.core.outcome import Finding
from streams.core.policy import ErasurePolicy
from streams.core.timeline import Timeline, encode

IDENTITY, TIMELINE = "identity", "timeline"
"""The parts of a receipt."""

DETAIL = (
    "the person was erased after a request, and the policy refuses touches that come later (erasure.later_touches); the payload is not"
    " kept here. Have the source erase the person, too; if it is a new start of theirs, set erasure.later_touches to fresh"
)
"""What a dead letter says of a touch of somebody who was erased."""

ERASURE = "erasure"
"""The source of the refusal that is left of somebody who was erased."""

WITHDRAWN = "Withdrawn: what was held of the customer was erased."
"""The reason of a finding of somebody who was erased."""

SEGMENT_MS = 7 * 86_400_000
"""Kafka's default of `segment.ms`: after so long a segment is closed, so that it can be deleted or compacted."""


class Fate(Struct, frozen=True, gc=False):
    """What becomes of a person's earlier records in one topic: "compaction" or "retention", and by when nothing is left (UTC ms)."""

    topic: str
    how: str
    gone_by: int


class Receipt(Struct, frozen=True, gc=False):
    """One part of what was erased, as in `schemas/erasure`. Times are UTC ms; `timelines` are the customer ids that answer with a part
    of their own. `gone` is whether Kafka has all that takes the part out. It holds nothing of the person but pseudonymous ids."""

    request_id: str
    part: str
    customer_id: str
    requested_at: int
    done_at: int
    requested_by: str | None = None
    identifiers: int = 0
    log_records: int = 0
    timelines: tuple[str, ...] = ()
    touches: int = 0
    findings: int = 0
    segments: int = 0
    topics: tuple[Fate, ...] = ()
    reservations: int = 0
    gone: bool = True


class Erasure(Struct):
    """One erasure: the parts of its receipt that are there, the timelines' by customer id."""

    identity: Receipt | None = None
    timelines: dict[str, Receipt] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether all of it is gone: the identity's part, and that of every timeline that was told."""
        if self.identity is None or not self.identity.gone:
            return False
        return set(self.identity.timelines) <= {id_ for id_, part in self.timelines.items() if part.gone}

    def add(self, receipt: Receipt) -> None:
        """Of several records of one part that which was decided first holds, whatever the order of partitions; any of them says that it
        is gone. A request that is read again after a crash finds less to count, and a Redis that was lost meanwhile another id."""
        if receipt.part == IDENTITY:
            self.identity = _folded(self.identity, receipt)
        elif receipt.part == TIMELINE:
            self.timelines[receipt.customer_id] = _folded(self.timelines.get(receipt.customer_id), receipt)


def _folded(first: Receipt | None, later: Receipt) -> Receipt:
    if first is None:
        return later
    holds = later if later.done_at < first.done_at else first
    return replace(holds, gone=first.gone or later.gone)


def blank(finding: Finding) -> Finding:
    """A finding that says nothing of anybody any more."""
    handoff = finding.handoff and replace(finding.handoff, components=(), recent_campaigns=())
    return replace(finding, customer_name=None, reason=WITHDRAWN, evidence=(), contradictions=(), handoff=handoff)


def folded(receipts: Iterable[Receipt]) -> dict[str, Erasure]:
    """Erasures by request id. Parts of one customer id must come in the order of their partition, those of several in any."""
    known: dict[str, Erasure] = {}
    for receipt in receipts:
        known.setdefault(receipt.request_id, Erasure()).add(receipt)
    return known


def is_erased(timeline: Timeline, at: int, since: int, happened: int, policy: ErasurePolicy) -> bool:
    """Whether what was looked up at the moment `at` (identity index's clock, us) was erased since; what had left before the erasure, at
    `since`, was not. What was decided without the index (0) goes by when it happened, unless who was erased is refused for good."""
    by = at or (0 if policy.for_good else happened)
    return by <= timeline.erased_at > 0 and not at < since <= timeline.erased_at


def refusal(timeline: Timeline, policy: ErasurePolicy) -> Consent | None:
    """What is left of somebody who was erased, where later touches are refused for good: they are not to be contacted, whatever they had
    agreed to before. None where nobody was erased, or something else is known."""
    t = timeline
    if not (t.erased_at and policy.for_good) or t.merged_into or t.entries or t.opt_outs or t.plans or t.consents:
        return None
    return Consent("withdrawn", t.erased_at // 1000, source=ERASURE)


def happened_at(at: int, published_at: int) -> int:
    """When something happened by the clock of erasures (us), from UTC ms: the earlier one, so that neither a plan nor a producer's clock
    that is ahead is of later."""
    return min(at, published_at) * 1000


def may_return(entry: Entry, timeline: Timeline) -> bool:
    """Whether the entry may have been here before an erasure of the timeline, which forgot the revisions: it had left for the customer id
    from which it comes back now."""
    return timeline.erased_at > 0 and happened_at(entry.at, entry.published_at) <= timeline.erased_at


def dropped(erased_at: int, published_at: int, policy: ErasurePolicy) -> bool:
    """Whether a refused touch of somebody who was erased at `erased_at` goes without a word (UTC ms); else a dead letter says `DETAIL`.

    What was published before the erasure is what it was about. Where later touches start afresh, only old events are refused: an import
    of last year's history must not bring last year's history back.
    """
    return published_at <= erased_at or not policy.for_good


_NUMBER = (1 << 40).to_bytes(8)
_BEFORE, _BEHIND = encode(Timeline(erased_at=1 << 40)).split(_NUMBER)
_FIXARRAY, _ARRAY16 = 0x90, 3
"""MessagePack's head of a short array, to which its length is added, and the size of that of a longer one."""
_BEFORE_LEADS, _BEFORE_PLANS, _BEFORE_JUDGED, _BEFORE_CONSENTS = 12, 14, 15, 16
"""Fields of a timeline as earlier releases wrote marks: without those that stand at the end now, of which each is a byte when empty."""


def _mark(fields: int) -> tuple[bytes, bytes]:
    """What stood before and behind the moment in a mark of so many fields."""
    short = fields < 1 << 4
    head = bytes([_FIXARRAY + fields]) if short else _BEFORE[1:2] + fields.to_bytes(2)
    return _BEFORE[:1] + head + _BEFORE[1 + _ARRAY16 :], _BEHIND[: fields - _BEFORE_LEADS]


_MARKS = (
    *map(_mark, (_BEFORE_LEADS, _BEFORE_PLANS, _BEFORE_JUDGED, _BEFORE_CONSENTS)),
    (_BEFORE, _BEHIND),
)
"""What stands before and behind the moment in a mark, of the oldest releases first."""

MARK_SIZES = tuple(len(before) + 8 + len(behind) for before, behind in _MARKS)
"""Bytes of a timeline of which nothing is left but the moment of its erasure."""


def erased_at(data: bytes) -> int:
    """The moment (identity index's clock, us) of an encoded timeline that only says when it was erased; 0 of any other."""
    for before, behind in _MARKS:
        if len(data) == len(before) + 8 + len(behind) and data.startswith(before) and data.endswith(behind):
            return int.from_bytes(data[len(before) : len(before) + 8])
    return 0


def fate(topic: str, config: Mapping[str, str], at: int) -> Fate:
    """What becomes of records of a topic with these settings that were superseded, or written at the latest, at `at` (UTC ms).

    Compaction: the segment is closed within the maximal compaction lag, compacted within another, and the null values go with the first
    compaction after `delete.retention.ms`. Retention: a segment goes when its newest record is old enough, which may be as much newer
    than ours as a segment is open. Kafka's documentation, "Topic configs" and "Log compaction".
    """
    segment = int(config.get("segment.ms", SEGMENT_MS))
    if "compact" in config.get("cleanup.policy", "").split(","):
        lag = int(config["max.compaction.lag.ms"])
        return Fate(topic, "compaction", at + min(lag, segment) + lag + int(config["delete.retention.ms"]) + lag)
    return Fate(topic, "retention", at + int(config["retention.ms"]) + segment)
