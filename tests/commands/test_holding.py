"""What an export says of what Kafka holds."""

from __future__ import annotations

import datetime as dt
import itertools

from streams.commands.holding import _place, _reservation, as_published
from streams.core.reservation import Reservation
from streams.edge.reader import Stored


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


def test_an_export_has_the_order_of_publication() -> None:
    """Records of two topics and three partitions, read in any order of the partitions: the export has them by their time, those of one
    partition as they stand there, though the clock of who wrote them went back."""
    partitions = [
        [_place(Stored("touches.calls", 0, 0, 1_772_442_720_000, b"k", b"v"))],
        [_place(Stored("touches.email", 0, offset, at, b"k", b"v")) for offset, at in ((3, 1_772_442_720_412), (4, 5))],
        [_place(Stored("touches.email", 1, 0, 1_772_442_721_000, b"k", b"v"))],
    ]
    wanted = [partitions[0][0], *partitions[1], partitions[2][0]]
    for read in itertools.permutations(partitions):
        assert as_published([one for part in read for one in part]) == wanted
