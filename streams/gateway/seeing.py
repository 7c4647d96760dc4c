"""What is known of customers now: their timelines from the view, their reservations, and how fresh all of that is.

One round trip to Redis, whatever the number of customers, for who they are and all that stands under their ids; another one for the
older parts of long timelines, two where a rule looks at whole companies, and one more where only a touch says which company. What cannot
be seen is named as a gap; a check with gaps is degraded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import redis.asyncio as redis
from msgspec.structs import replace
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as TimedOut

from streams.core.entry import DamagedError, Entry, key
from streams.core.govern import compiled as ready
from streams.core.govern.check import company, known
from streams.core.govern.colleagues import contacts_of
from streams.core.govern.records import Contact
from streams.core.policy import DAY_MS, HOUR_MS, Policy
from streams.core.timeline import WHOLE, Timeline, decode, segment_key
from streams.edge import companies, view
from streams.edge.lane import partition_of
from streams.gateway.holds import Found, Holds
from streams.gateway.memory import Memory, MemoryLost
from streams.gateway.people import Glance, People, Person
from streams.gateway.questions import Ask, Freshness, Gap, Seen
from streams.gateway.rules import Rules
from streams.settings import Settings

log = logging.getLogger("touchstream.gateway")

PATIENCE = 1.0
CONNECTIONS = 32
"""To Redis, opened as they are needed. A check under way holds one, and so does a reservation; those who find none wait."""

COLLEAGUES = 200
"""Customers of one company whose timelines are looked at, those in touch last: caps are far smaller."""

PLANNERS = 100
"""Further ones, those whose next plan is soonest."""

LATE_MS = HOUR_MS
"""So long after its time, and the policy's grace, a plan may stand that no timer has ended yet."""

AGAIN = 1
"""Further tries: an answer that came while this process was busy counts as late."""

AWAY = 0.5
"""Seconds without a try after Redis did not answer, so that an absent Redis does not cost each check its patience."""

BREATH = 8
"""Timelines read, or answers made, between two turns of the event loop: who asks now is not to wait for all of them."""

BEATS_FOR = 0.25
"""Seconds for which the freshness that was read is used; it changes once a second."""

BUILDING = 1.0
"""Seconds after a flush for which a check waits for the reservations to be built anew; then it is answered without them, as a check that
could not see enough, until they are."""

FAILURES = (RedisError, OSError)

Contacts = tuple[dict[str, Contact], dict[str, Contact]]
"""What colleagues got, and what is planned for them, each by touch id."""


class _Counted(Retry):
    """Tells of each try that failed, also if the next one did not."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        super().__init__(NoBackoff(), AGAIN)
        self._failed = failed

    async def call_with_retry(self, do: Any, fail: Any, *options: Any, **named: Any) -> Any:
        """As redis-py's."""

        async def counted(error: Exception, *count: int) -> None:
            self._failed("timeout" if isinstance(error, TimedOut) else "connection")
            await fail(error, *count)

        return await super().call_with_retry(do, counted, *options, **named)


