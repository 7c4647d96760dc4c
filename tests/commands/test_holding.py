"""What an export says of what Kafka holds."""

from __future__ import annotations

import datetime as dt

from streams.commands.holding import _reservation
from streams.core.reservation import Reservation


def test_a_reservation_has_its_days_and_times_in_words() -> None:
    """The day on which the offer ends, which is kept in days since 1970, is that day; and no moment is a bare number."""
    day = (dt.date(2026, 12, 24) - dt.date(1970, 1, 1)).days
    held = Reservation(
        "r", "held", "c2-a", ("c2-a",), "m", 1_000, 2_000, "email", "marketing", "sent", None, None, None, None, None, None,
        "20 % off", day, None, 3_000, 4_000, "mailer", "v1",
    )  # fmt: skip
    told = _reservation(held)
    assert told["offer_ends"] == "2026-12-24"
    times = [told[name] for name in ("at", "expires_at", "created_at", "updated_at")]
    assert times == [f"1970-01-01T00:00:0{n}Z" for n in (1, 2, 3, 4)]
