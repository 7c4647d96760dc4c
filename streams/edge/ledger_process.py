"""`touchstream ledger`: the topics, as figures that are kept up to date.

What is read becomes facts. What is new of them is written to the ledger's own topic and acknowledged, then the offsets are committed: so
the topic holds all that was ever committed, and a start reads that topic and goes on. Facts may be read any number of times
(`streams.core.ledger.facts`), so wherever a process ends, nothing is lost or counted twice. When all that was there has been read, the
periods that it affects are reckoned anew, as `touchstream report` does, and figures that differ from the published ones are published with
the next revision. What a deal's new stage means for a lead goes to the topic `commands`, acknowledged before the fact is written: after a
crash it may be told twice, under the same id. One process works at a time, and more stand by (`streams.edge.ledger_turn`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from streams.core.commands import Command
from streams.core.leads.deals import Deals
from streams.core.ledger import books, facts, totals
from streams.core.ledger.facts import ErasedFact, Fact, Facts
from streams.core.ledger.figures import compute
from streams.core.ledger.lead_figures import LeadFigures, lead_figures
from streams.core.ledger.period import quarter_of
from streams.core.ledger.result import Ledger
from streams.core.ledger.spend import with_rates
from streams.core.ledger.totals import Figure, Total
from streams.core.outcome import Rejected
from streams.core.policy import Policy
from streams.edge import crash_points
from streams.edge.codec import Codec
from streams.edge.encoding import letter_record
from streams.edge.ledger_input import Input
from streams.edge.ledger_metrics import LedgerMetrics
from streams.edge.ledger_turn import AT_ONCE, Turn, joined
from streams.edge.ledger_view import LedgerView
from streams.edge.ledger_writer import LedgerWriter, Superseded
from streams.edge.publisher import Publisher, PublishError, Record, describe
from streams.edge.reader import ReadError, Stored, learn, open_codec, read
from streams.edge.topics import COMMANDS, LEDGER
from streams.settings import Settings

log = logging.getLogger("touchstream.ledger")

REFRESH_SECONDS = 2.0
REST = 3
"""After a reckoning the process reads for at least so many times as long as it took."""

ASK_SECONDS = 0.5
"""Kafka is asked at most so often where the topics end, however many records come."""


class LedgerProcess:
    """See the module."""

    def __init__(self, settings: Settings, policy: Policy, metrics: LedgerMetrics) -> None:
        self._settings, self._policy, self._metrics = settings, policy, metrics
        self._facts = Facts()
        self._deals = Deals(self._facts)
        self._published: defaultdict[str, dict[Figure, Total]] = defaultdict(dict)
        self._earlier: dict[str, Ledger] = {}
        self._leads = LeadFigures()
        self._told: set[str] = set()
        self._quarter = ""  # that of the figures at /metrics; empty when they are to be shown anew
        self._ends: dict[TopicPartition, int] = {}
        self._due_at = 0.0
        self._asked_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop.

        Raises:
            ReadError, PublishError: Kafka, a topic or a schema registry is not there, or did not take a record.
            Superseded: another process has taken over.
            Damaged, DecodeError: what the ledger itself has written cannot be read.
        """
        view = LedgerView(self._settings)
        try:
            async with open_codec(self._settings) as codec:
                await codec.prepare()
                source = Input(self._settings, self._policy, codec)
                consumer, turn = await joined(self._settings, source.topics)
                try:
                    await _stand_by(consumer, turn, stop)
                    if not stop.is_set():
                        async with LedgerWriter(self._settings) as writer, Publisher(self._settings) as publisher:
                            await self._recall(source, codec)
                            await self._go_on(consumer)
                            while not stop.is_set():
                                await self._step(consumer, turn, source, codec, writer, publisher, view)
                finally:
                    await consumer.stop()
        except (KafkaError, OSError) as error:
            raise ReadError(f"cannot go on with Kafka at {self._settings.bootstrap}: {describe(error)}") from error
        finally:
            await view.close()

    async def _recall(self, source: Input, codec: Codec) -> None:
        """What was known, and what was published."""
        started = time.monotonic()
        erasures: list[ErasedFact] = []
        async for stored in read(self._settings, [source.log], start="beginning", follow=False):
            for fact in facts.apart(_sound(source.facts(stored), stored.address), erasures):
                self._facts.join(fact)
            if stored.offset % 1000 == 0:
                await asyncio.sleep(0)  # the group hears of this process meanwhile
        self._facts.erase(erasures)
        async for stored in read(self._settings, [self._settings.topic(LEDGER)], start="beginning", follow=False):
            if stored.value is not None:
                await learn(codec, stored.value, stored.address)
                total = codec.decode_total(stored.value)
                known = self._published[total.period].get(total.place[1:])
                if known is None or total.revision > known.revision:
                    self._published[total.period][total.place[1:]] = total
        self._facts.span = facts.ALWAYS
        self._deals = Deals(self._facts)
        log.info("recalled %d touches in %.1f s", len(self._facts.touches), time.monotonic() - started)

    async def _go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Read on where the last process ended. Asked only now: its last transaction has ended with its turn."""
        partitions = list(consumer.assignment())
        for partition in partitions:
            at = await consumer.committed(partition)
            if at is None:
                await consumer.seek_to_beginning(partition)
            else:
                consumer.seek(partition, at)
        self._ends = dict(await consumer.end_offsets(partitions))

    async def _step(
        self,
        consumer: AIOKafkaConsumer,
        turn: Turn,
        source: Input,
        codec: Codec,
        writer: LedgerWriter,
        publisher: Publisher,
        view: LedgerView,
    ) -> None:
        if turn.moved:
            await _still_ours(consumer, turn, writer)
        polled = await consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
        records = [
            Stored(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value)
            for batch in polled.values()
            for one in batch
        ]
        if records:
            news, commands = await self._learned(records, source, codec)
            await self._tell(commands, codec, publisher)
            await writer.write(news, {tp: batch[-1].offset + 1 for tp, batch in polled.items() if batch})
            crash_points.reach("ledger_after_facts")
        now = time.monotonic()
        if now < self._due_at:
            return
        self._due_at = now + ASK_SECONDS
        if not await self._caught_up(consumer):
            return
        if self._facts.changed:
            await self._refresh(codec, writer, view)
        elif now > self._asked_at:
            self._asked_at = now + 15 * REFRESH_SECONDS
            await view.write((), self._everything())
            self._show_now()

    async def _caught_up(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether all that was there at the start has been read. Figures of a half of it would be told as changes."""
        try:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            positions = {tp: await consumer.position(tp) for tp in ends}
        except IllegalStateError:  # the group divides anew just now; what comes of it is seen in the next step
            return False
        self._metrics.lag.set(sum(max(0, ends[tp] - at) for tp, at in positions.items()))
        self._ends = {tp: end for tp, end in self._ends.items() if positions.get(tp, 0) < end}
        return bool(ends) and not self._ends

    async def _tell(self, commands: Sequence[Command], codec: Codec, publisher: Publisher) -> None:
        """What deals say of leads. Not in the transaction: its markers would stand in a topic that workers read."""
        topic = self._settings.topic(COMMANDS)
        records = [Record(topic, one.customer_id.encode(), codec.encode_command(one)) for one in commands]
        for result in await publisher.publish_many(records) if records else ():
            if isinstance(result, PublishError):
                raise result

    async def _learned(
        self, records: Sequence[Stored], source: Input, codec: Codec
    ) -> tuple[list[Record], list[Command]]:
        """What is new in records, for the ledger's own topic, and dead letters of those that cannot be used; and what is to be told."""
        taken: list[tuple[Fact, int]] = []
        erasures: list[ErasedFact] = []
        letters: list[Rejected] = []
        for stored in records:
            if stored.value is not None:
                await learn(codec, stored.value, stored.address)
            found = source.facts(stored)
            if isinstance(found, Rejected):
                letters.append(found)
                continue
            taken += [(fact, stored.timestamp) for fact in facts.apart(found, erasures)]
        # First, so that nothing more is told of who was erased.
        changed, commands = self._facts.erase(erasures), list[Command]()
        for fact, received_at in taken:
            news, said = self._deals.take(fact, received_at)
            changed.update(news)
            commands += said
        now = time.time_ns() // 1_000_000
        for one in letters:
            log.warning("not taken into the ledger: %s: %s", one.reason, one.detail)
        return [
            *(letter_record(one, self._settings, codec, now) for one in letters),
            *(Record(source.log, key, None if fact is None else facts.encode(fact)) for key, fact in changed.items()),
        ], commands

    async def _refresh(self, codec: Codec, writer: LedgerWriter, view: LedgerView) -> None:
        """Reckon the affected periods anew, and publish what is different."""
        started = time.monotonic()
        changed = await asyncio.to_thread(self._reckoned)
        topic = self._settings.topic(LEDGER)
        crash_points.reach("ledger_before_figures")
        if changed:
            await writer.write(
                [Record(topic, "|".join(one.place).encode(), codec.encode_total(one)) for one in changed]
            )
        crash_points.reach("ledger_after_figures")
        for one in changed:
            self._published[one.period][one.place[1:]] = one
        await view.write(changed, self._everything())
        self._quarter = ""
        self._show_now()
        for kind in ("touches", "homes", "deals", "costs", "leads", "conflicts"):
            self._metrics.facts.labels(kind).set(len(getattr(self._facts, kind)))
        took = time.monotonic() - started
        self._metrics.refresh_seconds.set(took)
        self._due_at = time.monotonic() + max(REFRESH_SECONDS, REST * took)
        log.info("%d figures changed, reckoned in %.1f s", len(changed), took)

    def _reckoned(self) -> list[Total]:
        span = self._facts.spanned()
        if span is None:  # customers have other identifiers, of which nothing is known
            return []
        resolved, left = with_rates(books.resolve(self._facts), self._policy.ledger)
        for text in left.keys() - self._told:
            log.warning("left out of the figures: %s", text)
        self._told |= left.keys()
        self._leads = lead_figures(books.leads(self._facts), resolved.touches, self._policy)
        changed: list[Total] = []
        standing = [*totals.standing(self._published), *(label for label, one in self._earlier.items() if one.funnel)]
        for period in totals.affected(span, resolved, self._policy.ledger.lookback_days, standing):
            ledger = compute(resolved, period, self._policy.ledger)
            changed += totals.revised(self._published[period.label], ledger, self._earlier.get(period.label))
            self._earlier[period.label] = ledger
        return changed

    def _show_now(self) -> None:
        """What holds at this moment, whether or not anything has changed: a lead is overdue, a quarter begins."""
        now = time.time_ns() // 1_000_000
        if self._quarter != (quarter := quarter_of(now)):
            self._quarter = quarter
            self._metrics.show(self._everything(), self._policy.ledger, now)
            funnels = {label: ledger.funnel for label, ledger in self._earlier.items() if "-Q" in label}
            self._metrics.show_funnels(funnels, now)
            self._metrics.show_leads(self._leads, now)
        self._metrics.show_open(self._leads.open, now)
        self._metrics.current.set(now / 1000)

    def _everything(self) -> list[Total]:
        return [total for figures in self._published.values() for total in figures.values()]


async def _stand_by(consumer: AIOKafkaConsumer, turn: Turn, stop: asyncio.Event) -> None:
    """Until it is this process' turn, or it is told to stop."""
    told = False
    while not (turn.mine.is_set() or stop.is_set()):
        await consumer.getmany(timeout_ms=500)  # what it brings is read again
        if turn.moved and not turn.mine.is_set() and not told:
            told = True
            log.info("another process works; standing by")
    turn.moved = False


async def _still_ours(consumer: AIOKafkaConsumer, turn: Turn, writer: LedgerWriter) -> None:
    """The group has divided anew. Whether another process worked in between, a transaction tells: it would be refused.

    Raises:
        Superseded: another process has the turn, or had it.
    """
    turn.moved = False
    if not turn.mine.is_set():
        raise Superseded
    await writer.write((), {tp: await consumer.position(tp) for tp in consumer.assignment()})


def _sound(found: list[Fact] | Rejected, address: str) -> Iterable[Fact]:
    """The ledger's own facts. An older release took what no figure can be reckoned with: that is left out, and said at each start."""
    if isinstance(found, Rejected):
        log.warning("left out of what was recalled: %s: %s", address, found.detail)
        return ()
    return found
