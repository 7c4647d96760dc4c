"""Who the customer is: identifiers in normal form, their pseudonymous ids, and which id a person goes by.

Each identifier of a touch (CRM id, mail address, phone, LinkedIn profile, click id, cookie) becomes a *node*: an id made of a rank
digit and a keyed hash of the normal form, such as "c2-9f86d0...". Two identifiers in one touch belong to one person
(`streams.core.identity_graph` has the exceptions). The person goes by the smallest of their nodes, so the strongest identifier decides,
whatever order the touches come in; that id is the `customer_id` of every topic behind this stage. Normal forms: E.164 for
phones (`phonenumbers`), IDNA 2008 and lower case for
mail addresses, https://www.linkedin.com/in/<name> for profiles.
"""

from __future__ import annotations

import hmac
import re
from functools import lru_cache
from urllib.parse import unquote

import idna
import phonenumbers

from streams.core.touch import Customer

RANKS: tuple[tuple[str, str], ...] = (
    ("crm_id", "1"),
    ("email", "2"),
    ("phone", "3"),
    ("linkedin_url", "4"),
    ("click_id", "5"),
    ("cookie_id", "6"),
)
"""Identifiers by trust, strongest first, with the digit that sorts their ids. A CRM record was looked at by a person, an
address is shared at times, a phone more often, a click id belongs to one visit, a cookie to a browser."""

WORDS = {
    "crm_id": "CRM id",
    "email": "mail address",
    "phone": "phone number",
    "linkedin_url": "LinkedIn profile",
    "click_id": "click id",
    "cookie_id": "cookie",
}
"""The kinds of identifiers as people call them."""

_NODE = re.compile(r"c[1-9]-[0-9a-z]{1,64}")

_KINDS = {f"c{digit}": name for name, digit in RANKS}

ROLE_ADDRESSES = frozenset(
    (
        "abuse", "accounting", "accounts", "admin", "administrator", "billing", "careers", "contact",
        "contacto", "do-not-reply", "donotreply", "email", "enquiries", "help", "helpdesk", "hello",
        "hostmaster", "hr", "info", "inquiries", "invoices", "jobs", "kontakt", "mail", "marketing", "media",
        "news", "newsletter", "no-reply", "noc", "noreply", "office", "orders", "postmaster", "press",
        "purchasing", "rechnung", "reception", "sales", "security", "service", "support", "team", "ventas",
        "verkauf", "vertrieb", "webmaster",
    )
)  # fmt: skip
"""Local parts of mail addresses that belong to a role, not to a person: RFC 2142, and what companies print on their pages.
Default of the policy's `identity.role_addresses`."""

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


def is_node(text: str) -> bool:
    """Whether this looks like one of our ids, and so can be no plain address or number."""
    return _NODE.fullmatch(text) is not None


def trust(node_id: str) -> int:
    """How far the kind of identifier that an id stands for is trusted: from 6, a CRM id, down to 1; 0 when it is none of ours."""
    return len(RANKS) + 1 - int(node_id[1]) if kind_of(node_id) is not None else 0


def kind_of(node_id: str) -> str | None:
    """Which kind of identifier (`RANKS`) an id stands for; None when it is none of ours."""
    return _KINDS.get(node_id.partition("-")[0])


@lru_cache(maxsize=65_536)
def email(raw: str, same_mailbox: bool = False) -> str | None:
    """Normal form of a mail address, or None when it is none. Dots and tags are kept: they differ at most providers.

    With `same_mailbox` they are dropped where the provider ignores them: Google delivers d.reyes+news@googlemail.com to
    dreyes@gmail.com (support.google.com/mail/answer/7436150).
    """
    local, at, domain = raw.strip().strip("<>").rpartition("@")
    if not at or not local or any(c.isspace() for c in local) or "@" in local or len(local) > 64:
        return None
    ascii_domain = _ascii_domain(domain)
    if ascii_domain is None:
        return None
    if same_mailbox and ascii_domain in ("gmail.com", "googlemail.com"):
        local, ascii_domain = local.partition("+")[0].replace(".", ""), "gmail.com"
        if not local:
            return None
    return f"{local.lower()}@{ascii_domain}"


