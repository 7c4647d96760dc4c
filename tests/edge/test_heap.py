"""What outlives a full collection of garbage is not walked through again, but once in a while."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from streams.edge.heap import Freezing


class Node:
    """May be part of a cycle."""

    def __init__(self) -> None:
        self.other = self


@contextmanager
def collected_by(freezing: Freezing) -> Iterator[None]:
    """The callback is there within the block, and nothing is frozen behind it."""
    gc.callbacks.append(freezing)
    try:
        yield
    finally:
        gc.callbacks.remove(freezing)
        gc.unfreeze()


def test_survivors_of_a_full_collection_are_frozen() -> None:
    """The collector sees none of what a full collection has left, and so finds no cycle in it; what is new it still finds."""
    with collected_by(Freezing()):
        old = Node()
        seen = weakref.ref(old)
        gc.collect()
        assert gc.get_freeze_count() > 1000 and not any(one is old for one in gc.get_objects())
        del old
        new = weakref.ref(Node())
        gc.collect()
        assert seen() is not None and new() is None
    gc.collect()
    assert seen() is None


def test_one_in_a_while_looks_at_everything() -> None:
    """Once the time is over, a full collection finds cycles among what was frozen."""
    with collected_by(Freezing(whole_every=0.0)):
        old = Node()
        seen = weakref.ref(old)
        gc.collect()
        del old
        gc.collect()
        assert seen() is None


def test_young_collections_freeze_nothing() -> None:
    """Collections of what is young leave it to be looked at again."""
    with collected_by(Freezing()):
        before = gc.get_freeze_count()
        gc.collect(1)
        assert gc.get_freeze_count() == before
