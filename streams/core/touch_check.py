"""What a well-formed touch must still satisfy to make sense; used through `streams.core.touch_json`.

The bounds are ours: generous for people, far below what a broker or a table value can bear.
"""

from __future__ import annotations

import re
from typing import get_args

from streams.core.outcome import RejectReason
from streams.core.touch import CHANNELS, DEPARTMENTS, KINDS, ActorKind, Direction, Money, Touch

MAX_TOUCH_ID = 200
MAX_SHORT = 1024
MAX_URL = 8 * 1024
MAX_TEXT = 64 * 1024
LARGEST_INT = 2**31 - 1

# 2000-01-01 and the end of 9999 (RFC 3339 has four digits for a year), UTC ms.
EARLIEST_MS = 946_684_800_000
LATEST_MS = 253_402_300_799_999

DIRECTIONS: tuple[str, ...] = get_args(Direction)
ACTOR_KINDS: tuple[str, ...] = get_args(ActorKind)
IDENTIFIERS = ("email", "phone", "linkedin_url", "crm_id", "click_id", "cookie_id")

_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")

_CALL_PHASES = dict.fromkeys(
    ("dialed", "answered", "voicemail", "no_answer"), "phases of a phone call belong to channel calls"
)
_ADS_SEEN = dict.fromkeys(("impression", "ad_click"), "an ad seen or clicked belongs to channel ads (or linkedin)")
_NETWORK = dict.fromkeys(
    ("profile_view", "connection_request"), "profiles and connections exist only on channel linkedin"
)

IMPOSSIBLE: dict[str, dict[str, str]] = {
    "email": {**_CALL_PHASES, **_ADS_SEEN, **_NETWORK},
    "ads": {
        **_CALL_PHASES,
        **_NETWORK,
        "bounced": "an ad has no mailbox to bounce from; a bounced mail belongs to channel email",
    },
    "linkedin": {**_CALL_PHASES},
    "calls": {**_ADS_SEEN, **_NETWORK, "opened": "a phone call is answered, not opened"},
}
"""Kinds that cannot happen in a channel, with the reason. Liberal on purpose: sponsored messages make `sent`, `opened`
and `replied` possible in ads, a caller can ask for no more calls (`unsubscribed`), a meeting is booked anywhere.
"""


class TouchError(ValueError):
    """A touch that cannot be used. The text names the field and what is allowed; `reason` is the dead letter's code."""

    def __init__(self, text: str, reason: RejectReason = "not_a_touch") -> None:
        super().__init__(text)
        self.reason: RejectReason = reason


def check(touch: Touch) -> None:
    """Refuse what is well-formed but senseless, also in a `Touch` that was built in code and never validated.

    Sizes are in UTF-8 bytes, touch_id in characters.

    Raises:
        TouchError: no identifier (reason "no_identifier"), a touch_id that is empty or over 200 characters, a time
            outside the years 2000 to 9999, a kind that cannot happen in its channel, money that is no decimal with a
            three-letter currency, a text that is too long or not Unicode, a field of the wrong type.
    """
    _text("touch_id", touch.touch_id, MAX_TOUCH_ID * 4)
    if not touch.touch_id.strip() or len(touch.touch_id) > MAX_TOUCH_ID:
        raise TouchError(
            f"touch_id: 1 to {MAX_TOUCH_ID} characters are allowed, got {len(touch.touch_id)}"
            if touch.touch_id.strip()
            else "touch_id: is empty; give the source's event id, or leave the field out to have one derived"
        )
    _one_of("channel", touch.channel, CHANNELS)
    _one_of("department", touch.department, DEPARTMENTS)
    _one_of("direction", touch.direction, DIRECTIONS)
    _one_of("kind", touch.kind, KINDS)
    why = IMPOSSIBLE[touch.channel].get(touch.kind)
    if why is not None:
        raise TouchError(f"kind: {touch.kind!r} cannot happen in channel {touch.channel!r}: {why}")
    _time(touch.occurred_at)
    _customer(touch)
    _parts(touch)
    _number("version", touch.version, 1)
    if touch.priority is not None:
        _number("priority", touch.priority, -LARGEST_INT)
    if not isinstance(touch.deleted, bool):
        raise TouchError(f"deleted: expected true or false, got {type(touch.deleted).__name__}")


