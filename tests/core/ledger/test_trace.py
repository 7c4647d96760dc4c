"""Why figures changed: every difference is explained to the cent, by the records that made it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.trace import WORDS, Cause, CauseKind, Change, compare
from streams.core.ledger.types import DAY_MS, Cost, Deal
from streams.core.touch import Customer, Money, Touch
from tests.ledger import strategies
from tests.ledger.books import ledger
from tests.ledger.strategies import START

DANA, DANAS_PHONE = Customer(email="dana@example.com"), Customer(phone="+14152000000")
DEAL = Deal("opp", DANA, "won", START, START + 40 * DAY_MS, Money("100", "EUR"), "ann")
MAIL = Touch("mail", "email", "marketing", "outbound", "sent", START + DAY_MS, DANA, campaign="spring")
CALL = Touch("call", "calls", "sales", "outbound", "answered", START + 2 * DAY_MS, DANA)
ADS = Cost("ads", "marketing", "ad_spend", START // DAY_MS, START // DAY_MS + 91, Money("92", "EUR"), "ads")


def of(
    changes: tuple[Change, ...], measure: str, dimension: str = "department"
) -> dict[str, tuple[int, int, tuple[Cause, ...]]]:
    """The changes of one measure by key: before, after, causes."""
    return {
        change.key: (change.before, change.after, change.causes)
        for change in changes
        if (change.measure, change.dimension) == (measure, dimension)
    }


def test_a_late_touch_moves_credit() -> None:
    """A call that comes late takes half of the linear credit from marketing; the revenue stays; the call is named."""
    changes = compare(ledger([MAIL], [DEAL]), ledger([MAIL, CALL], [DEAL]))
    assert of(changes, "credit.linear") == {
        "marketing": (100_00, 50_00, (Cause("late_touch", "deal opp", ("call",), -50_00),)),
        "sales": (0, 50_00, (Cause("late_touch", "deal opp", ("call",), 50_00),)),
    }
    assert of(changes, "credit.first") == of(changes, "revenue", "all") == {}
    assert {change.month for change in changes} == {"2026-08"}


def test_customers_that_turn_out_to_be_one() -> None:
    """The call was made to a number of which nobody knew that it is Dana's. Once a touch links the two, the cause is the merge."""
    call = replace(CALL, customer=DANAS_PHONE)
    link = replace(
        MAIL,
        touch_id="opened",
        kind="opened",
        direction="inbound",
        customer=Customer(email=DANA.email, phone=DANAS_PHONE.phone),
    )
    changes = compare(ledger([MAIL, call], [DEAL]), ledger([MAIL, call, link], [DEAL]))
    assert of(changes, "credit.last")["sales"] == (
        0,
        100_00,
        (Cause("customers_merged", "deal opp", ("call",), 100_00),),
    )
    back = compare(ledger([MAIL, call, link], [DEAL]), ledger([MAIL, call], [DEAL]))
    assert of(back, "credit.last")["sales"] == (100_00, 0, (Cause("customers_split", "deal opp", ("call",), -100_00),))


def test_corrected_deals() -> None:
    """An amount that was corrected, a deal won since, one withdrawn, one moved to another month: each is told as what it is."""
    before = ledger([MAIL], [DEAL])

    def after(*deals: Deal) -> dict[str, tuple[int, int, tuple[Cause, ...]]]:
        changes = compare(before, ledger([MAIL], deals))
        return {
            f"{change.month} {change.key}": (change.before, change.after, change.causes)
            for change in changes
            if change.measure == "revenue" and change.dimension == "rep"
        }

    assert after(replace(DEAL, version=2, amount=Money("90", "EUR"))) == {
        "2026-08 ann": (100_00, 90_00, (Cause("deal_corrected", "deal opp", (), -10_00),))
    }
    other = replace(DEAL, deal_id="more", owner="bo")
    assert after(DEAL, other) == {"2026-08 bo": (0, 100_00, (Cause("deal_won", "deal more", (), 100_00),))}
    assert after() == {"2026-08 ann": (100_00, 0, (Cause("deal_withdrawn", "deal opp", (), -100_00),))}
    moved = after(replace(DEAL, closed_at=DEAL.closed_at + 30 * DAY_MS))  # type: ignore[operator]
    assert moved == {
        "2026-08 ann": (100_00, 0, (Cause("deal_corrected", "deal opp", (), -100_00),)),
        "2026-09 ann": (0, 100_00, (Cause("deal_corrected", "deal opp", (), 100_00),)),
    }


