"""LinkedIn messages as CRMs log them; LinkedIn itself gives nobody a salesperson's messages.

HubSpot: communications of type LINKEDIN_MESSAGE (developers.hubspot.com, CRM objects, "Communications"), read with
`associations=contacts`. HubSpot keeps no direction; what is logged counts as a message to the customer.

Salesforce: closed tasks that Sales Navigator's activity write-back makes. Its subjects begin with or hold "LinkedIn"
or "InMail", but the rest is wording that differs between releases and organisations, so it is read by its words.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from streams.core.ids import touch_id
from streams.core.ingest.base import (
    Defaults,
    Ignored,
    Json,
    Unusable,
    epoch_ms,
    flag,
    get,
    iso_ms,
    needed,
    objects,
    text,
)
from streams.core.touch import Account, Actor, Customer, Direction, Kind, Message, Touch

_LINKEDIN = re.compile(r"\b(?:linkedin|inmail|sales navigator)\b", re.IGNORECASE)
# What else Sales Navigator writes: the words that tell a note or a view of a shared document from a message.
_NO_MESSAGE = re.compile(r"\b(?:notes?|smart ?links?|pointdrive|phone call|call logged|tags?)\b", re.IGNORECASE)
_REPLY = re.compile(r"\b(?:repl(?:y|ied)|response|responded|inmail accepted)\b", re.IGNORECASE)
_INVITATION = re.compile(r"\b(?:connection request|invitation|invite)\b", re.IGNORECASE)
_SEPARATOR = re.compile(r":\s+|\s+[-–|]\s+")
_BARE = re.compile(r"\s*linkedin(?:\s+sales\s+navigator)?\s*", re.IGNORECASE)
_PLANNED = frozenset({"not started", "in progress", "waiting on someone else", "deferred", "open"})
_BLOCKS = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3"})


def is_hubspot(values: Json) -> bool:
    """Whether a record is a HubSpot communication, to judge by its fields."""
    properties = values.get("properties")
    return isinstance(properties, dict) and "hs_communication_channel_type" in properties


def is_salesforce(values: Json) -> bool:
    """Whether a record is a Salesforce task, to judge by its type or its fields."""
    attributes = values.get("attributes")
    return (isinstance(attributes, dict) and attributes.get("type") == "Task") or ("Id" in values and "WhoId" in values)


def hubspot(values: Json, defaults: Defaults) -> tuple[Touch | Ignored, ...]:
    """One communication; a touch for each contact it is associated with."""
    id_ = needed(values, "id")
    channel = needed(values, "properties", "hs_communication_channel_type")
    if channel != "LINKEDIN_MESSAGE":
        return (Ignored(f"{channel[:60]}: not a LinkedIn message"),)
    if flag(values, "archived"):
        return (Ignored("archived: deleted in HubSpot"),)
    contacts = [needed(contact, "id") for contact in objects(values, "associations", "contacts", "results")]
    if not contacts:
        raise Unusable(
            "associations.contacts: missing, so nobody was touched; read the records with associations=contacts",
            "no_identifier",
        )
    stamp = get(values, "properties", "hs_timestamp")
    at = (
        iso_ms(stamp, "hs_timestamp") if isinstance(stamp, str) and "-" in stamp else epoch_ms(stamp, 1, "hs_timestamp")
    )
    owner = text(values, "properties", "hubspot_owner_id")
    body = text(values, "properties", "hs_communication_body")
    return tuple(
        _touch(
            "hubspot",
            (id_, contact),
            "outbound",
            "message_sent",
            at,
            Customer(crm_id=contact),
            defaults,
            owner,
            None,
            None,
            body,
        )
        for contact in dict.fromkeys(contacts)
    )


def salesforce(values: Json, defaults: Defaults) -> tuple[Touch | Ignored, ...]:
    """One task."""
    id_ = needed(values, "Id")
    subject = text(values, "Subject") or ""
    label = f"{_heading(subject)} {text(values, 'Type') or ''}"
    if not _LINKEDIN.search(label):
        return (Ignored("task: not about LinkedIn"),)
    if _NO_MESSAGE.search(label):
        return (Ignored(f"task: {subject[:60]!r} is no message"),)
    status = text(values, "Status") or ""
    if values.get("IsClosed") is False or status.lower() in _PLANNED:
        return (Ignored(f"task: {status or 'open'}, so not done yet"),)
    who = text(values, "WhoId")
    if who is None:
        raise Unusable("WhoId: missing, so nobody was touched; link the task to its contact or lead", "no_identifier")
    done = text(values, "CompletedDateTime") or text(values, "CreatedDate")
    if done is None:
        raise Unusable("CreatedDate: missing, and ActivityDate has no hour; add CreatedDate to the query")
    direction: Direction = "outbound"
    kind: Kind = "message_sent"
    if _REPLY.search(label):
        direction, kind = "inbound", "replied"
    elif _INVITATION.search(label):
        kind = "connection_request"
    customer = Customer(email=text(values, "Who", "Email"), crm_id=who, name=text(values, "Who", "Name"))
    account = text(values, "AccountId")
    # Reports write 15 characters of an id where the API writes 18; the first 15 are the id.
    touch = _touch(
        "salesforce", (id_[:15],), direction, kind, iso_ms(done, "CreatedDate"), customer, defaults,
        text(values, "OwnerId"), text(values, "Owner", "Name"), subject, text(values, "Description"), account,
    )  # fmt: skip
    return (touch,)


def _heading(subject: str) -> str:
    """The part of a task's subject that Sales Navigator writes, without the message's own subject behind it."""
    parts = _SEPARATOR.split(subject, maxsplit=2)
    return " ".join(parts[:2] if _BARE.fullmatch(parts[0]) else parts[:1])


def _touch(
    source: str,
    event: tuple[str, ...],
    direction: Direction,
    kind: Kind,
    at: int,
    customer: Customer,
    defaults: Defaults,
    owner: str | None,
    owner_name: str | None,
    subject: str | None,
    body: str | None,
    account: str | None = None,
) -> Touch:
    words = _plain(body) if body else None
    return Touch(
        touch_id=touch_id(source, *event),
        channel="linkedin",
        department=defaults.department or "sales",
        direction=direction,
        kind=kind,
        occurred_at=at,
        customer=customer,
        account=Account(id=account) if account else None,
        actor=(Actor(owner, owner_name) if owner else defaults.actor) if direction == "outbound" else None,
        campaign=defaults.campaign,
        message=Message(subject=subject or None, text=words) if subject or words else None,
        source=source,
    )


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _plain(body: str) -> str | None:
    """A body without its mark-up; paragraphs become lines."""
    if "<" not in body and "&" not in body:
        return body
    parser = _Words()
    parser.feed(body)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line) or None
