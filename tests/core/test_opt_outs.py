"""How long contacts went on after an opt-out, from what the rule finds."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core import backtest
from streams.core.opt_outs import latencies
from streams.core.policy import Policy
from streams.core.touch import Customer, Touch

T0, DAY = 1_772_409_600_000, 86_400_000
DANA, BO = Customer(email="dana@example.com"), Customer(email="bo@example.com")


def mail(id_: str, day: int, who: Customer = DANA, **changes: object) -> Touch:
    """A mail of marketing on a day."""
    return replace(Touch(id_, "email", "marketing", "outbound", "sent", T0 + day * DAY, who), **changes)


def no(id_: str, day: int, who: Customer = DANA) -> Touch:
    """The customer unsubscribes from mails."""
    return mail(id_, day, who, direction="inbound", kind="unsubscribed")


def found(*touches: Touch) -> list[backtest.Finding]:
    """What the rules find."""
    result = backtest.run(list(touches), Policy(), id_key="k", region="US", now=T0 + 100 * DAY)
    return backtest.standing({finding.finding_id: finding for finding in result.findings})


def test_the_latency_is_to_the_last_contact_of_any_tool() -> None:
    """Each opt-out with its own contacts: up to the next opt-out, from all departments, in that channel; the longest first."""
    touches = [
        mail("before", 0), no("first", 1), mail("m1", 2), mail("m2", 4, department="sales"), no("again", 5), mail("m3", 6),
        no("bo", 1, BO), mail("b1", 11, BO), mail("call", 30, channel="calls", kind="answered", department="sales"),
    ]  # fmt: skip
    told = latencies(found(*touches))
    assert [(one.touch_id, one.latency_ms // DAY, one.contacts, one.last_touch) for one in told] == [
        ("bo", 10, 1, "b1"),
        ("first", 3, 2, "m2"),
        ("again", 1, 1, "m3"),
    ]
    assert told[1].senders == ("marketing by email", "sales by email")
    assert (told[1].channel, told[1].kind, told[1].at) == ("email", "unsubscribed", T0 + DAY)


def test_what_does_not_hold_any_more_does_not_count() -> None:
    """A retracted or withdrawn conflict is no contact after the opt-out; an opt-out that was heeded is not listed."""
    findings = found(no("first", 1), mail("m1", 2), mail("m2", 4))
    late = [replace(one, state="retracted") if "m2" in one.touch_ids else one for one in findings]
    assert [one.latency_ms // DAY for one in latencies(late)] == [1]
    assert latencies([replace(one, withdrawn=True) for one in findings]) == []
    assert latencies(found(mail("m0", 0), no("first", 1))) == []