@lru_cache(maxsize=65_536)
def _ascii_domain(domain: str) -> str | None:
    """Normal form of a mail domain. Many addresses have the same few, and to encode one takes longer than all else of an address."""
    try:
        ascii_domain = idna.encode(domain.rstrip("."), uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None
    return ascii_domain if "." in ascii_domain else None


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


def identifiers(
    customer: Customer, region: str, roles: frozenset[str] = ROLE_ADDRESSES, same_mailbox: bool = False
) -> tuple[tuple[str, str], ...]:
    """Usable identifiers of a customer as (rank digit, normal form), strongest first. Empty when there is none.

    A mail address whose local part is in `roles` is used only when there is nothing else: the office is a customer of its own, not the
    person whose number came along. So is an address that nobody has confirmed: whoever typed it may have meant another.
    `same_mailbox` takes addresses for one that the provider delivers to one mailbox (see `email`).
    """
    found = []
    for name, digit in RANKS:
        raw = getattr(customer, name)
        if raw is None or _NOTHING.fullmatch(raw.strip()) or _TEMPLATE.fullmatch(raw.strip()):
            continue
        if name == "email":
            value = email(raw, same_mailbox)
        elif name == "phone":
            value = phone(raw, region)
        elif name == "linkedin_url":
            value = linkedin_url(raw)
        else:
            value = _plain(raw)
        if value is not None:
            found.append((digit, value))
    unconfirmed = customer.email_verified is False
    persons = [one for one in found if not (one[0] == "2" and (unconfirmed or is_role_address(one[1], roles)))]
    return tuple(persons or found)


def is_role_address(address: str, roles: frozenset[str] = ROLE_ADDRESSES) -> bool:
    """Whether a mail address in normal form is that of an office: info@, also info+spring@."""
    return address.partition("@")[0].partition("+")[0] in roles


@lru_cache(maxsize=131_072)
def node(digit: str, value: str, key: str) -> str:
    """Pseudonymous id of one identifier: rank digit and 96 bits of HMAC-SHA256 under the installation's key."""
    return f"c{digit}-{hmac.digest(key.encode(), f'{digit}:{value}'.encode('utf-8', 'surrogatepass'), 'sha256').hex()[:24]}"


def account_name(account: str) -> str:
    """The id or domain of a company, in one case."""
    return account.strip().lower()


@lru_cache(maxsize=65_536)
def account_node(account: str, key: str) -> str:
    """Pseudonymous id of a company by its id or domain, in whatever case it is written."""
    said = account_name(account).encode("utf-8", "surrogatepass")
    return f"a-{hmac.digest(key.encode(), b'account:' + said, 'sha256').hex()[:24]}"


def nodes(
    customer: Customer, key: str, region: str, roles: frozenset[str] = ROLE_ADDRESSES, same_mailbox: bool = False
) -> tuple[str, ...]:
    """Ids of all usable identifiers, strongest first; empty when the customer cannot be identified."""
    c = customer
    who = Customer(
        c.email, c.phone, c.linkedin_url, c.crm_id, c.click_id, cookie_id=c.cookie_id, email_verified=c.email_verified
    )
    return _nodes(who, key, region, roles, same_mailbox)


@lru_cache(maxsize=32_768)  # a customer's touches often name the same identifiers
def _nodes(who: Customer, key: str, region: str, roles: frozenset[str], same_mailbox: bool) -> tuple[str, ...]:
    return tuple([node(digit, value, key) for digit, value in identifiers(who, region, roles, same_mailbox)])


def contact_key(customer: Customer, key: str, region: str) -> str | None:
    """Kafka key of a touch as published: the id of its strongest identifier, or None when it has none."""
    ids = nodes(customer, key, region)
    return ids[0] if ids else None
