"""What the routes need, made once for each gateway process."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.core.policy import Policy
from streams.core.published import Published
from streams.edge import heap
from streams.edge.client import Client
from streams.edge.metrics import registry_of_process
from streams.edge.policies import Policies
from streams.gateway import models
from streams.gateway.gate import Answer, Gate
from streams.gateway.memory import Memory
from streams.gateway.metrics import GatewayMetrics
from streams.gateway.problems import Problem
from streams.gateway.questions import Ask
from streams.gateway.seeing import Eyes
from streams.gateway.tokens import Book, File, Token
from streams.settings import Settings

KAFKA_SECONDS = 10.0
"""For each acknowledgement: whoever asks is told of an absent Kafka before they give up themselves."""


class Service:
    """What the routes need; `start` and `close` it with the process."""

    def __init__(self, settings: Settings, policy: Policy, tokens: tuple[Token, ...]) -> None:
        self.settings = settings
        self.book = Book(tokens, settings.gateway_rate)
        self.client = Client(settings=settings, timeout=KAFKA_SECONDS)
        memory = Memory(settings, self.client.codec, self.client.publisher)
        self.metrics = GatewayMetrics(registry_of_process())
        self._counted = {
            allowed: self.metrics.checks.labels(result) for allowed, result in ((True, "allowed"), (False, "refused"))
        }
        self.eyes = Eyes(settings, policy, memory, self.metrics.redis_failed)
        self.gate = Gate(settings, policy, self.eyes, memory)
        self.policies = Policies(settings, self.client.codec, self.use)
        self._following: tuple[asyncio.Task[None], ...] = ()
        self.metrics.policy.labels(self.gate.rules.fingerprint).set(1)

    async def start(self) -> None:
        """Connect to Kafka. PublishError when it is away: a gateway that can hold nothing should not look ready."""
        await self.client.__aenter__()
        await self.policies.catch_up()
        self._following = (asyncio.create_task(self.policies.follow()),)
        if self.settings.gateway_tokens_path:
            self._following += (asyncio.create_task(File(self.settings.gateway_tokens_path, self.book).follow()),)
        heap.settle()

    def use(self, policy: Policy, published: Published) -> None:
        """Another policy comes into force, between two requests."""
        self.gate.use(policy)
        self.metrics.policy.clear()
        self.metrics.policy.labels(published.fingerprint).set(1)

    async def close(self) -> None:
        """Disconnect."""
        for task in self._following:
            task.cancel()
        if self._following:
            await asyncio.wait(self._following)
        await self.eyes.close()
        await self.client.close()

    def ask(self, asked: models.CheckIn, now: int) -> Ask:
        """The question. Problem 422 when nobody can be meant."""
        ids = self.eyes.people.nodes(models.customer_of(asked))
        if not ids:
            raise Problem(
                422, "no-identifier", "customer: no identifier is usable; give a mail address, a phone number with country code,"
                " the URL of a public LinkedIn profile, a CRM id, a click id or a cookie",
            )  # fmt: skip
        account = asked.standing.account
        return Ask(
            ids,
            models.contact_of(asked, now),
            models.standing_of(asked.standing),
            account and self.eyes.people.account(account),
        )

    def out(self, answer: Answer, asked: models.CheckIn, now: int) -> dict[str, Any]:
        """The answer as JSON, counted."""
        self._counted[answer.allowed].inc()
        for gap in answer.seen.gaps:
            self.metrics.gaps.labels(gap).inc()
        return models.check_out(answer, now, asked.ref)
