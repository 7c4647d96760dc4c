"""Several workers' identity indexes on one Redis and one log, driven by hand, and what the timelines would have been told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec
import redis
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams.core.identity_facts import Fact, Request, Resolved, encode, taken_back
from streams.core.identity_graph import Graph
from streams.edge.identity_index import IdentityIndex
from streams.edge.identity_protocol import Decision
from streams.edge.kafka_auth import client_options
from streams.edge.metrics import Metrics
from streams.edge.stages.ingest import dated, with_winner
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.support.waiting import wait_until_async


def plain(answer: Resolved) -> Resolved:
    """An answer without which identifier decided it, and when."""
    return replace(answer, identifier="", resolved_at=0)


def because(request: str, at: int = 5) -> bytes:
    """Somebody's request as a cause."""
    return msgspec.json.encode(Request(request, "dana", at))


class Redirects:
    """What the timelines know: the customers that touches were sent to, and where each was told to go by a merge."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self._to: dict[str, set[str]] = {}

    def take(self, answers: Iterable[Resolved]) -> None:
        """Answers whose touches, links and merges have reached Kafka."""
        for answer in answers:
            self.used.add(answer.customer_id)
            for fact in answer.facts:
                if fact.kind == "told" and fact.a != answer.customer_id:
                    self._to.setdefault(fact.a, set()).add(answer.customer_id)

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
    """One worker's index. `publish` is what its lane does: facts into the log, then `logged`."""

    def __init__(
        self, settings: Settings, producer: AIOKafkaProducer, redirects: Redirects, refuse_erased: bool = True
    ) -> None:
        self.settings, self._producer, self._redirects = settings, producer, redirects
        self.metrics = Metrics(CollectorRegistry())
        self.index = IdentityIndex(settings, self.metrics, refuse_erased=refuse_erased)

    async def resolve(self, *touches: Sequence[str]) -> list[Resolved]:
        """The decision alone, as if the process ended before anything is published."""
        return await self.index.resolve([tuple(ids) for ids in touches])

    async def answers(self, *touches: Sequence[str]) -> list[Resolved]:
        """Customers and facts alone, as `resolve` has them."""
        return [plain(answer) for answer in await self.resolve(*touches)]

    async def log(self, answers: list[Resolved]) -> list[Fact]:
        """Kafka has the decisions, the index was not told."""
        facts = [dated(fact, answer) for answer in answers for fact in answer.facts]
        for fact in facts:
            if fact.kind == "gone":
                for key in taken_back(fact):
                    await self.take_back(key)
            elif fact.kind != "told":
                await self.send(fact)
        await self._producer.flush()
        self._redirects.take(answers)
        return facts

    async def publish(self, answers: list[Resolved]) -> None:
        """Kafka has the decisions, and the index knows it."""
        facts = await self.log(answers)
        await self.index.logged(facts)
        for fact in facts:
            if fact.kind == "told":
                await self.send(fact)
        await self._producer.flush()

    async def send(self, fact: Fact) -> None:
        """A record of the log."""
        await self._producer.send(self.settings.topic(IDENTITIES), encode(fact), key=fact.key.encode())

    async def take_back(self, key: str) -> None:
        """A null value in the log."""
        await self._producer.send(self.settings.topic(IDENTITIES), None, key=key.encode())

    async def ask(self, a: str, b: str, request: str = "r1") -> Decision:
        """The index's decision on a link that is to be cut, alone."""
        return await self.index.cut(a, b, request, because(request))

    async def cut(self, a: str, b: str, request: str = "r1") -> Decision:
        """Have a link cut and publish what follows."""
        answer = await self.ask(a, b, request)
        await self.publish(list(answer.waiting))
        return answer

    async def ask_join(self, a: str, b: str, request: str = "j1", at: int = 5) -> Decision:
        """The index's decision on two who are to be joined, alone."""
        return await self.index.join(a, b, request, because(request, at))

    async def join(self, a: str, b: str, request: str = "j1", at: int = 5) -> Decision:
        """Have two joined and publish what follows."""
        answer = await self.ask_join(a, b, request, at)
        await self.publish(list(answer.waiting))
        return answer

    async def customers(self, *ids: str) -> list[str]:
        """Whose touches with one of these ids each are."""
        return [answer.customer_id for answer in await self.resolve(*((one,) for one in ids))]

    async def touch(self, *touches: Sequence[str]) -> list[str]:
        """Decide and publish; the customers."""
        answers = await self.resolve(*touches)
        await self.publish(answers)
        return [answer.customer_id for answer in answers]

    async def mend(self) -> None:
        """One round of the worker's mending, as `Ingest.mend` does it."""
        found = await self.index.overdue()
        await self.publish([replace(who, facts=with_winner(who)) for who in found])

    def outcomes(self) -> dict[str, float]:
        """Look-ups so far by result."""
        samples = self.metrics.identity_lookups.collect()[0].samples
        return {s.labels["result"]: s.value for s in samples if s.name.endswith("_total") and s.value}


@contextlib.asynccontextmanager
async def workers(
    settings: Settings, count: int = 1, refuse_erased: bool = True
) -> AsyncIterator[tuple[list[Worker], Redirects]]:
    """So many workers, and what the timelines have heard from them."""
    redirects = Redirects()
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        made = [Worker(settings, producer, redirects, refuse_erased) for _ in range(count)]
        try:
            yield made, redirects
        finally:
            for worker in made:
                await worker.index.close()


def flush(settings: Settings) -> None:
    """Everything in the installation's Redis database is gone."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()


def snapshot(settings: Settings) -> dict[bytes, bytes]:
    """All keys and what they hold, for `restore`."""
    with redis.Redis.from_url(settings.redis_url) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def restore(settings: Settings, held: dict[bytes, bytes]) -> None:
    """Redis is as it was at the `snapshot`."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
        for key, value in held.items():
            client.restore(key, 0, value)


def keys(settings: Settings) -> dict[str, bytes]:
    """The index's strings by name."""
    prefix = f"touchstream:{settings.app_id}:id:"
    with redis.Redis.from_url(settings.redis_url) as client:
        names = [key.decode() for key in client.scan_iter() if client.type(key) == b"string"]
        return {name.removeprefix(prefix): client.get(name) for name in names}


def remove(settings: Settings, *names: str) -> None:
    """Redis lost some keys, as after a restart from an older snapshot."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.delete(*(f"touchstream:{settings.app_id}:id:{name}" for name in names))


def assert_no_orphans(redirects: Redirects, graph: Graph) -> None:
    """A touch sent to any id that was ever used ends up with the customer that the graph says."""
    assert {used: redirects.end_of(used) for used in redirects.used} == {
        used: graph.find(used) for used in redirects.used
    }


async def back(worker: Worker) -> None:
    """Wait until the worker's index answers again."""

    async def answered() -> bool:
        before = worker.outcomes().get("unavailable", 0)
        await worker.resolve(("c9-probe",))
        return worker.outcomes().get("unavailable", 0) == before

    await wait_until_async(answered, 30, "the index to be back")


async def healed(some: list[Worker], redirects: Redirects, *touches: tuple[str, ...]) -> None:
    """After a round of mending by each worker, all used ids lead to the customers of the graph."""
    for worker in some:
        await back(worker)
    for worker in some:
        await worker.mend()
        await worker.mend()
    graph = Graph()
    for ids in touches:
        graph.link(ids)
    assert_no_orphans(redirects, graph)
    for worker in some:
        for ids in touches:
            assert (await worker.resolve(ids))[0].customer_id == graph.customer(ids)
