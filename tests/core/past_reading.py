"""What the oracles read in a touch: whom it names, and what its message promises. Written apart from the core, for the small worlds of
the tests: what stands in no such world is an error here, not a guess."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

from streams.core.policy import CampaignFacts
from streams.core.touch import Customer, Touch

ROLES = ("info", "sales", "office")
NOTHING = ("", "0000", "null")


class Promise(NamedTuple):
    """What a message says of a product, "" when it does not say of which."""

    kind: str
    subject: str
    value: str


def names(customer: Customer, id_key: str) -> tuple[str, ...]:
    """Pseudonyms of the usable identifiers, strongest first: CRM id, mail address, phone, LinkedIn profile, click id, cookie. An office's
    address names nobody who has any other identifier."""
    plain = (
        customer.crm_id, _mail(customer.email), _phone(customer.phone), _profile(customer.linkedin_url),
        customer.click_id, customer.cookie_id,
    )  # fmt: skip
    found = [(str(rank), said) for rank, said in enumerate(plain, 1) if said and said.strip().lower() not in NOTHING]
    persons = [one for one in found if one[0] != "2" or one[1].split("@")[0] not in ROLES]
    return tuple(_pseudonym(rank, said, id_key) for rank, said in persons or found)


def _pseudonym(rank: str, said: str, id_key: str) -> str:
    return f"c{rank}-" + hmac.new(id_key.encode(), f"{rank}:{said}".encode(), hashlib.sha256).hexdigest()[:24]


def _mail(said: str | None) -> str | None:
    return said.strip().lower() if said and "@" in said else None


def _phone(said: str | None) -> str | None:
    """Numbers of the United States, and such as have their country's code."""
    digits = "".join(c for c in said or "" if c.isdigit())
    if said and said.strip().startswith("+"):
        return f"+{digits}"
    return f"+1{digits}" if len(digits) == 10 else None


def _profile(said: str | None) -> str | None:
    found = re.search(r"linkedin\.com/in/([^/?]+)", said or "", re.IGNORECASE)
    return f"https://www.linkedin.com/in/{found[1].lower()}" if found else None


def promises(touch: Touch) -> list[Promise]:
    """Prices by the month, percentages off, and offers by name."""
    message = touch.message
    if message is None:
        return []
    text, subject = message.text or "", message.subject or ""
    found = [Promise("price", one[0].lower(), f"{one[1]} EUR/month") for one in _PRICE.findall(text)]
    found += [Promise("discount", one[1].lower(), f"{one[0]}%") for one in _DISCOUNT.findall(text)]
    if re.search(r"\d", _PRICE.sub("", _DISCOUNT.sub("", text))):
        raise AssertionError(f"no oracle reads this: {text}")
    offer = message.offer or (subject if subject.endswith(" offer") else None)
    return [*found, *([Promise("offer", "", offer.lower())] if offer else [])]


_PRICE = re.compile(r"the (\w+) plan is €(\d+) per month", re.IGNORECASE)
_DISCOUNT = re.compile(r"(\d+)% off the (\w+) plan", re.IGNORECASE)


def promised(facts: CampaignFacts) -> list[Promise]:
    """What the policy says that a campaign promises."""
    subject = (facts.product or "").lower()
    found = [Promise("price", subject, facts.price)] if facts.price else []
    return [*found, *([Promise("offer", subject, facts.offer.lower())] if facts.offer else [])]


def contradict(one: list[Promise], other: list[Promise], same_campaign: bool) -> bool:
    """Whether both cannot be true: of one kind and one product, or, within a campaign, of a product that one of them leaves out, and
    different, while nothing that the other side says agrees."""

    def meet(a: Promise, b: Promise) -> bool:
        named = bool(a.subject and b.subject)
        return a.kind == b.kind and (a.subject == b.subject if named else same_campaign)

    return any(
        meet(a, b) and not any(meet(c, d) and c.value == d.value for c in one for d in other if c.kind == a.kind)
        for a in one
        for b in other
    )
