"""Mailgun: webhooks (`{"signature": ..., "event-data": {...}}`) and pages of the Events API (`{"items": [...]}`).

Formats: documentation.mailgun.com, user manual, "Webhook payloads" and "Events". `accepted` is the moment a mail
leaves us, so it is the outbound `sent`. A mail to us that a route takes (`stored`, or `accepted` with the flag
`is-routed`) is a reply, unless a machine wrote it. A failure that Mailgun will try again, or a mail that its
suppression list held back, is no touch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.core.ids import touch_id
from streams.core.ingest.base import (
    NO_DEFAULTS,
    Adapter,
    Defaults,
    Ignored,
    Json,
    Outcome,
    Unusable,
    as_text,
    decode,
    epoch_ms,
    flag,
    get,
    guarded,
    needed,
    objects,
    text,
)
from streams.core.ingest.split import records
from streams.core.touch import Actor, Customer, Direction, Kind, Message, Touch

NAME = "mailgun"
DAY_MS = 86_400_000

KINDS: dict[str, tuple[Direction, Kind]] = {
    "accepted": ("outbound", "sent"),
    "delivered": ("outbound", "delivered"),
    "failed": ("outbound", "bounced"),
    "opened": ("inbound", "opened"),
    "clicked": ("inbound", "clicked"),
    "unsubscribed": ("inbound", "unsubscribed"),
    "complained": ("inbound", "complained"),
    "stored": ("inbound", "replied"),
}
_ADDRESS = re.compile(r"\s*(?:\"?([^\"<]*?)\"?\s*<([^<>\s]+)>|([^<>\s]+))\s*")
# Subjects that mail programs write over absence notes; the mark-up of RFC 3834 (Auto-Submitted) is not in Mailgun's
# events.
_MACHINE_REPLY = re.compile(
    r"\s*(?:auto(?:matic)?[ -]?(?:reply|response)|out[ -]of[ -](?:the[ -])?office"
    r"|automatische antwort|abwesenheits?(?:notiz)?\b|réponse automatique|respuesta automática"
    r"|undeliverable|delivery status notification|mail delivery failed)",
    re.IGNORECASE,
)
# Google's proxy fetches a picture when the person opens the mail; the others fetch it ahead, opened or not.
_OPENS_FOR_PEOPLE = frozenset({"gmail"})


def adapt(record: bytes, defaults: Defaults = NO_DEFAULTS) -> tuple[Outcome, ...]:
    """One webhook body, or one item of the Events API."""
    return guarded(NAME, record, lambda: (_touch(decode(record), defaults),))


def _touch(body: Json, defaults: Defaults) -> Touch | Ignored:
    event: Json = body
    if "event-data" in body:
        event = get(body, "event-data")
        if not isinstance(event, dict):
            raise Unusable("event-data: expected an object; import the webhook's body as it came")
    name = needed(event, "event")
    if name == "rejected":
        return Ignored("rejected: Mailgun did not send it")
    if name not in KINDS:
        raise Unusable(
            f"event: {name[:60]!r} is no Mailgun event known here; known: {', '.join((*KINDS, 'rejected'))}",
            "unknown_event",
        )
    no_touch = _no_touch(event, name)
    if no_touch:
        return Ignored(f"{name}: {no_touch}")
    to_us = name == "stored" or flag(event, "flags", "is-routed")
    direction, kind = KINDS["stored"] if to_us else KINDS[name]
    sender, sender_name = _sender(event)
    email = (sender if to_us else None) or (None if to_us else text(event, "recipient"))
    if email is None:
        field = "message.headers.from" if to_us else "recipient"
        raise Unusable(f"{field}: missing, so nobody was touched; add the customer's address", "no_identifier")
    occurred_at = epoch_ms(get(event, "timestamp"), 1000, "timestamp")
    message_id = text(event, "message", "headers", "message-id")
    subject, url = text(event, "message", "headers", "subject"), text(event, "url")
    event_id = text(event, "id")
    # Mailgun keeps an event's id unique within a day only. Without an id, the rest has to tell the event from others.
    parts = (event_id, occurred_at // DAY_MS) if event_id else (message_id, name, occurred_at, email, url)
    return Touch(
        touch_id=touch_id(NAME, *parts),
        channel="email",
        department=defaults.department or "marketing",
        direction=direction,
        kind=kind,
        occurred_at=occurred_at,
        customer=Customer(email=email, name=sender_name if to_us else None),
        actor=_actor(sender, sender_name, defaults) if direction == "outbound" else None,
        campaign=_campaign(event) or defaults.campaign,
        message=Message(subject=subject, url=url) if subject or url else None,
        source=NAME,
        interaction_id=message_id,
    )


def _no_touch(event: Json, name: str) -> str | None:
    """Why a known event is no touch, or None."""
    if flag(event, "flags", "is-test-mode"):
        return "sent in test mode"
    if flag(event, "flags", "is-routed") and name not in {"accepted", "stored"}:
        return "about a mail to us that was passed on"
    if name == "failed":
        if text(event, "severity") == "temporary":
            return "Mailgun will try again"
        reason = text(event, "reason") or ""
        if reason.startswith("suppress-"):
            return f"not sent, the address is on the suppression list ({reason[:60]})"
    if name in {"opened", "clicked"}:
        bot = text(event, "client-info", "bot")
        if bot and not (name == "opened" and bot in _OPENS_FOR_PEOPLE):
            return f"made by a machine ({bot[:60]})"
    if name == "stored" or flag(event, "flags", "is-routed"):
        subject = text(event, "message", "headers", "subject")
        if subject and _MACHINE_REPLY.match(subject):
            return "a machine's reply, such as an absence note"
    return None


def _sender(event: Json) -> tuple[str | None, str | None]:
    """Address and display name of the From header; the envelope's sender where there is no header."""
    header = text(event, "message", "headers", "from")
    match = _ADDRESS.fullmatch(header) if header else None
    if match is None:
        return text(event, "envelope", "sender"), None
    return match[2] or match[3], (match[1] or "").strip() or None


def _actor(address: str | None, name: str | None, defaults: Defaults) -> Actor | None:
    return defaults.actor or (Actor(address, name, "automation") if address else None)


def _campaign(event: Json) -> str | None:
    """Name of the campaign: of Mailgun's old campaigns, else the first tag."""
    for campaign in objects(event, "campaigns"):
        name = text(campaign, "name") or text(campaign, "id")
        if name:
            return name
    tags = get(event, "tags")
    if isinstance(tags, list):
        tags = tags[0] if tags else None
    return as_text(tags, "tags")


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    return records(data, ("items",))


ADAPTER = Adapter(
    NAME,
    "email",
    "Mailgun webhooks or Events API pages: sent, delivered, bounced, opened, clicked, replies, opt-outs",
    _split,
    adapt,
)
