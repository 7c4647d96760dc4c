"""Checks, and slots that are held. The policy's rules decide; what is here is that of two who ask at once only one gets the slot."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from streams.core.govern.check import check
from streams.core.govern.records import Verdict
from streams.core.policy import DAY_MS, Policy
from streams.core.reservation import Reservation, reservation_id
from streams.gateway import rules
from streams.gateway.memory import Memory, MemoryLost
from streams.gateway.questions import Ask, Seen
from streams.gateway.rules import Rules
from streams.gateway.seeing import AWAY, BREATH, FAILURES, Eyes
from streams.settings import Settings

ATTEMPTS = 200
"""Checks made again because somebody else was quicker with the same customer; each time one of them gets on."""

TOGETHER = 256
"""Single checks that are looked at together at most, under load: what a look costs whatever their number counts less with more of them."""

LOOKS, SLOW = 3, 0.05
"""Looks under way at most, and the seconds after which one begins beside the last. Usually there is one: two that share what comes would
be smaller, and cost more together. But Redis may leave one without an answer for a second, and the others are not to wait for it."""

APART = 0.004
"""Seconds between the beginnings of two looks. A check that comes when none was made for so long is looked at at once; at some hundred a
second they are looked at together by twos and threes."""

MOST_WAITING = 2000
"""Single checks that may wait; more would wait for seconds, so who comes then is told to come again."""

PAUSE = 0.002
AT_ONCE = 16
"""Reservations under way together; the others wait for their turn. A burst of hundreds would have them all ask Redis again and again, and
keep the process so busy that answers which have come count as late."""

PATIENCE = 5.0
"""Seconds for which reservations wait for a Redis or a Kafka that is away; once it is away for longer, they are refused at once."""

GIVING_BACK = 10
"""Tries to free the slot of a reservation that Kafka did not take."""

LONGEST_MS = 30 * DAY_MS
"""A committed reservation waits for its touch so long at most."""


class Unavailable(Exception):
    """Nothing can be held now; the text says why."""


class Conflict(Exception):
    """The reservation is not in the state that this needs."""


class TouchIdTaken(Conflict):
    """The touch id is reserved for another customer."""


class Expired(Exception):
    """The reservation ended before it was committed."""


class Answer(Struct, frozen=True):
    """`allowed` is the verdict's, unless the check could not see enough and the policy says that it fails closed."""

    allowed: bool
    verdict: Verdict
    seen: Seen
    rules: Rules


