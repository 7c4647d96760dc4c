"""What leads to a deal: calls are one contact, as the rules count them, and the look-back has exact ends."""

from __future__ import annotations

from streams.core import pipeline
from streams.core.detect.base import contacts as rule_contacts
from streams.core.entry import entry_of
from streams.core.ledger.journeys import before, contacts, touch_points
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.types import DAY_MS, JourneyTouch
from streams.core.policy import Policy
from tests.ledger.books import resolved
from tests.support import histories


def call(minute: int, kind: str, interaction: str | None = None, actor: str = "ann") -> JourneyTouch:
    """A phase of a call."""
    at = minute * 60_000
    return JourneyTouch(at, f"{kind}-{minute}", "sales", "calls", None, actor, "person", "outbound", kind, interaction)


def test_contacts_are_those_of_the_rules() -> None:
    """In a dense history the ledger counts exactly the contacts that `detect` sees, customer by customer."""
    touches = list(histories.touches(seed=9, customers=12, count=4000, days=3))
    by_id = {touch.touch_id: touch for touch in touches}
    joined = 0
    for customer, of_one in resolved(touches).touches.items():
        entries = [entry_of(pipeline.identify(by_id[touch.touch_id], customer, 0)) for touch in of_one]
        expected = [entry.id for _, entry in rule_contacts(entries, 0, len(entries), 10**12, Policy())]
        found = [touch.touch_id for touch in contacts(of_one, LedgerPolicy())]
        assert found == expected
        joined += sum(touch.kind in ("dialed", "answered", "voicemail") for touch in of_one) - sum(
            by_id[id_].channel == "calls" for id_ in found
        )
    assert joined > 20, "the history has calls in several phases"


def test_phases_of_a_call_are_one_touch_point() -> None:
    """Dialed and answered are one; an hour later, or the same phase again, is another; an interaction id holds for a day."""
    calls = [
        call(0, "dialed"),
        call(1, "answered"),
        call(3, "dialed"),
        call(63, "answered"),
        call(2000, "dialed", "x"),
        call(3000, "answered", "x"),
    ]
    assert [touch.touch_id for touch in touch_points(calls, LedgerPolicy())] == [
        "dialed-0",
        "dialed-3",
        "answered-63",
        "dialed-2000",
    ]


def test_what_counts_as_a_touch_point() -> None:
    """Contacts, the customer's own calls and the policy's reactions do; deliveries, opens and unanswered calls do not."""
    kinds = {
        "sent": "outbound", "delivered": "outbound", "opened": "inbound", "clicked": "inbound", "replied": "inbound",
        "answered": "inbound", "no_answer": "outbound", "lead_form": "inbound", "impression": "outbound", "meeting": "inbound",
    }  # fmt: skip
    touches = [
        JourneyTouch(n, kind, "sales", "email", None, None, None, direction, kind)
        for n, (kind, direction) in enumerate(kinds.items())
    ]
    counted = [touch.kind for touch in touch_points(touches, LedgerPolicy())]
    assert counted == ["sent", "clicked", "replied", "answered", "lead_form", "meeting"]
    assert [touch.kind for touch in touch_points(touches, LedgerPolicy(reactions=("opened",)))] == [
        "sent",
        "opened",
        "answered",
    ]


def test_the_look_back_has_exact_ends() -> None:
    """A touch at the moment of the close counts, one at the far end of the look-back too, a millisecond beyond either not."""
    close, back = 100 * DAY_MS, 90 * DAY_MS
    points = [
        JourneyTouch(at, str(at), "sales", "email", None, None, None, "outbound", "sent")
        for at in (close - back - 1, close - back, close, close + 1)
    ]
    assert [touch.at for touch in before(points, close, LedgerPolicy())] == [close - back, close]
