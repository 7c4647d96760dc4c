"""Several workers' identity indexes on one Redis and one log, driven by hand, and what the timelines would have been told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from aiokafka import AIOKafkaProducer
from prometheus_client import CollectorRegistry

from streams.core.identify import Link, Resolved
from streams.edge.identity_index import IdentityIndex
from streams.edge.kafka_auth import client_options
from streams.edge.metrics import Metrics
from streams.edge.topics import IDENTITIES
from streams.settings import Settings


class Redirects:
    """What the timelines know: the customers that touches were sent to, and where each was told to go by a merge."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self._to: dict[str, set[str]] = {}

    def take(self, answers: Iterable[Resolved]) -> None:
        """Answers whose touches, links and merges have reached Kafka."""
        for answer in answers:
            self.used.add(answer.customer_id)
            for link in answer.links:
                if link.loser is not None and link.loser != answer.customer_id:
                    self._to.setdefault(link.loser, set()).add(answer.customer_id)

    def end_of(self, customer: str) -> str:
        """Where a touch of this customer ends up: ids only get smaller, and two ways out of one id are merged themselves."""
        parent: dict[str, str] = {}

        def find(node: str) -> str:
            while parent.get(node, node) != node:
                node = parent[node]
            return node

        for loser, winners in self._to.items():
            for winner in winners:
                a, b = sorted((find(loser), find(winner)))
                parent[b] = a
        return find(customer)


class Worker:
    """One worker's index. `publish` is what its lane does: links into the log, then `logged`."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, redirects: Redirects) -> None:
        self.settings, self._producer, self._redirects = settings, producer, redirects
        self.metrics = Metrics(CollectorRegistry())
        self.index = IdentityIndex(settings, self.metrics)

    async def resolve(self, *touches: Sequence[str]) -> list[Resolved]:
        """The decision alone, as if the process ended before anything is published."""
        return await self.index.resolve([tuple(ids) for ids in touches])

    async def log(self, answers: list[Resolved]) -> list[Link]:
        """Kafka has the decisions, the index was not told."""
        links = [link for answer in answers for link in answer.links]
        for link in links:
            key = f"{link.a}|{link.b}".encode()
            await self._producer.send(self.settings.topic(IDENTITIES), b"link", key=key)
        await self._producer.flush()
        self._redirects.take(answers)
        return links

    async def publish(self, answers: list[Resolved]) -> None:
        """Kafka has the decisions, and the index knows it."""
        await self.index.logged(await self.log(answers))

    async def touch(self, *touches: Sequence[str]) -> list[str]:
        """Decide and publish; the customers."""
        answers = await self.resolve(*touches)
        await self.publish(answers)
        return [answer.customer_id for answer in answers]

    async def mend(self) -> None:
        """One round of the worker's mending, as `Ingest.mend` does it."""
        found = await self.index.overdue()
        await self.publish([Resolved(f.customer_id, (Link(f.customer_id, f.customer_id), *f.links)) for f in found])

    def outcomes(self) -> dict[str, float]:
        """Look-ups so far by result."""
        samples = self.metrics.identity_lookups.collect()[0].samples
        return {s.labels["result"]: s.value for s in samples if s.name.endswith("_total") and s.value}


@contextlib.asynccontextmanager
async def workers(settings: Settings, count: int = 1) -> AsyncIterator[tuple[list[Worker], Redirects]]:
    """So many workers, and what the timelines have heard from them."""
    redirects = Redirects()
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        made = [Worker(settings, producer, redirects) for _ in range(count)]
        try:
            yield made, redirects
        finally:
            for worker in made:
                await worker.index.close()
