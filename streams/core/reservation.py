"""A contact that is held for a customer until it is made, given back, or too late. Its states stand in the topic `reservations`."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Literal

from msgspec import Struct

from streams.core.govern.records import Contact

NAMESPACE = uuid.UUID("5c0f1f5e-8a3b-5f0e-9a44-2f6f1a0d7b31")

State = Literal["held", "committed", "released"]


class Reservation(Struct, frozen=True, gc=False):
    """Times in UTC ms. `customer_id` is the id that the person went by, `persons` all ids under which it is found, `account` the
    pseudonymous id of the company. `touch_id` is the id that the touch will have: once it is on the timeline it takes the place of the
    reservation. Until `expires_at` it counts: held, the time in which to commit; committed, the time in which the touch is awaited."""

    reservation_id: str
    state: State
    customer_id: str
    persons: tuple[str, ...]
    touch_id: str
    at: int
    expires_at: int
    channel: str
    department: str
    kind: str
    campaign: str | None
    category: str | None
    sequence: str | None
    actor_id: str | None
    actor_kind: str | None
    priority: int | None
    offer: str | None
    offer_ends: int | None
    account: str | None
    created_at: int
    updated_at: int
    requested_by: str
    policy: str

    def is_live(self, now: int) -> bool:
        """Whether it counts at this moment."""
        return self.state != "released" and self.expires_at > now

    def contact(self) -> Contact:
        """As the policy's rules see it. `offer_ends` is kept in days since 1970."""
        ends = None if self.offer_ends is None else dt.date(1970, 1, 1) + dt.timedelta(days=self.offer_ends)
        return Contact(
            self.at, self.channel, self.department, self.kind, self.touch_id, self.campaign, self.category, self.sequence,
            self.actor_id, self.actor_kind, self.priority, self.offer, ends, customer=self.customer_id,
        )  # fmt: skip


def reservation_id(touch_id: str) -> str:
    """The id of the reservation for this touch: whoever asks twice gets one reservation."""
    return str(uuid.uuid5(NAMESPACE, touch_id))
