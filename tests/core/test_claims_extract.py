"""What is read from messages. The sentences and their claims are data in `claims_read.jsonl`."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core import claims
from streams.core.touch import Claim, Message, Money

SENT = int(dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC).timestamp() * 1000)  # a Monday
CASES = [json.loads(line) for line in (Path(__file__).parent / "claims_read.jsonl").read_text("utf-8").splitlines()]

LANGUAGES = [
    json.loads(line) for line in (Path(__file__).parent / "claims_languages.jsonl").read_text("utf-8").splitlines()
]
PAIRS = {
    "de": (
        "Ab 49 € pro Monat.\nIhr Angebot: 990 €\nAktuell 39 €.",
        "Ab 19 € pro Monat.\nIhr Angebot: 490 €\nAktuell 29 €.",
    ),
    "fr": ("Seulement 49 € par mois.\nPrix : 39 €\nPuis 59 €.", "Seulement 19 € par mois.\nPrix : 29 €\nPuis 69 €."),
    "es": ("Solo 49 € al mes.\nPrecio: 39 €\nDesde 59 €.", "Solo 19 € al mes.\nPrecio: 29 €\nDesde 69 €."),
    "en": ("Currently $39.\nPlus $10.\nPreviously $59.", "Currently $29.\nPlus $20.\nPreviously $69."),
}

# Texts from the parsers' own alphabet reach further than random characters.
PIECES = st.sampled_from(
    re.split(
        " ",
        (
            "$ € 49 1.299,00 1/3 20% a fifth half price off until by end of March 31 2026-02-31 30.02.2026 Pro Team plan : - per /mo"
            " month billed annually save up to from was now , . \n ## free trial 24/7 users Friday in two weeks \x00 \U0001f600 ¼ ٣%"
        ),
    )
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map(" ".join))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40])
def test_reads(case: dict[str, object]) -> None:
    """Each sentence yields exactly its listed claims, in order; those with none are figures that promise nothing."""
    found = claims.extract(Message(text=str(case["text"])), SENT)
    assert [[claim.kind, claim.subject, claim.value] for claim in found] == case["claims"]


@pytest.mark.parametrize("case", LANGUAGES, ids=lambda case: f"{case['language']} {case['text'][:30]}")
def test_reads_four_languages(case: dict[str, object]) -> None:
    """Of sales messages in German, French, Spanish and English the plans that they name are subjects, and no word beside a figure is
    ("Ab 49 €", "Seulement 39 €", "Solo 39 €", "Currently $39")."""
    found = claims.extract(Message(text=str(case["text"])), SENT)
    assert [[claim.kind, claim.subject, claim.value] for claim in found] == case["claims"]


@pytest.mark.parametrize("language", ["de", "fr", "es", "en"])
def test_messages_of_two_campaigns_do_not_contradict_each_other(language: str) -> None:
    """Prices beside ordinary words, in messages about nothing that both name, are no contradiction."""
    told = [claims.extract(Message(text=text), SENT) for text in PAIRS[language]]
    assert all(told) and not claims.contradictions(told[0], told[1], same_campaign=False)


def test_fields() -> None:
    """Price, offer and product fields are claims, quoted as written, and the product is the subject of the text's figures."""
    message = Message(
        text="20% off this week.", offer="The “Spring” Offer", product="Pro plan", price=Money("49.90", "eur")
    )
    assert claims.extract(message, SENT) == (
        Claim("price", "pro", "49.9 EUR", "Pro plan: 49.90 eur"),
        Claim("offer", "pro", "spring offer", "The “Spring” Offer"),
        Claim("discount", "pro", "20%", "20% off this week."),
    )


@pytest.mark.parametrize("amount", ["", "forty", "NaN", "-1", "1e400"])
def test_field_that_is_no_amount(amount: str) -> None:
    """A price field that is no amount claims nothing and does not raise."""
    assert claims.extract(Message(price=Money(amount, "EUR")), SENT) == ()


def test_nothing_said() -> None:
    """No message, an empty one, and one without figures or money words claim nothing."""
    assert claims.extract(None, SENT) == claims.extract(Message(), SENT) == ()
    assert claims.extract(Message(subject="Hello", text="Nice to meet you. See you soon!"), SENT) == ()


def test_quote_is_short_and_shows_the_figure() -> None:
    """A quote from a long sentence has at most 160 characters and contains the figure."""
    text = "and so we thought " * 30 + "that Pro costs $49 a month " + "and so on and so forth " * 30
    (claim,) = claims.extract(Message(text=text), SENT)
    assert len(claim.quote) <= 160
    assert "$49 a month" in claim.quote


def test_number_of_claims_is_bounded() -> None:
    """A message of thousands of prices keeps the first forty claims."""
    text = "\n".join(f"Price: ${n}" for n in range(1, 3000))
    found = claims.extract(Message(text=text), SENT)
    assert [claim.value for claim in found] == [f"{n} USD" for n in range(1, 41)]


def test_relative_dates_follow_the_message() -> None:
    """The same words on two days are two deadlines: the cache does not mix days."""
    message = Message(text="The offer ends tomorrow.")
    later = SENT + 86_400_000
    assert [claims.extract(message, at)[0].value for at in (SENT, later)] == ["2026-03-03", "2026-03-04"]


@given(subject=TEXTS, text=TEXTS, at=st.integers(-(2**62), 2**62))
def test_any_text(subject: str, text: str, at: int) -> None:
    """Any text at any time is read without error, the same twice, with short quotes, and never contradicts itself."""
    message = Message(subject=subject, text=text)
    found = claims.extract(message, at)
    assert claims.extract(Message(subject=subject, text=text), at) == found
    assert all(len(claim.quote) <= 160 and claim.value for claim in found)
    for same_campaign in (True, False):
        assert claims.contradictions(found, found[::-1], same_campaign=same_campaign) == ()


@given(one=TEXTS, other=TEXTS)
def test_order_of_messages(one: str, other: str) -> None:
    """Whether two messages contradict each other does not depend on which came first."""
    a, b = (claims.extract(Message(text=text), SENT) for text in (one, other))
    there = claims.contradictions(a, b, same_campaign=True)
    back = claims.contradictions(b, a, same_campaign=True)
    assert {c.kind for c in there} == {c.kind for c in back}


@pytest.mark.parametrize(
    "text",
    [
        "9" * 20_000,
        "a " * 10_000,
        "$1 " * 7_000,
        "one hundred " * 2_000,
        "Pro " * 5_000,
        "until " * 3_500,
        "(" * 20_000,
    ],
)
def test_hostile_text_is_read(text: str) -> None:
    """Long runs that make backtracking patterns slow are read to the end, with a bounded number of claims."""
    assert len(claims.extract(Message(text=text + " 20% off"), SENT)) <= 40
