"""Which periods are reckoned anew, and what is published of them."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.ledger import books, facts, records, totals
from streams.core.ledger.facts import Fact, Facts
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.totals import Figure, Total
from streams.core.ledger.types import Cost, Stage
from streams.core.policy import IdentityPolicy
from streams.core.touch import Customer, IdentifiedTouch, Money, Touch
from tests.core.ledger.test_records import COST, DEAL, line
from tests.ledger import books as files

POLICY = LedgerPolicy()
SPEND: Figure = ("EUR", "spend", "all", "all")
REVENUE: Figure = ("EUR", "revenue", "all", "all")


class Published:
    """What a ledger has published, given its facts."""

    def __init__(self) -> None:
        self.known = Facts()
        self.totals: defaultdict[str, dict[Figure, Total]] = defaultdict(dict)

    def cost(self, **changes: object) -> None:
        """A cost, then a reckoning."""
        self.known.take(facts.of_cost(records.cost(line(COST, **changes))))
        self.reckon()

    def deal(self, **changes: object) -> None:
        """A deal, then a reckoning."""
        fact = facts.of_deal(records.deal(line(DEAL, **changes)), IdentityPolicy(), files.ID_KEY, files.REGION)
        assert fact is not None
        self.known.take(fact)
        self.reckon()

    def reckon(self) -> list[str]:
        """The labels of the periods that were reckoned."""
        span = self.known.spanned()
        assert span is not None
        resolved = books.resolve(self.known)
        found = totals.affected(span, resolved, POLICY.lookback_days, totals.standing(self.totals))
        for period in found:
            for one in totals.revised(self.totals[period.label], compute(resolved, period, POLICY), None):
                self.totals[period.label][one.place[1:]] = one
        return [period.label for period in found]

    def values(self, figure: Figure) -> dict[str, float]:
        """A figure by quarter, where it is not nothing."""
        return {
            label: float(of_period[figure].value)
            for label, of_period in sorted(self.totals.items())
            if "Q" in label and figure in of_period and float(of_period[figure].value)
        }


def test_a_corrected_day_takes_its_figures_along() -> None:
    """A cost that was entered until 2027 and corrected to end in 2026 stands in 2026 only; so does one that is withdrawn nowhere."""
    ledger = Published()
    ledger.cost(first_day="2026-07-01", last_day="2027-06-30")
    assert list(ledger.values(SPEND)) == ["2026-Q3", "2026-Q4", "2027-Q1", "2027-Q2"]
    ledger.cost(first_day="2026-07-01", last_day="2026-07-31", version=2)
    assert ledger.values(SPEND) == {"2026-Q3": 20000}
    ledger.cost(first_day="2026-07-01", last_day="2026-07-31", version=3, deleted=True)
    assert ledger.values(SPEND) == {}


def test_a_corrected_deal_stands_once() -> None:
    """A won deal whose `closed_at` was the year 2036 and is corrected stands in the new quarter only, also for a process that recalls
    the correction and what was published, but did not come to reckon it."""
    for recalled in (False, True):
        ledger = Published()
        ledger.deal(closed_at="2036-08-25T12:00:00Z")
        assert ledger.values(REVENUE) == {"2036-Q3": 200000}
        if recalled:
            ledger.known = Facts()
            ledger.known.span = facts.ALWAYS
        ledger.deal(closed_at="2026-08-25T12:00:00Z", version=3)
        assert ledger.values(REVENUE) == {"2026-Q3": 200000}


def test_a_period_that_is_nothing_rests() -> None:
    """A published period that has no record and no figure any more is not reckoned again; one that the change cannot reach neither."""
    ledger = Published()
    ledger.deal(closed_at="2036-08-25T12:00:00Z")
    ledger.cost()
    assert "2036-Q3" in ledger.values(REVENUE)
    ledger.deal(closed_at="2026-08-25T12:00:00Z", version=3)
    ledger.known.span = facts.ALWAYS
    assert "2036-Q3" not in ledger.reckon()


def test_only_periods_with_records_are_reckoned() -> None:
    """Two costs far apart make the periods that hold them, and none between; a cost without an end, as an older release took it, makes
    ten years of months at most."""
    ledger = Published()
    ledger.cost()
    ledger.cost(cost_id="late", first_day="2036-02-01", last_day="2036-03-31")
    ledger.known.span = facts.ALWAYS
    assert ledger.reckon() == ["2026-07", "2036-02", "2036-03", "2026-Q3", "2036-Q1"]
    endless = Cost("endless", "sales", "tool", 20635, 2932896, Money("100", "EUR"))
    known = books.resolve(Facts([facts.of_cost(endless)]))
    assert len(totals.affected(facts.ALWAYS, known, 90)) < 170


DAY = 86_400_000
JANUARY = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


def mail(id_: str, day: int, own: str, customer: str, clock: int) -> IdentifiedTouch:
    """A mail to an identifier, whose customer was looked up at a moment."""
    touch = Touch(id_, "email", "marketing", "outbound", "sent", JANUARY + day * DAY, Customer(crm_id=own))
    return IdentifiedTouch(customer, touch, (), touch.occurred_at, identifier=own, resolved_at=clock)


def test_a_merge_reckons_its_customers_time_only() -> None:
    """Two customers of whom there is something in May turn out to be one: May is reckoned anew; January,
    in which others were written to, is not."""
    ledger = Published()
    for n, (day, own) in enumerate(((3, "c"), (130, "a"), (131, "b"))):
        for fact in facts.of_touch(mail(f"t{n}", day, own, own, n)):
            ledger.known.take(fact)
    ledger.reckon()
    ledger.known.take(facts.HomeFact("b", "a", 9))
    assert ledger.known.changed
    assert ledger.reckon() == ["2026-05", "2026-Q2"]
    ledger.known.take(facts.HomeFact("nobody", "x", 10))
    ledger.known.take(facts.HomeFact("nobody", "y", 11))
    assert ledger.known.changed and ledger.known.spanned() is None and not ledger.known.changed


def test_a_deal_changes_the_time_from_its_opening() -> None:
    """An open deal is an opportunity on the day on which it was opened; when that day, or that of its closing, is corrected, what lies
    between the earlier and the later ones is reckoned anew."""
    known = Facts()
    for n, (opened, closed, first, last) in enumerate([
        (40, None, 40, 40), (160, None, 40, 160), (160, 220, 160, 220), (100, 200, 100, 220), (100, None, 100, 200),
    ], 1):  # fmt: skip
        at = JANUARY + opened * DAY
        end = None if closed is None else JANUARY + closed * DAY
        stage: Stage = "open" if closed is None else "won"
        known.take(facts.DealFact("d", n, False, ("a",), stage, at, end, Money("10.00", "EUR"), None))
        assert known.spanned() == (JANUARY + first * DAY, JANUARY + last * DAY)
    assert "2026-Q2" in [one.label for one in totals.affected(facts.ALWAYS, books.resolve(known), 90)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from("abcd"), st.sampled_from("abcd"), st.booleans()),
        min_size=1,
        max_size=14,
    )
)
def test_figures_are_those_of_a_ledger_that_reckons_everything(told: list[tuple[int, str, str, bool]]) -> None:
    """Touches, deals and decisions on whose identifiers are whose, each reckoned by itself: the figures of all periods are as if everything
    had been reckoned at the end."""
    ledger = Published()
    for n, (day, own, customer, sold) in enumerate(told):
        some: list[Fact] = list(facts.of_touch(mail(f"t{n}", day, own, customer, n)))
        if sold:
            at = JANUARY + (day + 20) * DAY
            some.append(
                facts.DealFact(f"d{n}", 1, False, (own, customer), "won", at - DAY, at, Money("10.00", "EUR"), "ann")
            )
        for fact in some:
            ledger.known.take(fact)
        if ledger.known.changed:
            ledger.reckon()
    was = {label: {figure: one.value for figure, one in held.items()} for label, held in ledger.totals.items()}
    ledger.known.span = facts.ALWAYS
    ledger.reckon()
    assert was == {label: {figure: one.value for figure, one in held.items()} for label, held in ledger.totals.items()}
