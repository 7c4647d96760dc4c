"""Who is who, for all workers: an index in Redis, one pipelined look-up a micro-batch, and its log in Kafka.

Redis is never the only copy. Every link goes to the compacted topic `identities`; `sync` reads what Redis has not seen yet: all of it
when Redis was lost or flushed. While Redis is away, touches are decided from their own identifiers
(`streams.core.identity_facts.resolve_alone`), and the timelines, which know where a merged customer went, send them on.

A timeline that nobody told that its customer goes by another id would be orphaned. It comes about when a touch is decided alone by an
identifier that other workers know to belong to somebody, or when an answer of Redis is lost on its way. So:

- every id under which a touch was sent on is in the log ("n|n"), and each edge in the log reaches Redis: by `logged`, or by a `sync`
  after any doubt (a failed call, a new connection, partitions that came from another worker);
- Redis reports a merge as long as it is not known to be logged, also one that it learns from the log;
- `overdue` gives the reported merges that no touch came by to publish; `Ingest.mend` publishes them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import redis.asyncio as redis
from aiokafka.errors import KafkaError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from streams.core.identity_facts import Erased, Fact, Resolved, resolve_alone
from streams.core.identity_graph import SHARED_AFTER
from streams.edge.identity_cache import Settled
from streams.edge.identity_protocol import SCRIPT, Act, Decision, erased, fact_of, key_prefix, resolved, value_of
from streams.edge.identity_sync import sync
from streams.edge.metrics import Metrics
from streams.edge.topics import IDENTITIES
from streams.settings import Settings

log = logging.getLogger("touchstream.identity")

PATIENCE = 2.0
"""Seconds before a look-up counts as failed. A healthy one takes milliseconds; a longer wait would hold up every touch."""

RETRY_AFTER = 1.0
"""Seconds without a try after a failed one, so that an absent Redis costs one time-out a second, not one a micro-batch."""

OVERDUE_AFTER = 5
"""Seconds after which a merge that is not known to be logged is published by `Ingest.mend`; a micro-batch takes far less."""

TOGETHER = 32
"""Touches, or facts, of one call. Redis does nothing else meanwhile, and checks wait for it: those of a large round at once would hold it
for tens of milliseconds on a busy machine."""

_AT_ONCE = 500
_ATTEMPTS = 3
_FAILURES = (RedisError, OSError, KafkaError)
_RESULTS = (("blocked", "blocked"), ("told", "merged"))


class IndexUnavailable(Exception):
    """The index is away, and what was asked is not for one worker to decide alone."""


class SharedIdentifier(Exception):
    """An identifier of many people was named where one person is meant."""


def _unknown(_: int) -> bytes:
    return b""


class IdentityIndex:
    """See the module. `refuse_erased`: a touch by an erased identifier is refused, even if it is of an event after the erasure."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        shared_after: int = SHARED_AFTER,
        refuse_erased: bool = True,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self.use(shared_after, refuse_erased)
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),  # the client's own retries would cost a time-out each
            redis_connect_func=self._connected,
        )
        self._script = self._redis.register_script(SCRIPT)
        self._prefix = key_prefix(settings)
        self._away_until = 0.0
        self._behind = True
        self._syncing = asyncio.Lock()
        self.synced_at = 0.0
        self._settled = Settled()

    def use(self, shared_after: int, refuse_erased: bool) -> None:
        """Go by these numbers of the policy from the next look-up on."""
        self._policy = f"{shared_after} refuse" if refuse_erased else str(shared_after)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def resolve(
        self, touches: Sequence[tuple[str, ...]], cause: Callable[[int], bytes] = _unknown
    ) -> list[Resolved]:
        """The customer of each touch, given its node ids, strongest first. Never fails: without Redis it decides alone.

        `cause` says what to note as the cause (`identity_facts.Cause`) of what the touch at an index brings to light.
        """
        if not touches:
            return []
        if not self._away:
            try:
                return await self._find(touches, cause)
            except _FAILURES as error:
                self._failed(error)
        self._metrics.identity_lookups.labels("unavailable").inc(len(touches))
        return [resolve_alone(ids, cause(n)) for n, ids in enumerate(touches)]

    async def logged(self, facts: Sequence[Fact]) -> None:
        """Kafka has these: they need not be reported again. Redis learns those that it has not."""
        if not facts:
            return
        if self._away:  # they are in the log behind what Redis has seen
            self.suspect()
            return
        try:
            for start in range(0, len(facts), TOGETHER):
                operands = [item for fact in facts[start : start + TOGETHER] for item in (fact.key, value_of(fact))]
                await self._run("logged", [self._policy, *operands])
        except _FAILURES as error:
            self._failed(error)

    async def overdue(self) -> list[Resolved]:
        """Customers with facts that somebody may not have published; none while Redis is away."""
        if self._away:
            return []
        try:
            await self._catch_up()
            at, *found = await self._run("overdue", [str(OVERDUE_AFTER), str(_AT_ONCE)])
        except _FAILURES as error:
            self._failed(error)
            return []
        return [] if self._behind else [resolved(answer, (), int(at)) for answer in found]

    async def cut(self, a: str, b: str, request_id: str, cause: bytes) -> Decision:
        """Take apart what the link or join of two ids holds together.

        The same `request_id` again, which `cause` must hold (`identity_facts.Request`), gives the same fact.

        Raises:
            IndexUnavailable: Redis or the log is away.
        """
        standing, *facts, at, one, other = await self._decided("cut", [a, b, request_id, cause])
        found = tuple(resolved(answer, (), int(at)) for answer in (one, other) if answer)
        fact, ended = (fact_of(key, value) if key else None for key, value in (facts[:2], facts[2:]))
        return Decision(standing.decode(), fact, found, ended)

    async def join(self, a: str, b: str, request_id: str, cause: bytes) -> Decision:
        """Make one person of those who have two ids, whatever keeps them apart. `request_id` and errors as of `cut`."""
        standing, key, value, at, answer = await self._decided("join", [a, b, request_id, cause])
        return Decision(standing.decode(), fact_of(key, value) if key else None, (resolved(answer, (), int(at)),))

    async def conflicts(self, customer: str) -> list[Fact]:
        """The conflicts ("blocked") of which people were told under this id, also such as have ended.

        Raises:
            IndexUnavailable: Redis or the log is away.
        """
        found = await self._decided("conflicts", [customer])
        return [fact_of(key, value) for key, value in zip(found[::2], found[1::2], strict=True)]

    async def act(self, conflict: Fact, request_id: str, cause: bytes) -> Act:
        """Note that somebody acts on a conflict. The same `request_id` again, which `cause` must hold (`identity_facts.Request`), gives the
        same fact.

        Raises:
            IndexUnavailable: Redis or the log is away.
        """
        standing, fact, value = await self._decided("act", [conflict.a, conflict.b, request_id, cause])
        return Act(standing.decode(), fact_of(fact, value) if fact else None)

    async def erase(self, node_id: str, request_id: str, at_ms: int, cause: bytes = b"") -> Erased:
        """Remove what the index has of a person who has this id, and leave a mark on each identifier that is theirs alone.

        Touches of these identifiers of events until `decided_at` of the answer, which is not before `at_ms` (UTC ms), are refused from now
        on, later ones by policy. The facts "erased", with `cause` (`identity_facts.Request`), are reported until `logged` (`overdue`). The
        same `request_id` again gives the same answer; for a day after `erasure_done`, without what is to be done then.

        Raises:
            SharedIdentifier: many people have it, so it says nothing about whom to erase.
            IndexUnavailable: Redis or the log is away.
        """
        return erased(await self._decided("erase", [node_id, str(at_ms), request_id, cause]))

    async def erasure_done(self, request_id: str) -> None:
        """All that the answer to this request calls for is in Kafka: the index need not keep it.

        Raises:
            IndexUnavailable: Redis or the log is away.
        """
        await self._decided("erased", [request_id])

    async def to_take_back(self) -> list[Fact]:
        """Facts "gone" that nobody is known to have published yet, such as an index that was built anew finds of people who were erased.

        Raises:
            IndexUnavailable: Redis or the log is away.
        """
        at, *found = await self._decided("overdue", ["0", str(_AT_ONCE)])
        facts = [fact for answer in found for fact in resolved(answer, (), int(at)).facts]
        return [fact for fact in facts if fact.kind == "gone"]

    def suspect(self) -> None:
        """Redis may lack a part of the log: read its tail before the next look-up."""
        self._behind = True

    @property
    def syncing(self) -> bool:
        """Whether the log is being read; touches wait for it. When it ended last is `synced_at`, as `time.monotonic`."""
        return self._syncing.locked()

    @property
    def _away(self) -> bool:
        return time.monotonic() < self._away_until

    async def _decided(self, operation: str, operands: Sequence[str | bytes]) -> Any:
        """The answer to what only the index can decide."""
        for _ in range(_ATTEMPTS):
            if self._away:
                break
            try:
                await self._catch_up()
                return await self._run(operation, operands)
            except _FAILURES as error:
                if _says(error, "SHARED"):
                    raise SharedIdentifier(f"many people have {operands[0]!r}") from None
                self._failed(error)
        raise IndexUnavailable("the identity index is away, or was lost again and again while it was asked")

    def _failed(self, error: BaseException) -> None:
        """The index only has to be built anew, or it is away: a server that refuses to write (MISCONF, OOM, READONLY) is no better."""
        self.suspect()
        if _says(error, "UNSYNCED"):
            log.warning("identity index is empty: rebuilding it from the topic %s", IDENTITIES)
            return
        self._away_until = time.monotonic() + RETRY_AFTER
        log.warning("identity index away, deciding from each touch alone: %s: %s", type(error).__name__, error)

    async def _connected(self, connection: Any) -> None:
        # Another server, or the same one restarted from an older snapshot.
        self.suspect()
        await connection.on_connect()

    async def _find(self, touches: Sequence[tuple[str, ...]], cause: Callable[[int], bytes]) -> list[Resolved]:
        """The answer for each touch: remembered, if the index says that it still holds, else asked for."""
        end = time.monotonic() + PATIENCE
        # That what was remembered no longer holds, or that a connection is new, is no failure: each try gets further.
        for attempt in itertools.count(1):
            if attempt > _ATTEMPTS and time.monotonic() > end:
                break
            await self._catch_up()
            started = time.perf_counter()
            settled = self._settled  # another one after each sync
            known, era = settled.get(touches), settled.era
            unknown: dict[tuple[str, ...], int] = {}
            for n, answer in enumerate(known):
                if answer is None:
                    unknown.setdefault(touches[n], n)
            found, at = await self._look_up([(ids, cause(n)) for ids, n in unknown.items()], settled)
            answers = dict(zip(unknown, found or (), strict=False))
            # After an erasure it depends on the touch, not on its ids alone: each is asked for.
            marked = {ids for ids, answer in answers.items() if answer.erased_at}
            late = [n for n, ids in enumerate(touches) if ids in marked and unknown[ids] != n] if marked else []
            more: list[Resolved] | None = []
            if late:
                more, at = await self._look_up([(touches[n], cause(n)) for n in late], settled)
            if found is None or more is None or self._behind or settled is not self._settled:
                continue
            if (settled.era != era and any(known)) or not settled.hold(known):
                continue
            self._metrics.identity_lookup_seconds.observe(time.perf_counter() - started)
            self._count(len(touches), list(unknown), found)
            own = dict(zip(late, more, strict=True))
            return [
                own.get(n) or answers[ids]
                if answer is None
                else Resolved(answer.customer_id, (), answer.identifier, at)
                for n, (ids, answer) in enumerate(zip(touches, known, strict=True))
            ]
        raise RedisError("its data was lost or changed again and again while it was read")

    async def _look_up(
        self, touches: Sequence[tuple[tuple[str, ...], bytes]], settled: Settled
    ) -> tuple[list[Resolved] | None, int]:
        """The index's answers, once `settled` has heard of all changes before them (None when the index was lost meanwhile), and the
        moment of its clock up to which it has."""
        found: list[Resolved] = []
        at = 0
        for start in range(0, max(1, len(touches)), TOGETHER):
            part = touches[start : start + TOGETHER]
            try:
                operands = [operand for ids, cause in part for operand in (" ".join(ids), cause)]
                news, *answers = await self._run("resolve", [settled.place, self._policy, *operands])
            except ResponseError as error:
                if not _says(error, "UNSYNCED"):
                    raise
                self._failed(error)
                return None, 0
            place, whole, clock, *gone = map(bytes.decode, news)
            at = int(clock)
            if whole == "0":
                settled.clear()
                if start:
                    return None, 0
            settled.drop(gone)
            settled.place = place
            for (ids, _), answer in zip(part, answers, strict=True):
                who = resolved(answer, ids, at)
                settled.put(ids, who)
                found.append(who)
        return found, at

    async def _catch_up(self) -> None:
        """Bring the index up to the log, if there is any doubt about it."""
        async with self._syncing:
            while self._behind:
                await self.sync()

    async def _run(self, operation: str, operands: Sequence[str | bytes]) -> Any:
        return await self._script(args=[operation, self._prefix, *operands])

    def _count(self, touches: int, asked: Sequence[tuple[str, ...]], found: Sequence[Resolved]) -> None:
        """Look-ups by what they brought; a touch whose ids came twice brings nothing the second time."""
        results: Counter[str] = Counter()
        for ids, answer in zip(asked, found, strict=True):
            if answer.facts:
                kinds = {fact.kind for fact in answer.facts}
                new = sum(fact.kind == "link" for fact in answer.facts) >= len(ids)
                result = next((name for kind, name in _RESULTS if kind in kinds), "new" if new else "linked")
                results[result] += 1
        results["hit"] = touches - results.total()
        for result, count in results.items():
            self._metrics.identity_lookups.labels(result).inc(count)

    async def sync(self) -> int:
        """Bring Redis up to the end of the log; returns how many facts were read.

        Raises:
            RedisError: it is away, or was flushed meanwhile.
            KafkaError: the log cannot be read.
        """
        self._settled = Settled()
        self._behind = False  # what gives rise to doubt from now on needs another sync
        try:
            return await sync(self._settings, lambda operation, operands: self._run(operation, operands), self._policy)
        except BaseException:
            self.suspect()
            raise
        finally:
            self.synced_at = time.monotonic()


def _says(error: BaseException, word: str) -> bool:
    """Whether the index itself answered with this."""
    return isinstance(error, ResponseError) and str(error).startswith(word)