class Gate:
    """One for each gateway process."""

    def __init__(self, settings: Settings, policy: Policy, eyes: Eyes, memory: Memory) -> None:
        self._settings, self._eyes, self._memory = settings, eyes, memory
        self._waiting: list[tuple[Ask, asyncio.Future[Answer]]] = []
        self._looks: set[asyncio.Task[None]] = set()
        self._looking_since = 0.0
        self._looked_at = 0.0
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._away_since: float | None = None
        self.rules = rules.of(policy)

    def use(self, policy: Policy) -> None:
        """Answer by this policy what is asked from now on; a question that is being looked at goes on by the one it began with."""
        self.rules = rules.of(policy)
        self._eyes.people.use(policy)

    async def check_one(self, ask: Ask) -> Answer:
        """The answer to one question. Questions that come while others are looked at are looked at together: one trip to Redis for all.

        Raises:
            Unavailable: too many wait.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable("too many checks wait; ask again")
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((ask, waiting))
        if not self._looks or (len(self._looks) < LOOKS and time.monotonic() - self._looking_since > SLOW):
            look = loop.create_task(self._look())
            self._looking_since = time.monotonic()
            self._looks.add(look)
        return await waiting

    async def _look(self) -> None:
        try:
            while self._waiting:
                if (wait := self._looked_at + APART - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                self._looking_since = self._looked_at = time.monotonic()
                together = self._waiting[:TOGETHER]
                del self._waiting[:TOGETHER]
                if together:  # else another look was quicker
                    await self._tell(together)
        finally:  # at once: whoever is told may ask again before anybody hears that this task has ended
            self._looks -= {task for task in (asyncio.current_task(),) if task}

    async def _tell(self, together: Sequence[tuple[Ask, asyncio.Future[Answer]]]) -> None:
        told = iter(together)
        try:
            async for answer in self._answers([ask for ask, _ in together]):
                _, waiting = next(told)
                if not waiting.done():
                    waiting.set_result(answer)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            for _, waiting in told:
                if not waiting.done():
                    waiting.set_exception(error)

    async def check(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers, in order."""
        return [answer async for answer in self._answers(asks)]

    async def _answers(self, asks: Sequence[Ask]) -> AsyncIterator[Answer]:
        now, by = _now(), self.rules
        seen = await self._eyes.see(asks, now, by)
        for n, one in enumerate(seen, start=1):
            yield _answer(one, now, by)
            if n % BREATH == 0:
                await asyncio.sleep(0)

    async def reserve(self, ask: Ask, seconds: float, by: str) -> tuple[Answer, Reservation | None]:
        """The answer, and the reservation if it is allowed: in Redis and in Kafka when this returns. `ask.contact.id` is the id that the
        touch will have; asked again with the same id, the same reservation is the answer.

        Raises:
            Unavailable: Redis or Kafka is away, or the customer is too busy.
            TouchIdTaken: this id is reserved for another customer.
        """
        ask = replace(ask, contact=replace(ask.contact, id=ask.contact.id or str(uuid.uuid4())))
        async with self._turn:
            while True:
                began = time.monotonic()
                try:
                    answered = await self._reserve(ask, seconds, by)
                except Unavailable:
                    self._away_since = self._away_since or began
                    if time.monotonic() - self._away_since >= PATIENCE:
                        raise
                else:
                    # A refusal needs no Kafka: it says nothing of it.
                    if answered[1] is not None or not self._memory.is_lost:
                        self._away_since = None
                    return answered
                await asyncio.sleep(AWAY)

    async def _reserve(self, ask: Ask, seconds: float, by: str) -> tuple[Answer, Reservation | None]:
        id_ = reservation_id(ask.contact.id)
        try:
            for attempt in range(ATTEMPTS):
                known = await self._eyes.holds.get(id_)
                now, rules_ = _now(), self.rules
                (seen,) = await self._eyes.see([ask], now, rules_)
                if "redis_away" in seen.gaps or "reservations_incomplete" in seen.gaps:
                    raise Unavailable("reservations cannot be read now")
                now = _now()  # not before anything that was seen: a cap looks at what is before
                answer = _answer(seen, now, rules_)
                same = seen.found.live.get(id_)  # perhaps a colleague's, whose company the rules look at
                holder = same or (known[0] if known is not None and known[0].is_live(now) else None)
                if holder is not None and seen.person.persons_apart(holder.persons):
                    raise TouchIdTaken(
                        f"the touch id {ask.contact.id} is reserved for another customer; each touch needs an id of its own"
                    )
                if same is not None:
                    self._memory.admit()
                    await self._memory.write(same)
                    if await self._stands(same):
                        return answer, same
                    continue
                if not answer.allowed:
                    return answer, None
                self._memory.admit()
                one = _made(seen, seconds, by, now, rules_)
                guards = self._eyes.guards(seen.ask, seen.person, rules_)
                if await self._eyes.holds.hold(one, seen.found, guards, now, known[1] if known else b"") == "held":
                    if await self._kept(one):
                        return answer, one
                else:
                    await asyncio.sleep(random.uniform(0, PAUSE * min(attempt + 1, 20)))  # noqa: S311 - only spreads tries
        except FAILURES as error:
            raise Unavailable(f"Redis is away: {error}") from error
        except MemoryLost as error:
            raise Unavailable(str(error)) from error
        raise Unavailable("too many ask for this customer at once; ask again")

    async def settle(self, id_: str, state: str, touch_id: str | None = None) -> Reservation | None:
        """Commit or release a reservation; it is so in Redis and in Kafka when this returns. None when nobody knows it.

        Raises:
            Conflict: it was released, or cannot be any more.
            Expired: it was not committed in time.
            Unavailable: Redis or Kafka is away.
        """
        try:
            for _ in range(ATTEMPTS):
                found = await self._eyes.holds.get(id_)
                if found is None:
                    return None
                old, record = found
                now = _now()
                new = self._settled(old, state, touch_id, now)
                if new is not old and await self._eyes.holds.settle(record, new, now) != "done":
                    continue
                await self._memory.write(new)
                if await self._stands(new):
                    return new
        except FAILURES as error:
            raise Unavailable(f"Redis is away: {error}") from error
        except MemoryLost as error:
            raise Unavailable(str(error)) from error
        raise Unavailable("the reservation changed again and again; ask again")

    async def get(self, id_: str) -> Reservation | None:
        """A reservation in its present state. Raises Unavailable."""
        try:
            found = await self._eyes.holds.get(id_)
        except (*FAILURES, MemoryLost) as error:
            raise Unavailable(str(error)) from error
        return None if found is None else found[0]

    def _settled(self, old: Reservation, state: str, touch_id: str | None, now: int) -> Reservation:
        if old.state == state and touch_id in (None, old.touch_id):
            return old
        if old.state != "held":
            raise Conflict(f"the reservation is {old.state}")
        if old.expires_at <= now:
            raise Expired("the reservation has expired; ask for another one")
        if state == "released":
            return replace(old, state="released", updated_at=now)
        awaited = min(int(self.rules.policy.touch.late_after_days * DAY_MS), LONGEST_MS)
        ends = max(old.at, now) + awaited
        return replace(old, state="committed", touch_id=touch_id or old.touch_id, expires_at=ends, updated_at=now)

    async def _kept(self, one: Reservation) -> bool:
        """Write it to Kafka; whether Redis still has it then. What Kafka does not take is not held."""
        try:
            await self._memory.write(one)
        except MemoryLost:
            await self._given_back(one)
            raise
        return await self._stands(one)

    async def _given_back(self, one: Reservation) -> None:
        """Free the slot in Redis, also when Redis hangs for a moment. Raises what Redis does if it is away for longer: then the slot is
        free when the hold expires."""
        for left in reversed(range(GIVING_BACK)):
            try:
                found = await self._eyes.holds.get(one.reservation_id)
                if found is None or found[0].state != "held":
                    return
                await self._eyes.holds.settle(found[1], replace(one, state="released"), _now())
            except FAILURES:
                if not left:
                    raise
                await asyncio.sleep(AWAY)

    async def _stands(self, one: Reservation) -> bool:
        """Whether Redis has it still. If its customer was erased meanwhile, Kafka is not to have it either."""
        stands = await self._eyes.holds.stands(one)
        if not stands and await self._eyes.holds.is_erased(one.reservation_id):
            await self._memory.forget(one.reservation_id)
        return stands


def _answer(seen: Seen, now: int, by: Rules) -> Answer:
    verdict = check(seen.history, seen.ask.contact, by.policy, now, seen.standing)
    closed = bool(seen.gaps) and by.degraded == "fail_closed"
    return Answer(verdict.allowed and not closed, verdict, seen, by)


def _made(seen: Seen, seconds: float, by: str, now: int, rules_: Rules) -> Reservation:
    c = seen.ask.contact
    ends = None if c.offer_ends is None else c.offer_ends.toordinal() - 719_163
    return Reservation(
        reservation_id(c.id), "held", seen.person.customer_id, seen.person.persons, c.id, max(c.at, now),
        now + int(seconds * 1000), c.channel, c.department, c.kind, c.campaign, c.category, c.sequence, c.actor_id,
        c.actor_kind, c.priority, c.offer, ends, seen.ask.account, now, now, by, rules_.version,
    )  # fmt: skip


def _now() -> int:
    return time.time_ns() // 1_000_000
