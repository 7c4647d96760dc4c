"""What a report reads, and in which slices; `tests.ledger.test_on_kafka` has it on Kafka."""

from __future__ import annotations

from streams.edge.ledger_reading import SLICE, _slices, _unread
from streams.edge.ledger_turn import AT_ONCE
from streams.edge.reader import Stretch


def test_every_offset_is_in_one_slice() -> None:
    """Slices follow each other without a gap or an overlap, none is longer than it may be, and an empty partition has none."""
    found = [
        Stretch("a", 0, 7, 7),
        Stretch("a", 1, 7, 8),
        Stretch("b", 0, 0, 2 * SLICE),
        Stretch("b", 1, 5, 2 * SLICE + 6),
    ]
    slices = list(_slices(found))
    assert max(map(len, slices)) == SLICE
    for one in found:
        of_one = [part for part in slices if (part.topic, part.partition) == (one.topic, one.partition)]
        places = [one.first, *(part.end for part in of_one)]
        assert [part.first for part in of_one] == places[:-1] and places[-1] == one.end


def test_what_the_ledger_has_read_is_left_out() -> None:
    """Of a partition remains what the ledger has not committed, and one transaction more, as far as retention has left it; all, if it has
    never been there, or if the topic was made anew since."""
    one = Stretch("touches", 2, 100, 90_000)
    assert _unread(one, {2: 80_000}) == Stretch("touches", 2, 80_000 - AT_ONCE, 90_000)
    assert _unread(one, {1: 80_000}) == _unread(one, {2: 0}) == _unread(one, {2: 4000}) == one
    young = Stretch("touches", 2, 0, 200)
    assert _unread(young, {2: 80_000}) == young
