"""The facts of a campaign in the policy, as claims, so that a message is compared with them like with another message."""

from __future__ import annotations

from functools import lru_cache

from streams.core.claims import offers, subjects
from streams.core.claims.figures import as_percent, as_price
from streams.core.policy import CampaignFacts
from streams.core.touch import Claim


@lru_cache(maxsize=1024)
def of_facts(facts: CampaignFacts) -> tuple[Claim, ...]:
    """What a campaign promises: claims in the order price, discount, deadline, offer; the quotes are the policy's words.

    Raises:
        ValueError: a fact does not parse; `check_facts` says so beforehand.
    """
    subject = subjects.of_product(facts.product)
    found = []
    if facts.price is not None:
        found.append(Claim("price", subject, _price(facts.price), facts.price))
    if facts.discount is not None:
        found.append(Claim("discount", subject, _discount(facts.discount), facts.discount))
    if facts.deadline is not None:
        found.append(Claim("deadline", subject, facts.deadline.isoformat(), facts.deadline.isoformat()))
    if facts.offer is not None:
        found.append(Claim("offer", subject, _offer(facts.offer), facts.offer))
    return tuple(found)


def check_facts(facts: CampaignFacts) -> str | None:
    """What is wrong with a campaign's facts and what is allowed, in one sentence; None when they can be used."""
    try:
        of_facts(facts)
    except ValueError as error:
        return str(error)
    return None


def _price(text: str) -> str:
    price = as_price(text.strip())
    if price is None:
        raise ValueError(f"price {text!r} is not an amount with a currency; write it like '49 EUR' or '49 EUR/month'")
    return str(price)


def _discount(text: str) -> str:
    percent = as_percent(text.strip())
    if percent is not None:
        return f"{percent:f}%"
    price = as_price(text.strip())
    if price is None or price.period or price.unit:
        raise ValueError(f"discount {text!r} is neither a percentage nor an amount; write it like '20%' or '15 EUR'")
    return f"{price.amount:f} {price.currency}"


def _offer(text: str) -> str:
    name = offers.normal(text)
    if not name:
        raise ValueError(f"offer {text!r} has no letters or figures; write the offer's name, like 'Spring offer'")
    return name
