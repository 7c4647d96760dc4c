"""Sentences about touches, for people. Times are UTC; the date is named only where two touches are on different days."""

from __future__ import annotations

import datetime as dt

from streams.core.entry import Entry

SOMEONE = "The customer"
"""Stands for a customer whose name no touch has given yet."""

_ARTICLE = {
    "message_sent": "a LinkedIn message",
    "connection_request": "a LinkedIn connection request",
    "dialed": "a call",
    "answered": "a call",
    "voicemail": "a voicemail",
}
_CHANNEL = {"linkedin": "LinkedIn"}
_REACTION = {
    "opened": "opened an email",
    "clicked": "clicked a link",
    "replied": "replied",
    "ad_click": "clicked an ad",
    "lead_form": "sent a lead form",
    "profile_view": "viewed a profile",
    "meeting": "met us",
    "unsubscribed": "unsubscribed",
    "complained": "complained",
}


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAY = 86_400_000
_EPOCH = dt.date(1970, 1, 1).toordinal()


def clock(at_ms: int) -> str:
    """ "09:12"."""
    hours, minutes = divmod(at_ms % _DAY // 60_000, 60)
    return f"{hours:02}:{minutes:02}"


def date(at_ms: int) -> dt.date:
    """The day in UTC; as text "2026-03-03"."""
    return dt.date.fromordinal(_EPOCH + at_ms // _DAY)


def day(at_ms: int) -> str:
    """ "3 March 2026"."""
    on = date(at_ms)
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def when(at_ms: int, *others_ms: int) -> str:
    """ "at 09:12", with the day when one of the other touches is on another one."""
    for other in others_ms:
        if other // _DAY != at_ms // _DAY:
            return f"on {day(at_ms)} at {clock(at_ms)}"
    return f"at {clock(at_ms)}"


def span(ms: int) -> str:
    """ "6 h 28 min", "12 min", "less than a minute", "3 days 2 h"."""
    minutes = ms // 60_000
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [
        f"{days} day{'s' if days > 1 else ''}" if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes and not days else "",
    ]
    return " ".join(part for part in parts if part)


def contact(entry: Entry) -> str:
    """ "'Spring offer' by email", "a call", "a LinkedIn message ('Quick question')"."""
    if entry.kind in _ARTICLE:
        thing = _ARTICLE[entry.kind]
        return f"{thing} ('{entry.label}')" if entry.label and entry.kind == "message_sent" else thing
    if entry.channel == "email":
        return f"'{entry.label}' by email" if entry.label else "an email"
    if entry.channel == "ads":
        return f"the ad '{entry.label}'" if entry.label else "an ad"
    if entry.channel == "linkedin":
        return f"'{entry.label}' on LinkedIn" if entry.label else "a LinkedIn message"
    return f"a message ('{entry.label}')" if entry.label else "a message"


def channel(name: str) -> str:
    """ "email", "LinkedIn"."""
    return _CHANNEL.get(name, name)


def sender(entry: Entry) -> str:
    """ "marketing", "sales rep J. Okafor", "service agent R. Lee", "Kim Lee (marketing)"."""
    if entry.actor_kind != "person" or not entry.actor_name:
        return entry.department
    if entry.department == "marketing":
        return f"{entry.actor_name} (marketing)"
    return f"{'sales rep' if entry.department == 'sales' else 'service agent'} {entry.actor_name}"


def reaction(entry: Entry) -> str:
    """ "clicked an ad ('Spring offer')"."""
    what = _REACTION.get(entry.kind, entry.kind.replace("_", " "))
    return f"{what} ('{entry.label}')" if entry.label else what


def listed(parts: list[str]) -> str:
    """ "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def weekday(date: dt.date) -> str:
    """ "Tuesday 3 March 2026"."""
    return f"{_WEEKDAYS[date.weekday()]} {date.day} {_MONTHS[date.month - 1]} {date.year}"