def _time(occurred_at: object) -> None:
    if type(occurred_at) is not int:
        raise TouchError(f"occurred_at: expected UTC milliseconds as int, got {type(occurred_at).__name__}")
    if occurred_at < EARLIEST_MS:
        raise TouchError(
            "occurred_at: lies before the year 2000; is the unit right (milliseconds), or the date a default?"
        )
    if occurred_at > LATEST_MS:
        raise TouchError("occurred_at: lies after the year 9999; is the unit right (milliseconds)?")


def _number(path: str, value: object, least: int) -> None:
    if type(value) is not int or not least <= value <= LARGEST_INT:
        raise TouchError(f"{path}: expected a whole number from {least} to {LARGEST_INT}, got {_short(value)}")


def _customer(touch: Touch) -> None:
    customer = touch.customer
    found = False
    for name in IDENTIFIERS:
        value = getattr(customer, name)
        if value is not None:
            _text(f"customer.{name}", value, MAX_URL if name == "linkedin_url" else MAX_SHORT)
            found = found or bool(value.strip())
    if not found:
        raise TouchError(f"customer: needs at least one of {', '.join(IDENTIFIERS)}", "no_identifier")
    _optional("customer.name", customer.name)
    _optional("customer.time_zone", customer.time_zone)
    _optional("customer.country", customer.country)
    if customer.email_verified not in (None, True, False):
        raise TouchError(f"customer.email_verified: expected true or false, got {_short(customer.email_verified)}")


def _parts(touch: Touch) -> None:
    _optional("campaign", touch.campaign)
    _optional("source", touch.source)
    _optional("interaction_id", touch.interaction_id)
    _optional("category", touch.category)
    _optional("sequence", touch.sequence)
    if touch.account is not None:
        _optional("account.id", touch.account.id)
        _optional("account.domain", touch.account.domain)
    if touch.actor is not None:
        _text("actor.id", touch.actor.id, MAX_SHORT)
        _optional("actor.name", touch.actor.name)
        _one_of("actor.kind", touch.actor.kind, ACTOR_KINDS)
    if touch.message is not None:
        message = touch.message
        _optional("message.subject", message.subject, MAX_URL)
        _optional("message.text", message.text, MAX_TEXT)
        _optional("message.offer", message.offer)
        _optional("message.product", message.product)
        _optional("message.url", message.url, MAX_URL)
        _money("message.price", message.price)
    _money("cost", touch.cost)


def _money(path: str, money: Money | None) -> None:
    if money is None:
        return
    _text(f"{path}.amount", money.amount, MAX_SHORT)
    if not _AMOUNT.fullmatch(money.amount):
        raise TouchError(
            f"{path}.amount: expected a decimal number such as 49.90 (at most 18.12 digits), got {_short(money.amount)}"
        )
    _text(f"{path}.currency", money.currency, MAX_SHORT)
    if not _CURRENCY.fullmatch(money.currency):
        raise TouchError(
            f"{path}.currency: expected three capital letters (ISO 4217) such as EUR, got {_short(money.currency)}"
        )


def _one_of(path: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise TouchError(f"{path}: {_short(value)} is not one of {', '.join(allowed)}")


def _optional(path: str, value: object, limit: int = MAX_SHORT) -> None:
    if value is not None:
        _text(path, value, limit)


def _text(path: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise TouchError(f"{path}: expected text, got {type(value).__name__}")
    if value.isascii():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise TouchError(
                f"{path}: character {error.start + 1} is half of a surrogate pair, which is not Unicode text"
            ) from None
    if size > limit:
        raise TouchError(f"{path}: {size} bytes, at most {limit} are allowed")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
