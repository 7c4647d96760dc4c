"""A link is cut: what the timelines are told, and what hangs together without it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from streams.core.commands import Command
from streams.core.identity_facts import Fact, decode_cause, decode_request
from streams.core.moving import split_command

PER_COMMAND = 5000
"""Identifiers in one command, some 150 kB."""

Pair = tuple[str, str]


def commands(fact: Fact) -> Iterator[Command]:
    """What timelines are told whose touches leave: a pure function of a fact "cut", so that whoever finds it publishes the same bytes."""
    customer, *parted = fact.customers
    request, touch = decode_request(fact), decode_cause(fact)
    said, at = (request.command_id, request.requested_at) if request else ("identity log", fact.at // 1000)
    if touch is not None:
        said, at = touch.touch_id, touch.published_at
    reason = (request.reason if request else "") or None
    told = [(timeline, customer, fact.staying) for timeline in fact.untold]
    if parted:  # else other links hold the two together
        into, *merged = parted
        told += [
            (timeline, into, fact.ids) for timeline in (customer, *merged)
        ]  # a merged one may not know yet that it was
    for timeline, into, ids in told:
        for start in range(0, len(ids), PER_COMMAND):
            yield split_command(timeline, into, ids[start : start + PER_COMMAND], at, said, fact.at, reason)


class Links:
    """Links between identifiers, for questions about cutting them."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._neighbours: dict[str, set[str]] = {}
        for a, b in pairs:
            self._neighbours.setdefault(a, set()).add(b)
            self._neighbours.setdefault(b, set()).add(a)

    def cut(self, a: str, b: str) -> bool:
        """Take the link away; whether there was one."""
        linked = b in self._neighbours.get(a, ())
        if linked:
            self._neighbours[a].discard(b)
            self._neighbours[b].discard(a)
        return linked

    def path(self, a: str, b: str) -> list[str] | None:
        """The shortest way from a to b, both included; None when they do not hang together."""
        before = {a: a}
        waiting = deque([a])
        while waiting:
            here = waiting.popleft()
            if here == b:
                path = [b]
                while path[-1] != a:
                    path.append(before[path[-1]])
                return path[::-1]
            for other in sorted(self._neighbours.get(here, ())):
                if other not in before:
                    before[other] = here
                    waiting.append(other)
        return None

    def person(self, node_id: str) -> list[str]:
        """All ids that hang together with this one, strongest first: the first is the customer's."""
        known, waiting = {node_id}, [node_id]
        while waiting:
            for other in self._neighbours.get(waiting.pop(), ()):
                if other not in known:
                    known.add(other)
                    waiting.append(other)
        return sorted(known)
