"""SendGrid Event Webhook: a JSON array of events a request
(twilio.com/docs/sendgrid/for-developers/tracking-events/event).

`processed` is the moment a mail leaves us, so it is the outbound `sent`; `delivered` and `bounce` report on it.
`deferred` and `dropped` are no touch: the first is tried again, the second was never sent. An open that SendGrid marks
as a machine's (`sg_machine_open`, Apple's mail privacy) is nobody's interest. Events have no subject and no text.
"""

from __future__ import annotations

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
    text,
)
from streams.core.ingest.split import records
from streams.core.touch import Actor, Customer, Direction, Kind, Message, Touch

NAME = "sendgrid"

KINDS: dict[str, tuple[Direction, Kind]] = {
    "processed": ("outbound", "sent"),
    "delivered": ("outbound", "delivered"),
    "bounce": ("outbound", "bounced"),
    "open": ("inbound", "opened"),
    "click": ("inbound", "clicked"),
    "spamreport": ("inbound", "complained"),
    "unsubscribe": ("inbound", "unsubscribed"),
    "group_unsubscribe": ("inbound", "unsubscribed"),
}
NO_TOUCH = {
    "deferred": "SendGrid will try again",
    "dropped": "SendGrid did not send it",
    "group_resubscribe": "consent given again is a command, not a touch",
    "account_status_change": "about our account, not about a customer",
}
# (name, id) of the campaign: legacy marketing campaigns, single sends, automations.
_CAMPAIGNS = (
    ("marketing_campaign_name", "marketing_campaign_id"),
    ("singlesend_name", "singlesend_id"),
    ("mc_auto_name", "mc_auto_id"),
)


def adapt(record: bytes, defaults: Defaults = NO_DEFAULTS) -> tuple[Outcome, ...]:
    """One event of the webhook's array."""
    return guarded(NAME, record, lambda: (_touch(decode(record), defaults),))


def _touch(event: Json, defaults: Defaults) -> Touch | Ignored:
    name = needed(event, "event")
    if name in NO_TOUCH:
        return Ignored(f"{name}: {NO_TOUCH[name]}")
    if name not in KINDS:
        raise Unusable(
            f"event: {name[:60]!r} is no SendGrid event known here; known: {', '.join((*KINDS, *NO_TOUCH))}",
            "unknown_event",
        )
    if flag(event, "sg_machine_open"):
        return Ignored("open: made by a machine (sg_machine_open)")
    email = text(event, "email")
    if email is None:
        raise Unusable("email: missing, so nobody was touched; add the recipient's address", "no_identifier")
    direction, kind = KINDS[name]
    occurred_at = epoch_ms(get(event, "timestamp"), 1000, "timestamp")
    message_id, url = text(event, "sg_message_id"), text(event, "url")
    event_id = text(event, "sg_event_id")
    # Events from before 2013 and some relays have no sg_event_id; then the rest of the event has to tell it from
    # others.
    parts = (event_id,) if event_id else (message_id or text(event, "smtp-id"), name, occurred_at, email, url)
    campaign, campaign_id = _campaign(event)
    automation = Actor(campaign_id, campaign, "automation") if campaign_id else None
    return Touch(
        touch_id=touch_id(NAME, *parts),
        channel="email",
        department=defaults.department or "marketing",
        direction=direction,
        kind=kind,
        occurred_at=occurred_at,
        customer=Customer(email=email),
        actor=(automation or defaults.actor) if direction == "outbound" else None,
        campaign=campaign or campaign_id or defaults.campaign,
        message=Message(url=url) if url else None,
        source=NAME,
        interaction_id=message_id,
    )


def _campaign(event: Json) -> tuple[str | None, str | None]:
    """Name and id of the campaign; without one, the first category is its name."""
    for name_field, id_field in _CAMPAIGNS:
        name, id_ = text(event, name_field), text(event, id_field)
        if name or id_:
            return name, id_
    category = get(event, "category")
    if isinstance(category, list):
        category = category[0] if category else None
    return as_text(category, "category"), None


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    return records(data)


ADAPTER = Adapter(
    NAME, "email", "SendGrid Event Webhook: sent, delivered, bounced, opened, clicked, opt-outs", _split, adapt
)
