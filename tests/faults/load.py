"""Touches at a steady rate through the SDK, bad records between them, and the memory of what Kafka acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from streams import Client
from streams.core.outcome import RejectReason
from streams.core.touch import Customer, Touch
from streams.edge.client import Sent
from streams.edge.codec import Codec
from streams.edge.kafka_auth import client_options
from streams.settings import Settings
from tests.support import bad_records, histories
from tests.support.bad_records import Bad

CUSTOMERS = 150
"""Of one epoch; few enough that touches meet, many enough that timelines stay short."""

EXPECTED = 40_000
"""Touches over which a history spreads its 14 days; at 200 a second, 20 s of load are a day and a half."""

BAD_EVERY = 40
"""Touches between two bad records."""

TICK = 0.1

Address = tuple[str, int, int]
"""Topic (full name), partition, offset."""


def epoch(number: int, seed: int) -> Iterator[Touch]:
    """The touches of one epoch: customers that no other epoch has, so that its findings can be compared by themselves."""
    for touch in histories.stream(seed * 1000 + number, CUSTOMERS, EXPECTED):
        yield replace(touch, customer=_moved(touch.customer, number))


def _moved(customer: Customer, epoch: int) -> Customer:
    crm_id, url = customer.crm_id, customer.linkedin_url
    return replace(
        customer,
        email=customer.email and f"e{epoch}-{customer.email}",
        crm_id=crm_id and f"003{int(crm_id[3:]) + epoch * CUSTOMERS:09d}",
        linkedin_url=url and f"{url}-{epoch}",
        phone=customer.phone and f"+1415{int(customer.phone[5:]) + epoch * CUSTOMERS:07d}",
    )


def strewn(codec: Codec) -> list[Bad]:
    """All bad records but the one that no topic takes, in a fixed order."""
    bad = [*bad_records.undecodable(codec), *bad_records.senseless(codec), *bad_records.behind_ingest(codec)]
    random.Random(1).shuffle(bad)
    return bad


class Load:
    """One epoch's publishing, in a thread from `start` to `stop`. Each touch is tried until Kafka has acknowledged it."""

    def __init__(self, settings: Settings, touches: Iterator[Touch], rate: float, bad_from: int = 0) -> None:
        self._settings, self._touches, self._rate = settings, touches, rate
        self._bad = itertools.islice(itertools.cycle(strewn(Codec())), bad_from, None)
        self._stop = threading.Event()
        self.may_be_bad = threading.Event()
        """While it is cleared, no bad record is published."""
        self.may_be_bad.set()
        self._given_up = False
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.acknowledged: list[Touch] = []
        self.poison: dict[Address, RejectReason] = {}
        self.refusals = 0
        """Batches that Kafka did not take at the first try."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def give_up(self) -> None:
        """Publish nothing more, also what was begun; for an epoch that has failed."""
        self._given_up = True
        self._stop.set()
        self._thread.join(60)

    def stop(self, seconds: float = 180) -> None:
        """No new touches; returns when all that were begun are acknowledged."""
        self._stop.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"the load could not be published within {seconds:g} s"
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            asyncio.run(self._publish())
        except BaseException as error:  # noqa: BLE001 - raised by stop()
            self._failed = error

    async def _publish(self) -> None:
        began, count = time.monotonic(), 0
        async with Client(settings=self._settings, timeout=15) as client:
            while not self._stop.is_set():
                due = int((time.monotonic() - began) * self._rate) - count
                if due > 10 * self._rate:  # it was held up: go on at the rate, do not make up for it
                    began, due = time.monotonic() - count / self._rate, 0
                batch = list(itertools.islice(self._touches, min(due, 500)))
                await self._acknowledge(client, batch)
                if self.may_be_bad.is_set() and count // BAD_EVERY != (count + len(batch)) // BAD_EVERY:
                    await self._poison(next(self._bad))
                count += len(batch)
                await asyncio.sleep(TICK)

    async def _acknowledge(self, client: Client, batch: list[Touch]) -> None:
        rest = batch
        while rest and not self._given_up:
            results = await client.attempt(rest)
            self.acknowledged += [touch for touch, r in zip(rest, results, strict=True) if isinstance(r, Sent)]
            rest = [touch for touch, r in zip(rest, results, strict=True) if not isinstance(r, Sent)]
            if rest:
                self.refusals += 1
                await asyncio.sleep(1)

    async def _poison(self, bad: Bad) -> None:
        """One bad record. A try that is not acknowledged may be stored all the same, so it is not repeated."""
        topic = self._settings.topic(bad.topic)
        try:
            async with asyncio.timeout(15), AIOKafkaProducer(acks="all", **client_options(self._settings)) as producer:
                place = await producer.send_and_wait(topic, bad.value, key=bad.key)
        except Exception:  # noqa: BLE001 - the broker is away: that is the fault, and this record is not counted
            self.refusals += 1
            return
        self.poison[place.topic, place.partition, place.offset] = bad.reason


def publish_before(settings: Settings) -> list[Touch]:
    """The good touches that some bad records clash with; they must be processed before these."""
    touches = bad_records.before_senseless()
    with Client.sync(settings=settings) as client:
        client.send_many(touches)
    return touches
