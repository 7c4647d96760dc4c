"""Who the customer is: identifiers in normal form, their pseudonymous ids, and which id a person goes by.

Each identifier of a touch (CRM id, mail address, phone, LinkedIn profile, click id) becomes a *node*: an id made of a rank
digit and a keyed hash of the normal form, such as "c2-9f86d0...". Two identifiers in one touch belong to one person. The person
goes by the smallest of their nodes, so the strongest identifier decides, whatever order the touches come in; that id is the
`customer_id` of every topic behind this stage. Normal forms: E.164 for phones (`phonenumbers`), IDNA 2008 and lower case for
mail addresses, https://www.linkedin.com/in/<name> for profiles.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import unquote

import idna
import phonenumbers
from msgspec import Struct

from streams.core.touch import Customer

RANKS: tuple[tuple[str, str], ...] = (
    ("crm_id", "1"),
    ("email", "2"),
    ("phone", "3"),
    ("linkedin_url", "4"),
    ("click_id", "5"),
)
"""Identifiers by trust, strongest first, with the digit that sorts their ids. A CRM record was looked at by a person, an
address is shared at times, a phone more often, a click id belongs to a browser."""

# What forms and trackers write when they know nothing; as an identifier it would make one person of many.
_NOTHING = re.compile(
    r"[0\-_.\s]*|-1|null|none|nil|nan|undefined|unknown|anonymous|#?n/?a|test|\(?not[ _](?:set|provided)\)?",
    re.IGNORECASE,
)
# A template that nobody filled in, such as {gclid}, {{contact.id}}, ${id} or %%email%%.
_TEMPLATE = re.compile(r"\$?\{.*\}|%%.*%%|\[\[.*\]\]", re.DOTALL)
_PROFILE = re.compile(
    r"^(?:https?://)?(?:[a-z]{2,3}\.)?(?:www\.|m\.)?linkedin\.com/(?:mwlite/)?"
    r"(?:in/([^/?#\s]+)|pub/([^/?#\s]+/[0-9a-f]+/[0-9a-f]+/[0-9a-f]+))(?=[/?#\s]|$)",
    re.IGNORECASE,
)


@lru_cache(maxsize=65_536)
def email(raw: str) -> str | None:
    """Normal form of a mail address, or None when it is none. Dots and tags are kept: they differ at most providers."""
    local, at, domain = raw.strip().strip("<>").rpartition("@")
    if not at or not local or any(c.isspace() for c in local) or "@" in local or len(local) > 64:
        return None
    try:
        ascii_domain = idna.encode(domain.rstrip("."), uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None
    if "." not in ascii_domain:
        return None
    return f"{local.lower()}@{ascii_domain}"


@lru_cache(maxsize=65_536)
def phone(raw: str, region: str) -> str | None:
    """E.164 form of a phone number, or None when it cannot be one. `region` is used for numbers without a country code.

    A number without its area code is none: many people have it. An extension stays, as in RFC 3966 ("+14155550100;ext=5"):
    those who share a switchboard are not one person.
    """
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{e164};ext={number.extension}" if number.extension else e164


def linkedin_url(raw: str) -> str | None:
    """Canonical URL of a public LinkedIn profile, or None: no country subdomain, query or trailing slash, lower case.

    The old form /pub/<name>/1/2/3 keeps its numbers, which tell namesakes apart; without them it is a list of namesakes.
    """
    match = _PROFILE.match(raw.strip())
    if match is None:
        return None
    path = f"in/{match[1]}" if match[1] else f"pub/{match[2]}"
    return f"https://www.linkedin.com/{unquote(path).lower()}"


def _plain(raw: str) -> str | None:
    value = raw.strip()
    return value if value and len(value) <= 512 else None


def identifiers(customer: Customer, region: str) -> tuple[tuple[str, str], ...]:
    """Usable identifiers of a customer as (rank digit, normal form), strongest first. Empty when there is none."""
    found = []
    for name, digit in RANKS:
        raw = getattr(customer, name)
        if raw is None or _NOTHING.fullmatch(raw.strip()) or _TEMPLATE.fullmatch(raw.strip()):
            continue
        if name == "email":
            value = email(raw)
        elif name == "phone":
            value = phone(raw, region)
        elif name == "linkedin_url":
            value = linkedin_url(raw)
        else:
            value = _plain(raw)
        if value is not None:
            found.append((digit, value))
    return tuple(found)


@lru_cache(maxsize=131_072)
def node(digit: str, value: str, key: str) -> str:
    """Pseudonymous id of one identifier: rank digit and 96 bits of HMAC-SHA256 under the installation's key."""
    return f"c{digit}-{hmac.digest(key.encode(), f'{digit}:{value}'.encode('utf-8', 'surrogatepass'), 'sha256').hex()[:24]}"


def nodes(customer: Customer, key: str, region: str) -> tuple[str, ...]:
    """Ids of all usable identifiers, strongest first; empty when the customer cannot be identified."""
    return tuple(node(digit, value, key) for digit, value in identifiers(customer, region))


def contact_key(customer: Customer, key: str, region: str) -> str | None:
    """Kafka key of a touch as published: the id of its strongest identifier, or None when it has none."""
    ids = nodes(customer, key, region)
    return ids[0] if ids else None


class Link(Struct, frozen=True, gc=False):
    """Two ids of one person, as the identity log keeps them. `loser` is set when a customer that may already have a
    timeline goes by another id from now on. A link of a node to itself says only that the node is in use."""

    a: str
    b: str
    loser: str | None = None


class Resolved(Struct, frozen=True, gc=False):
    """The customer of one touch, and the links that the log does not hold yet for sure."""

    customer_id: str
    links: tuple[Link, ...] = ()


def resolve_alone(ids: Sequence[str]) -> Resolved:
    """The customer by the touch's own identifiers only, for when the index is away.

    Every other identifier is reported as a possible loser: its timeline, if it has one, moves or tells where it went. So a
    touch decided without the index still ends up with its customer.
    """
    winner = min(ids)
    others = tuple(Link(winner, other, loser=other) for other in ids if other != winner)
    return Resolved(winner, (Link(winner, winner), *others))


class Graph:
    """Identifiers and the links between them, in memory: what Redis holds for the workers, for backtests and rebuilds.

    >>> graph = Graph()
    >>> graph.link(("c3-b", "c2-a")), graph.link(("c1-c", "c3-b"))
    ('c2-a', 'c1-c')
    >>> graph.find("c2-a")
    'c1-c'
    """

    def __init__(self, links: Iterable[tuple[str, str]] = ()) -> None:
        self._parent: dict[str, str] = {}
        for pair in links:
            self.link(pair)

    def find(self, node_id: str) -> str:
        """The id that this one's person goes by; the id itself when it is unknown."""
        root = node_id
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while node_id != root:  # the next look-up takes one step
            node_id, self._parent[node_id] = self._parent.get(node_id, root), root
        return root

    def link(self, ids: Sequence[str]) -> str:
        """Make one person of these ids; returns the id they go by from now on."""
        roots = {self.find(node_id) for node_id in ids}
        winner = min(roots)
        for root in roots:
            self._parent[root] = winner
        return winner
