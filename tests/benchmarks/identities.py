"""Where a peer's whole worker keeps who is who: in its own memory, which is less work than touchstream does, or in Redis, as it does.

In memory a restart forgets it, and a second process knows something else. With Redis each touch asks the worker's own script, and
remembers and verifies answers as the worker does (`streams.edge.identity_cache`). What an engine that takes one record at a time cannot do
is ask for many touches in one trip: that difference is measured by the two variants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis

from streams.core.identity_facts import Fact, Resolved
from streams.core.identity_graph import Graph
from streams.core.policy import Policy
from streams.edge.identity_cache import Settled
from streams.edge.identity_protocol import SCRIPT, key_prefix, resolved, value_of
from streams.edge.identity_sync import sync
from streams.settings import Settings


class Who(Protocol):
    """Says who is who."""

    def resolve(self, ids: tuple[str, ...], cause: Callable[[], bytes]) -> Resolved:
        """The customer of a touch, by its node ids, strongest first; `cause` is asked where the index may not know them."""
        ...


class InMemory:
    """Of this process, lost with it."""

    def __init__(self) -> None:
        self._graph = Graph()
        self._known: set[str] = set()

    def resolve(self, ids: tuple[str, ...], cause: Callable[[], bytes]) -> Resolved:
        """See `Who`."""
        fresh = [id_ for id_ in ids if id_ not in self._known]
        roots = {self._graph.find(id_) for id_ in ids if id_ in self._known}
        if not fresh and len(roots) == 1:
            return Resolved(roots.pop())
        self._known.update(fresh)
        customer = self._graph.link(ids)
        losers = sorted(roots - {customer})
        links = [Fact(customer, other) for other in fresh + losers]
        return Resolved(customer, (*links, *(Fact(loser, customer, "told") for loser in losers)))


class InRedis:
    """Of all processes, rebuilt from the topic identities."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._script = redis.Redis.from_url(settings.redis_url).register_script(SCRIPT)
        self._prefix = key_prefix(settings)
        shared_after = policy.identity.shared_after
        self._policy = f"{shared_after} refuse" if policy.erasure.for_good else str(shared_after)
        self._settled = Settled()

        async def run(operation: str, operands: Sequence[str | bytes]) -> Any:
            return self._run(operation, operands)

        asyncio.run(sync(settings, run, self._policy))

    def _run(self, operation: str, operands: Sequence[str | bytes]) -> Any:
        return self._script(args=[operation, self._prefix, *operands])

    def resolve(self, ids: tuple[str, ...], cause: Callable[[], bytes]) -> Resolved:
        """See `Who`."""
        while True:
            (known,) = self._settled.get([ids])
            operands = [] if known is not None else [" ".join(ids), cause()]
            news, *answers = self._run("resolve", [self._settled.place, self._policy, *operands])
            place, whole, clock, *gone = map(bytes.decode, news)
            if whole == "0":
                self._settled.clear()
            self._settled.drop(gone)
            self._settled.place = place
            if known is None:
                return self._new(ids, resolved(answers[0], ids, int(clock)))
            if whole != "0" and self._settled.hold([known]):
                return Resolved(known.customer_id, (), known.identifier, int(clock))

    def _new(self, ids: tuple[str, ...], answer: Resolved) -> Resolved:
        self._settled.put(ids, answer)
        if answer.facts:
            self._run("logged", [self._policy, *(item for fact in answer.facts for item in (fact.key, value_of(fact)))])
        return answer
