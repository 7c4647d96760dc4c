"""The book: any order, any repetition, versions folded, customers as in the backtest."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import backtest
from streams.core.identify import nodes
from streams.core.ledger.book import Book, Resolved
from streams.core.ledger.types import Cost, Deal
from streams.core.policy import IdentityPolicy, Policy
from streams.core.touch import Customer, Money, Touch
from tests.ledger import strategies
from tests.ledger.books import ID_KEY, REGION, resolved
from tests.support import histories

DANA = Customer(email="dana@example.com")
MAIL = Touch("mail", "email", "marketing", "outbound", "sent", strategies.START, DANA)
DEAL = Deal("opp", DANA, "won", strategies.START, strategies.START + 1, Money("5", "EUR"))


@settings(max_examples=40, deadline=None)
@given(
    strategies.touches(), strategies.deals(), strategies.costs(), strategies.leads(), st.randoms(use_true_random=False)
)
def test_order_and_repetition_change_nothing(touches, deals, costs, leads, rng: random.Random) -> None:  # type: ignore[no-untyped-def]
    """Shuffled, and with some records given twice, the book says the same."""

    def mixed(records: list) -> list:  # type: ignore[type-arg]
        again = [*records, *(rng.choices(records, k=3) if records else [])]
        rng.shuffle(again)
        return again

    def said(book: Resolved) -> bytes:
        return msgspec.json.encode(book, order="sorted")

    shuffled = resolved(mixed(touches), mixed(deals), mixed(costs), mixed(leads))
    assert said(shuffled) == said(resolved(touches, deals, costs, leads))


def test_customers_are_the_backtests() -> None:
    """Thousands of touches, with customers that are linked late, belong to the customers that the backtest says."""
    touches = list(histories.stream(seed=3, customers=120, count=3000))
    found = resolved(touches).touches
    said = backtest.run(touches, Policy(), id_key=ID_KEY, region=REGION, now=touches[-1].occurred_at + 10**9).timelines
    assert {customer: [touch.touch_id for touch in of_one] for customer, of_one in found.items()} == {
        customer: [entry.id for entry in timeline.entries] for customer, timeline in said.items() if timeline.entries
    }


def test_the_highest_version_counts() -> None:
    """A corrected touch, deal and cost replace the earlier ones, a deleted one is gone, in whatever order they come."""
    moved, gone = replace(MAIL, version=2, occurred_at=MAIL.occurred_at + 5), replace(MAIL, version=3, deleted=True)
    more = replace(DEAL, version=2, amount=Money("7", "EUR"))
    cost = Cost("ads", "marketing", "ad_spend", 20_000, 20_010, Money("3", "EUR"))
    for touches in ([MAIL, moved], [moved, MAIL]):
        (of_one,) = resolved(touches, [more, DEAL], [replace(cost, version=2, deleted=True), cost]).touches.values()
        assert [touch.at for touch in of_one] == [moved.occurred_at]
    book = resolved([gone, MAIL, moved], [more, DEAL], [replace(cost, version=2, deleted=True), cost])
    assert (book.touches, book.costs) == ({}, [])
    assert [deal.amount for deal, _ in book.deals] == [Money("7", "EUR")]
    assert resolved([], [replace(DEAL, version=2, deleted=True), DEAL]).deals == []


def test_two_contents_of_one_version_are_told_and_decided_alike() -> None:
    """Of two deals with one id and version the same one counts in every order, and the book says that they clash."""
    for deals in ([DEAL, replace(DEAL, owner="kim")], [replace(DEAL, owner="kim"), DEAL]):
        book = Book(IdentityPolicy(), ID_KEY, REGION)
        for deal in deals:
            book.add_deal(deal)
        assert book.problems == [
            "deal opp: version 1 stands there with two contents; give the later one a higher version"
        ]
        assert [deal.owner for deal, _ in book.resolve().deals] == ["kim"]


def test_who_cannot_be_identified_is_told() -> None:
    """A touch, a deal and a lead event of nobody are left out and named."""
    nobody = Customer(email="null")
    book = Book(IdentityPolicy(), ID_KEY, REGION)
    book.add_touch(replace(MAIL, customer=nobody))
    book.add_deal(replace(DEAL, customer=nobody))
    assert book.problems == [f"{what}: the customer has no usable identifier" for what in ("touch mail", "deal opp")]
    assert book.resolve().touches == {}


def test_a_deal_links_its_customers_identifiers() -> None:
    """A deal that names CRM id and address makes one customer of the touches under either, as a touch would."""
    call = replace(MAIL, touch_id="call", customer=Customer(crm_id="003-7"))
    both = replace(DEAL, customer=Customer(crm_id="003-7", email="dana@example.com"))
    assert len(resolved([MAIL, call]).touches) == 2
    found = resolved([MAIL, call], [both])
    ((customer, touches),) = found.touches.items()
    assert [touch.touch_id for touch in touches] == ["call", "mail"]
    assert found.deals == [(both, customer)]
    assert len(found.identifiers[customer]) == 2


def test_every_identifier_of_a_customer_decides() -> None:
    """A customer field that changes who a touch's customer is changes it in the book too: none is forgotten."""
    fields = set(Customer.__struct_fields__) - {"name", "time_zone", "country"}
    one = Customer("a@example.com", "+14152000001", "https://www.linkedin.com/in/a", "003-1", "g-1", cookie_id="ck-1")
    for field in sorted(fields):
        other = replace(one, **{field: False if field == "email_verified" else None})
        assert nodes(one, ID_KEY, REGION) != nodes(other, ID_KEY, REGION), field
        touches = [replace(MAIL, touch_id=name, customer=who) for name, who in (("one", one), ("other", other))]
        ids = {touch.touch_id: touch.view.ids for of_one in resolved(touches).touches.values() for touch in of_one}  # type: ignore[attr-defined]
        assert ids == {touch.touch_id: nodes(touch.customer, ID_KEY, REGION) for touch in touches}