def test_corrected_touches_and_costs() -> None:
    """A touch whose campaign was corrected, a touch deleted, a cost corrected month by month."""
    before = ledger([MAIL, CALL], [DEAL], [ADS])
    renamed = compare(before, ledger([replace(MAIL, version=2, campaign="summer"), CALL], [DEAL], [ADS]))
    assert of(renamed, "credit.first", "campaign") == {
        "spring": (100_00, 0, (Cause("touch_corrected", "deal opp", ("mail",), -100_00),)),
        "summer": (0, 100_00, (Cause("touch_corrected", "deal opp", ("mail",), 100_00),)),
    }
    deleted = compare(before, ledger([MAIL, replace(CALL, version=2, deleted=True)], [DEAL], [ADS]))
    assert of(deleted, "credit.last")["sales"] == (
        100_00,
        0,
        (Cause("touch_withdrawn", "deal opp", ("call",), -100_00),),
    )
    dearer = compare(before, ledger([MAIL, CALL], [DEAL], [replace(ADS, version=2, amount=Money("184", "EUR"))]))
    assert {change.month: change.delta for change in dearer if change.dimension == "all"} == {
        "2026-07": 31_00,
        "2026-08": 31_00,
        "2026-09": 30_00,
    }
    assert {cause.record for change in dearer for cause in change.causes} == {"cost ads"}


def test_a_deal_that_is_corrected_and_touched_late() -> None:
    """The amount is corrected and a call comes late: each has its own part of the difference. Where the deal is closed on another day, what
    its look-back gains or loses by that alone belongs to the correction."""
    before = ledger([MAIL], [DEAL])
    dearer = replace(DEAL, version=2, amount=Money("80", "EUR"))
    changes = compare(before, ledger([MAIL, CALL], [dearer]))
    assert of(changes, "credit.linear") == {
        "marketing": (
            100_00, 40_00,
            (Cause("deal_corrected", "deal opp", (), -20_00), Cause("late_touch", "deal opp", ("call",), -40_00)),
        ),
        "sales": (0, 40_00, (Cause("late_touch", "deal opp", ("call",), 40_00),)),
    }  # fmt: skip
    sooner = replace(DEAL, version=2, closed_at=CALL.occurred_at - 1)
    changes = compare(ledger([MAIL, CALL], [DEAL]), ledger([MAIL, CALL], [sooner]))
    assert {cause.kind for change in changes for cause in change.causes} == {"deal_corrected"}


def test_another_policy_is_named() -> None:
    """The same records under another look-back: the cause is the policy, not a touch."""
    changes = compare(
        ledger([MAIL, CALL], [DEAL]),
        ledger([MAIL, CALL], [DEAL], policy=LedgerPolicy(position_ends=0.3, half_life_days=1)),
    )
    assert {cause.kind for change in changes for cause in change.causes} == {"policy"}


def test_what_a_model_learned_elsewhere_is_named() -> None:
    """New journeys of others change what Markov gives for this deal: the cause is the model."""
    third = Touch("ad", "ads", "marketing", "inbound", "ad_click", START + 3 * DAY_MS, DANA)
    lost = [replace(CALL, touch_id=f"c{n}", customer=Customer(email=f"n{n}@example.com")) for n in range(3)]
    won = [replace(MAIL, touch_id=f"w{n}", customer=Customer(email=f"w{n}@example.com")) for n in range(2)]
    others = [replace(DEAL, deal_id=f"w{n}", customer=Customer(email=f"w{n}@example.com")) for n in range(2)]
    before = ledger([MAIL, CALL, third, *won], [DEAL, *others])
    changes = compare(before, ledger([MAIL, CALL, third, *won, *lost], [DEAL, *others]))
    assert {(change.measure, cause.kind) for change in changes for cause in change.causes} == {
        ("credit.markov", "model")
    }


@settings(max_examples=40, deadline=None)
@given(strategies.touches(), strategies.deals(), strategies.costs(), st.randoms(use_true_random=False))
def test_every_difference_is_explained_to_the_cent(touches, deals, costs, rng) -> None:  # type: ignore[no-untyped-def]
    """Between any two states of knowledge the causes of each change sum to its difference; the same state has no change."""
    before = ledger(*(rng.sample(part, rng.randint(0, len(part))) for part in (touches, deals, costs)))
    after = ledger(touches, deals, costs)
    for change in compare(before, after):
        assert change.delta and sum(cause.delta for cause in change.causes) == change.delta
        assert all(cause.kind in WORDS for cause in change.causes)
        if change.measure != "spend":
            assert all(cause.kind != "touch_costs" for cause in change.causes)
    assert compare(after, after) == ()


def test_every_cause_has_words() -> None:
    """Each kind of cause can be told to people."""
    from typing import get_args

    assert set(WORDS) == set(get_args(CauseKind))