class Eyes:
    """Reads for checks. One for each gateway process. `failed` is told of each try that Redis did not answer: timeout or connection."""

    def __init__(
        self, settings: Settings, policy: Policy, memory: Memory, failed: Callable[[str], None] = lambda _: None
    ) -> None:
        self._settings = settings
        self._redis = redis.Redis.from_pool(
            redis.BlockingConnectionPool.from_url(
                settings.redis_url,
                max_connections=CONNECTIONS,
                timeout=5 * PATIENCE,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=_Counted(failed),
                redis_connect_func=self._connected,
            )
        )
        self.people = People(settings, policy, self._redis)
        self.holds = Holds(settings, self._redis, memory)
        self._prefix = view.prefix(settings)
        self._beats_key = f"{self._prefix}beats"
        self._away_until = 0.0
        self._beats: tuple[float, Freshness | None] = (-BEATS_FOR, None)

    async def close(self) -> None:
        """Disconnect."""
        await self.holds.close()
        await self._redis.aclose()

    async def ping(self) -> bool:
        """Whether Redis answers, has all reservations, and a view that is fresh enough."""
        try:
            if not await self.holds.complete(BUILDING):
                return False
            return not self._behind(self._freshness_of(await self._redis.hgetall(self._beats_key)), _now())
        except (*FAILURES, MemoryLost):
            return False

    async def see(self, asks: Sequence[Ask], now: int, rules: Rules) -> list[Seen]:
        """What is known of each. Never fails for want of Redis: that is a gap."""
        if time.monotonic() >= self._away_until:
            try:
                return await self._see(asks, now, rules)
            except FAILURES as error:
                self._away_until = time.monotonic() + AWAY
                log.warning("Redis is away: %s: %s", type(error).__name__, error)
        return [self._blind(ask) for ask in asks]

    def guards(self, ask: Ask, person: Person, rules: Rules) -> tuple[str, ...]:
        """The ids under which no reservation may change between the check and the holding of a slot."""
        return (*person.persons, *((ask.account,) if ask.account and rules.account_wide else ()))

    async def _see(self, asks: Sequence[Ask], now: int, rules: Rules) -> list[Seen]:
        companies_ = [ask.account if rules.account_wide else None for ask in asks]
        glance, freshness = await self._glance(asks, companies_)
        if not self.holds.is_complete(glance.ready):
            with contextlib.suppress(MemoryLost):  # the builder logs it
                if await self.holds.complete(BUILDING):
                    glance, freshness = await self._glance(asks, companies_)
        if rules.account_wide and None in companies_:
            asks = [self._of_company(ask, one, glance.timelines) for ask, one in zip(asks, glance.people, strict=True)]
            if companies_ != (named := [ask.account for ask in asks]):  # what is reserved for these is to be seen, too
                companies_ = named
                glance, freshness = await self._glance(asks, companies_)
        gaps: list[Gap] = [] if glance.synced else ["identity_incomplete"]
        if self._behind(freshness, now):
            gaps.append("view_behind")
        if not self.holds.is_complete(glance.ready):
            gaps.append("reservations_incomplete")
        people = glance.people
        mates = await self._colleagues(companies_, people, now, rules.policy)
        values = glance.timelines | await self._timelines({m for some in mates for m in some} - glance.timelines.keys())
        segments = await self._segments(values, now, rules)
        told = []
        looked: dict[tuple[str, int], Contacts] = {}
        for n, (ask, person, some) in enumerate(zip(asks, people, mates, strict=True), start=1):
            others = await self._of_mates(some, values, segments, max(ask.contact.at, now), rules.policy, looked)
            guards = self.guards(ask, person, rules)
            told.append(
                self._one(
                    ask, person, guards, values, segments, glance.held, freshness, tuple(gaps), now, others, rules
                )
            )
            if n % BREATH == 0:
                await asyncio.sleep(0)
        return told

    def _of_company(self, ask: Ask, person: Person, timelines: Mapping[str, tuple[bytes | None, bytes | None]]) -> Ask:
        """The question with the company that the customer's newest touch names, where who asks names none."""
        if ask.account is not None:
            return ask
        named: list[tuple[int, str]] = []
        for customer in person.customers:
            value = timelines[customer][1]
            with contextlib.suppress(DamagedError):  # said when it is used
                found = company(self._timeline(customer, value, {})) if value else None
                named += [found] if found else []
        if not named:
            return ask
        _, name = max(named)
        return replace(ask, account=self.people.account(name), standing=replace(ask.standing, account=name))

    async def _glance(self, asks: Sequence[Ask], companies_: Sequence[str | None]) -> tuple[Glance, Freshness | None]:
        """What stands under these, and how fresh that is."""
        read_at, freshness = self._beats
        is_old = time.monotonic() - read_at >= BEATS_FOR
        glance = await self.people.see([ask.ids for ask in asks], companies_, is_old)
        if glance.beats is not None:
            freshness = self._freshness_of(glance.beats)
        return glance, freshness

    async def _timelines(self, customers: Collection[str]) -> dict[str, tuple[bytes | None, bytes | None]]:
        """Of each, whether the copy of its partition is whole, and its timeline."""
        if not customers:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for customer in customers:
            pipe.hmget(self._place(customer), [view.WHOLE.decode(), customer])
        return dict(zip(customers, map(tuple, await pipe.execute()), strict=True))

    def _place(self, customer: str) -> str:
        return f"{self._prefix}{partition_of(customer.encode(), self._settings.partitions)}"

    def _one(
        self,
        ask: Ask,
        person: Person,
        guards: tuple[str, ...],
        values: dict[str, Any],
        segments: dict[bytes, bytes],
        held: dict[str, Any],
        freshness: Freshness | None,
        gaps: tuple[Gap, ...],
        now: int,
        mates: Contacts,
        rules: Rules,
    ) -> Seen:
        found = self.holds.found(guards, [held[id_] for id_ in guards], now)
        own = {id_: one for id_, one in found.live.items() if not person.persons_apart(one.persons)}
        made, planned = mates
        others = {one.touch_id: one.contact() for id_, one in found.live.items() if id_ not in own} | made
        standing = replace(
            ask.standing,
            held=tuple(replace(one.contact(), customer="") for one in own.values()),  # whatever id they went by then
            account_contacts=(*ask.standing.account_contacts, *others.values()),
            account_planned=tuple(planned.values()),
        )
        history: Sequence[Entry] = ()
        for customer in person.customers:
            whole, value = values[customer]
            if not whole:
                gaps = (*gaps, "view_incomplete")
            if value is None:
                continue
            try:
                timeline = self._timeline(customer, value, segments)
                some, standing = known(timeline, rules.policy, max(ask.contact.at, now), standing)
                if timeline.plans and rules.policy.planned.checks != "ignore":
                    standing = replace(standing, planned=(*standing.planned, *timeline.plans))
                history = sorted((*history, *some), key=key) if history else some
            except DamagedError as error:  # changed while it was read; or a layout of a newer worker
                log.warning("the view of %s cannot be read: %s", customer, error)
                gaps = (*gaps, "view_incomplete")
        return Seen(ask, person, history, standing, found, freshness, tuple(dict.fromkeys(gaps)))

    async def _colleagues(
        self, asked: Sequence[str | None], people: Sequence[Person], now: int, policy: Policy
    ) -> list[list[str]]:
        """The other customers of each company, those in touch last, and those with a plan soon unless the policy ignores plans; none where
        none is asked for."""
        named = list(dict.fromkeys(filter(None, asked)))
        if not named:
            return [[] for _ in asked]
        pipe = self._redis.pipeline(transaction=False)
        companies.colleagues(pipe, self._settings, named, COLLEAGUES)
        planned = policy.planned
        if planned.checks != "ignore":
            companies.planners(pipe, self._settings, named, PLANNERS, now - planned.grace_ms - LATE_MS)
        answers: list[list[bytes]] = await pipe.execute()
        found = {name: [one for some in answers[n :: len(named)] for one in some] for n, name in enumerate(named)}
        return [
            [id_ for one in dict.fromkeys(found[account]) if (id_ := one.decode()) not in person.persons]
            if account
            else []
            for account, person in zip(asked, people, strict=True)
        ]

    async def _of_mates(
        self,
        mates: Sequence[str],
        values: dict[str, Any],
        segments: dict[bytes, bytes],
        at: int,
        policy: Policy,
        looked: dict[tuple[str, int], Contacts],
    ) -> Contacts:
        """What colleagues got, and what is planned for them. `looked` is what was made out of each in this look already."""
        made: dict[str, Contact] = {}
        planned: dict[str, Contact] = {}
        for mate in mates:
            found = looked.get((mate, at))
            if found is None:
                found = looked[mate, at] = self._contacts(mate, values, segments, at, policy)
                if len(looked) % BREATH == 0:
                    await asyncio.sleep(0)
            made |= found[0]
            planned |= found[1]
        return made, planned

    def _contacts(
        self, customer: str, values: dict[str, Any], segments: dict[bytes, bytes], at: int, policy: Policy
    ) -> Contacts:
        """Contacts of a colleague as far back as rules look, and what is planned, by touch id."""
        _, value = values[customer]
        if value is None:  # erased, or not copied yet
            return {}, {}
        try:
            timeline = self._timeline(customer, value, segments)
            entries, _ = known(timeline, policy, at)
            made = contacts_of(customer, entries, policy)
            if not timeline.plans or policy.planned.checks == "ignore":
                return made, {}
            until = at + int(policy.governance.horizon_days * DAY_MS) + ready.of(policy).reach_ms
            return made, companies.plans_of(customer, timeline.plans, until)
        except DamagedError as error:
            log.warning("the view of %s cannot be read: %s", customer, error)
            return {}, {}

    def _timeline(self, customer: str, value: bytes, segments: dict[bytes, bytes]) -> Timeline:
        return decode(value, lambda digest: segments.get(segment_key(customer.encode(), digest)))

    async def _segments(self, values: dict[str, Any], now: int, rules: Rules) -> dict[bytes, bytes]:
        """The parts of long timelines that a rule may look at."""
        wanted: list[tuple[str, bytes]] = []
        start = now - ready.of(rules.policy).reach_ms
        for customer, (_, value) in values.items():
            if value is None or value[:1] == WHOLE:  # most are, and have none
                continue
            try:
                entries = self._timeline(customer, value, {}).entries
            except DamagedError:
                continue  # said when it is used
            if not isinstance(entries, tuple):
                wanted += [
                    (customer, segment_key(customer.encode(), part.row.digest))
                    for part in entries.segments
                    if part.row.last[0] >= start
                ]
        if not wanted:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for customer, field in wanted:
            pipe.hget(self._place(customer), field)
        found = await pipe.execute()
        return {field: part for (_, field), part in zip(wanted, found, strict=True) if part is not None}

    def _freshness_of(self, told: Mapping[Any, Any]) -> Freshness | None:
        """By the beats; None while a partition has not been told of."""
        beats = [view.decode_beat(beat) for beat in told.values()]
        freshness = None
        if len(beats) >= self._settings.partitions:
            freshness = Freshness(min(beat.fresh_at for beat in beats), max(beat.lag for beat in beats))
        self._beats = time.monotonic(), freshness
        return freshness

    def _behind(self, freshness: Freshness | None, now: int) -> bool:
        if freshness is None or freshness.lag > self._settings.view_max_lag:
            return True
        return now - freshness.fresh_at > self._settings.view_max_age * 1000

    async def _connected(self, connection: Any) -> None:
        await connection.on_connect()
        await self.holds.connected(connection)

    def _blind(self, ask: Ask) -> Seen:
        person = Person(ask.ids[:1], ask.ids)
        return Seen(ask, person, (), ask.standing, Found({}, (), {}), None, ("redis_away",))


def _now() -> int:
    return time.time_ns() // 1_000_000
