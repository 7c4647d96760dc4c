"""A question about a contact, and what is seen of the customer when it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from streams.core.entry import Entry
from streams.core.govern.records import Contact, Standing
from streams.gateway.holds import Found
from streams.gateway.people import Person

Gap = Literal["redis_away", "identity_incomplete", "view_incomplete", "view_behind", "reservations_incomplete"]


class Ask(Struct, frozen=True):
    """One question. `ids` are the node ids of the customer, `account` the pseudonymous id of the company, None where nobody said which."""

    ids: tuple[str, ...]
    contact: Contact
    standing: Standing
    account: str | None = None


class Freshness(Struct, frozen=True):
    """Up to when the view has everything (UTC ms), and how many records wait, of the partition that is furthest behind."""

    fresh_at: int
    lag: int


class Seen(Struct, frozen=True):
    """What a check looks at. `ask` is the question, with the company if the customer's touches name one. `gaps` is empty when all could be
    seen."""

    ask: Ask
    person: Person
    history: Sequence[Entry]
    standing: Standing
    found: Found
    freshness: Freshness | None
    gaps: tuple[Gap, ...]
