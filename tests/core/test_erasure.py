"""What becomes of touches that come after an erasure, how long Kafka keeps what was there before, and receipts in parts."""

from __future__ import annotations

import itertools

from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.erasure import (
    IDENTITY,
    MARK_SIZES,
    TIMELINE,
    Erasure,
    Fate,
    Receipt,
    dropped,
    erased_at,
    fate,
    folded,
)
from streams.core.govern.check import check, known
from streams.core.govern.records import Contact, Said
from streams.core.policy import ErasurePolicy, Policy
from streams.core.timeline import EMPTY, Timeline, decode, encode

DAY = 86_400_000
AT = 1_772_442_720_000
REFUSE, FRESH = ErasurePolicy("refuse"), ErasurePolicy("fresh")


def test_what_is_dropped_and_what_is_told() -> None:
    """Of refused touches those published by the moment of the erasure are dropped; later ones are told of, unless only old events are
    refused."""
    assert [dropped(AT, at, REFUSE) for at in (AT - 1, AT, AT + 1)] == [True, True, False]
    assert [dropped(AT, at, FRESH) for at in (AT - 1, AT, AT + 1)] == [True, True, True]


def test_a_mark_is_known_without_decoding() -> None:
    """A timeline with nothing but the moment of its erasure says it, also as releases before leads, plans and consent wrote it; one that
    holds anything else, and other bytes, do not."""
    mark = Timeline(erased_at=AT * 1000)
    assert (erased_at(encode(mark)), len(encode(mark))) == (AT * 1000, MARK_SIZES[-1])
    before_leads = bytes.fromhex("01 9c c0 90 90") + encode(mark)[7:-5]
    before_plans = bytes.fromhex("01 9e c0 90 90") + encode(mark)[7:-3]
    before_judged = bytes.fromhex("01 9f c0 90 90") + encode(mark)[7:-2]
    before_consents = bytes.fromhex("01 dc 00 10 c0 90 90") + encode(mark)[7:-1]
    for earlier in (before_leads, before_plans, before_judged, before_consents):
        assert (erased_at(earlier), decode(earlier)) == (AT * 1000, mark)
    entry = Entry(AT, "t-1", "email", "sales", "outbound", "sent")
    others = (
        EMPTY,
        Timeline("c1-a"),
        Timeline("c1-a", erased_at=AT * 1000),
        Timeline(identity_at=AT * 1000),
        Timeline(entries=(entry,), erased_at=AT * 1000),
        Timeline(name="Dana", erased_at=AT * 1000),
        Timeline(plans=(entry,), erased_at=AT * 1000),
    )
    assert [erased_at(encode(other)) for other in others] == [0] * len(others)
    assert [erased_at(data) for data in (b"", b"\x03segment", bytes(MARK_SIZES[1]))] == [0, 0, 0]


def test_when_kafka_has_nothing_left() -> None:
    """A retention ends so much later as a segment may be open; compaction takes closing, compacting, keeping null values, and once more."""
    compact = {"cleanup.policy": "compact", "max.compaction.lag.ms": str(DAY), "delete.retention.ms": str(7 * DAY)}
    assert fate("a", compact, AT) == Fate("a", "compaction", AT + 10 * DAY)
    both = compact | {"cleanup.policy": "compact,delete", "retention.ms": str(400 * DAY)}
    assert fate("a", both, AT) == fate("a", compact, AT), "what got a null value does not stay for the retention"
    assert fate("a", compact | {"segment.ms": "1000"}, AT) == Fate("a", "compaction", AT + 9 * DAY + 1000)
    kept = {"cleanup.policy": "delete", "retention.ms": str(30 * DAY)}
    assert fate("b", kept, AT) == Fate("b", "retention", AT + 37 * DAY)
    assert fate("b", kept | {"segment.ms": str(DAY)}, AT).gone_by == AT + 31 * DAY


def test_parts_make_one_receipt() -> None:
    """An erasure is complete when every timeline that was told has answered; the first record of a part holds; others do not mix in.
    Releases before v3 wrote each part once."""
    identity = Receipt("r", IDENTITY, "c1-a", AT, AT, timelines=("c1-a", "c2-b"))
    one, other = (Receipt("r", TIMELINE, customer, AT, AT, touches=3) for customer in ("c1-a", "c2-b"))
    again = Receipt("r", TIMELINE, "c1-a", AT, AT)
    known = folded(
        [one, Receipt("s", TIMELINE, "c2-b", AT, AT), identity, again, Receipt("r", "newer", "c1-a", AT, AT)]
    )
    assert known["r"] == Erasure(identity, {"c1-a": one})
    assert not known["r"].is_complete and not known["s"].is_complete
    known["r"].add(other)
    assert known["r"].is_complete and known["r"].timelines == {"c1-a": one, "c2-b": other}


def test_a_receipt_is_complete_once_all_is_gone() -> None:
    """Parts that are decided, and not yet gone, make no complete receipt, in whichever order the identity and its timelines are gone; what
    was counted first holds, also when after a crash a part that is gone comes again as decided."""
    identity = Receipt("r", IDENTITY, "c1-a", AT, AT, timelines=("c1-a",), identifiers=2, gone=False)
    timeline = Receipt("r", TIMELINE, "c1-a", AT, AT, touches=3, gone=False)
    one_more = Receipt("r", TIMELINE, "c1-a", AT, AT, gone=False)
    gone = [replace(one, gone=True) for one in (identity, one_more)]
    for some in (gone, gone[::-1]):
        erasure = Erasure()
        for part in (identity, timeline, one_more):
            erasure.add(part)
        complete = []
        for part in (*some, one_more, identity):
            complete.append(erasure.is_complete)
            erasure.add(part)
        assert complete == [False, False, True, True]
        assert erasure == Erasure(replace(identity, gone=True), {"c1-a": replace(timeline, gone=True)})


def test_parts_of_several_partitions_fold_in_any_order() -> None:
    """After a crash with a loss of Redis the identity part may come again under another id, so in another partition, with less left to
    count: what was decided first holds, whichever partition is read first, and either says that it is gone."""
    first = Receipt("r", IDENTITY, "c1-a", AT, AT, timelines=("c1-a",), identifiers=4, gone=False)
    again = Receipt("r", IDENTITY, "c2-b", AT, AT + 1, timelines=("c2-b",), identifiers=1)
    timeline = Receipt("r", TIMELINE, "c1-a", AT, AT, touches=3)
    for parts in itertools.permutations((first, again, timeline)):
        assert folded(parts) == {"r": Erasure(replace(first, gone=True), {"c1-a": timeline})}


def test_who_was_erased_for_good_is_not_to_be_contacted() -> None:
    """A withdrawal goes with the rest, but no check lets a contact pass where touches of the person are refused, too. Where they may start
    anew, or another's touches are there, the mark says nothing."""
    mail = Contact(AT + 5, "email", "marketing")
    marked = Timeline(erased_at=AT * 1000)
    fresh = replace(Policy(), erasure=ErasurePolicy(later_touches="fresh"))
    others = replace(marked, opt_outs=(Entry(AT, "t", "calls", "sales", "inbound", "unsubscribed"),))
    for timeline, policy, allowed in ((marked, Policy(), False), (marked, fresh, True), (others, Policy(), True)):
        history, standing = known(timeline, policy, AT + 5)
        answer = check(history, mail, policy, AT + 5, standing)
        assert answer.allowed is allowed
        said = [(one.rule, one.evidence[0].at, one.evidence[0].said) for one in answer.violations]
        assert said == ([] if allowed else [("consent", AT, Said("withdrawn", "", "erasure", "", ""))])
