"""Touches as the identify stage forwards them, with what it tells timelines, by the pure graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.core.commands import Command
from streams.core.identify import nodes
from streams.core.identity_graph import Graph
from streams.core.moving import merge_command
from streams.core.pipeline import identify
from streams.core.touch import IdentifiedTouch, Touch
from tests.ledger.books import ID_KEY, REGION


def stream(touches: Iterable[Touch], id_key: str = ID_KEY, clock: int = 1) -> Iterator[IdentifiedTouch | Command]:
    """The touches in their order, each with its customer as of then; and a merge for each customer that turns out to be another one."""
    graph = Graph()
    known: dict[str, set[str]] = {}
    for touch in touches:
        clock += 1
        ids = nodes(touch.customer, id_key, REGION)
        before = {graph.customer((id_,)) for id_ in ids}
        customer = graph.link(ids)
        theirs = known.setdefault(customer, set())
        theirs.update(ids)
        for loser in sorted(before - {customer}):
            if moved := {id_ for id_ in known.pop(loser, set()) if graph.customer((id_,)) == customer}:
                theirs |= moved
                yield merge_command(loser, customer, 1, touch.touch_id, clock, moved)
        customer = graph.customer(ids)
        yield identify(touch, customer, touch.occurred_at, None, ids[0], clock)
