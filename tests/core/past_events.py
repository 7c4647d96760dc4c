"""What may happen in a history of change, in order of publication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from streams.core.consent import ConsentChange
from streams.core.identify import nodes
from streams.core.touch import Touch
from tests.core.past_people import Cut, Joined
from tests.core.strategies import HOUR, ID_KEY, REGION, START


class Acknowledge(NamedTuple):
    """Somebody acts on one of the findings published so far (the nth, counted around)."""

    nth: int


class Erase(NamedTuple):
    """Somebody asks for the erasure of the person who has this identifier."""

    identifier: str


class Plan(NamedTuple):
    """A touch that is planned."""

    touch: Touch


class Consented(NamedTuple):
    """A record of consent; the touch says whose it is, under which id, and of when."""

    touch: Touch
    change: ConsentChange


Event = Touch | Plan | Consented | Cut | Joined | Erase | Acknowledge


def published_at(nth: int) -> int:
    """When the nth event is published: every five hours one."""
    return START + (48 + nth * 5) * HOUR


def happened(events: Sequence[Event]) -> list[Event]:
    """The events, touches of the future at the moment of their publication."""
    first: dict[tuple[str, int], int] = {}
    for nth, event in enumerate(events, 1):
        if isinstance(event, Touch):
            first.setdefault((event.touch_id, event.version), published_at(nth))
    return [
        replace(event, occurred_at=min(event.occurred_at, first[event.touch_id, event.version]))
        if isinstance(event, Touch)
        else event
        for event in events
    ]


def event_text(event: Event) -> str:
    """For a trace."""
    if isinstance(event, Touch | Plan | Consented):
        touch = event if isinstance(event, Touch) else event.touch
        said = "" if isinstance(event, Touch) else f"{type(event).__name__} "
        return f"{said}{touch.touch_id} v{touch.version} of {[n[:6] for n in nodes(touch.customer, ID_KEY, REGION)]}"
    return str(event)
