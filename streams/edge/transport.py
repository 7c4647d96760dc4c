"""Faust's aiokafka driver with a short way in and an honest flush out. Registered with Faust under the scheme `lane`.

Faust assigns partitions, tells of rebalances and asks for commits; its messages, events, queues and streams are not used. Five things
differ from the driver (faust-streaming 0.15.3, pinned for that reason):

- What a poll brings goes to the gathers (`streams.edge.gather`) at once, as lists of raw records. Faust makes a message of each record
  and hands it over by two tasks and several turns of the event loop; with twenty partitions and topics that is some 200 ms a
  poll under load, even if the records of a partition are one message.
- Which offset to commit is decided by the order of delivery and by the gathers, who mark a micro-batch as done once the lane has its
  output. Faust's own bookkeeping counts the offsets between two messages as done ("gaps"), which would commit a micro-batch
  that is still being processed, skips ahead of unfinished messages (faust-streaming/faust#606), and takes messages for done
  that it dropped unprocessed at a rebalance.
- `flush()`, which Faust calls before each commit, waits until the broker has acknowledged every write (`Lane.barrier`). Faust's
  returns early, and goes on when a delivery failed.
- Nothing is on its way to a gather while the partitions are set to their committed offsets at the end of a rebalance. Faust starts to
  read before that, empties the agents' queues after it, and does not go back where nothing was committed yet: the first
  records of a partition were lost, or kept those behind them from being committed.
- Records of aborted transactions are not read. Faust reads them unless it runs transactions itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.edge import crash_points, doubt
from streams.edge.lane import clock

FETCH_MAX_WAIT_MS = 25
"""A broker answers a fetch as soon as it has anything, or after so many milliseconds. aiokafka's are 500, for which a partition that
was polled late would wait while the others, which were fetched without it, have nothing."""

FETCH_EVERY = 0.03
"""Seconds between two fetches from a broker while touches keep coming. At once, as is usual, each touch of a moderate load is a fetch, a
poll and a micro-batch of its own, and the worker is busy with little."""

FETCHES_AT_ONCE = 6
"""Fetches that bring something without that pause, after a while with few: a touch on its own goes its whole way at once."""

PREFETCH_PAUSE = 0.01
"""Seconds for which no partition of a broker is fetched because one has records that were not polled yet. aiokafka's are 0.1, which is
all that touches wait at while commands, or timelines, are busy."""

POLLS = 2
"""Polls at a time: one brings records while the event loop is busy with those of the other."""

POLL, POLL_WHILE_FULL = 1.0, 0.01
"""Seconds that a poll waits for records: while a gather is full, its topics are left out, and soon looked at again."""

SLICE = 100
"""Records of one partition that are one micro-batch at most: a round of a gather is made of whole ones, and bounded by time."""


class Records(list[Any]):
    """The records of a micro-batch. The gather sets `done` when their offsets may be committed after the lane's next barrier."""

    done = False


def micro_batches(records: list[Any]) -> list[Records]:
    """Records of one partition as micro-batches."""
    return [Records(records[start : start + SLICE]) for start in range(0, len(records), SLICE)]


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """See the module."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read by its start(); Faust has no settings for them.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """aiokafka asks neither how often to fetch nor whom to tell of heartbeats."""
        await super().on_start()
        consumer = self._ensure_consumer()
        self._tell_of_heartbeats(consumer._coordinator)
        self._pace(consumer._fetcher)

    def _tell_of_heartbeats(self, coordinator: Any) -> None:
        """What the group says of us decides whether we may write (`streams.edge.lane`)."""
        send_heartbeat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            sent_at = time.clock_gettime(clock)
            taken: bool = await send_heartbeat()
            if self.app.lane is not None:
                if taken:
                    self.app.lane.confirmed(sent_at)
                elif coordinator.generation < 0:  # reset: we are no member any more
                    self.app.lane.expelled()
            return taken

        coordinator._do_heartbeat = heartbeat

    def _pace(self, fetcher: Any) -> None:
        fetcher._prefetch_backoff = PREFETCH_PAUSE
        fetch, due = fetcher._proc_fetch_request, defaultdict[int, float](float)
        ahead = FETCHES_AT_ONCE * FETCH_EVERY

        async def paced(assignment: Any, node: int, request: Any) -> bool:
            await asyncio.sleep(due[node] - ahead - time.monotonic())
            brought: bool = await fetch(assignment, node, request)
            if brought:
                due[node] = max(due[node], time.monotonic()) + FETCH_EVERY
            return brought

        fetcher._proc_fetch_request = paced

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """The changelog is assigned with its touches, but read elsewhere (`streams.edge.recovery`): not fetched here."""
        if self.app.lane is not None:
            self.app.lane.joined()
        logs = self.app.tables.changelog_topics
        self._ensure_consumer().pause(*(driver.ensure_aiokafka_TP(tp) for tp in assigned if tp.topic in logs))
        await super().on_partitions_assigned(assigned, generation_id)

    def poll(self, partitions: set[TP], timeout: float) -> asyncio.Future[Mapping[TP, list[Any]]]:
        """Records that are there, or come within `timeout` seconds. Called from the app's thread; Faust's `getmany` does the same
        through a queue of methods."""
        consumer = self._ensure_consumer()
        limit = consumer._max_poll_records
        fetching = self._fetch_records(consumer, partitions, timeout=timeout, max_records=limit)
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fetching, self.thread_loop))


class Consumer(driver.Consumer):  # type: ignore[misc]
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_order: dict[TP, deque[Records]] = defaultdict(deque)
        self.committed_at = time.monotonic()
        self.waiting_since: float | None = None
        self._polls: set[asyncio.Future[Any]] = set()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """The task of Faust's fetcher: polls until it is stopped."""

        async def poll() -> None:
            while not (self.should_stop or fetcher.should_stop):
                await self._hand_over()

        polls = [asyncio.ensure_future(poll()) for _ in range(POLLS)]
        try:
            await asyncio.gather(*polls)
        except (*self.consumer_stopped_errors, asyncio.CancelledError):
            if not self.app.should_stop:
                raise
        finally:
            for one in polls:
                one.cancel()

    async def _hand_over(self) -> None:
        """Records to the gathers, unless the flow was stopped meanwhile; then they are read again after it. Of two polls, the one that
        took its records first goes on first: the consumer's thread tells of them in that order."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        gathers = self.app.gathers
        mine = [tp for tp in self._get_active_partitions() if tp.topic in gathers]
        wanted = {tp for tp in mine if not gathers[tp.topic].full}
        if not wanted:  # to aiokafka no partitions are all partitions
            await asyncio.sleep(POLL_WHILE_FULL)
            return
        generation = self.app.consumer_generation_id
        poll = self._thread.poll(wanted, POLL if len(wanted) == len(mine) else POLL_WHILE_FULL)
        self._polls.add(poll)
        poll.add_done_callback(self._polls.discard)
        polled = await poll
        if self.flow_active and generation == self.app.consumer_generation_id:
            for tp, records in polled.items():
                self.deliver(TP(*tp), records)

    def deliver(self, tp: TP, records: list[Any]) -> None:
        """Put records of one partition down as on their way, in the order in which they are to be committed, and hand them over."""
        batches = micro_batches(records)
        self._in_order[tp].extend(batches)
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        self.app.metrics.micro_batch.labels(tp.topic).observe(len(records))
        self.app.gathers[tp.topic].put(batches)

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, or to the beginning where there are none. Faust resumes the flow after it."""
        self.stop_flow()
        while self._polls:
            await asyncio.wait(self._polls)
        self.forget(set(self._in_order))
        await super().perform_seek()
        fresh = [tp for tp in self.assignment() if tp.topic in self.app.gathers and not self._read_offset[tp]]
        if fresh:
            await self._thread.seek_to_beginning(*map(driver.ensure_aiokafka_TP, fresh))

    async def wait_empty(self) -> None:
        """The partitions go away, or the worker stops: what is under way ends and is committed, what waits is left to the next owner."""
        await asyncio.gather(*(gather.drop() for gather in set(self.app.gathers.values())))
        await self.maybe_wait_for_commit_to_finish()  # it may have begun before the last of it was done
        await self.commit_and_end_transactions()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust looks here for the events of its streams. `streams.edge.watch` sees to it that work gets done."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        return [tp for tp in self._in_order if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TP) -> int | None:
        """The offset behind the last micro-batch that is done and has no unfinished one before it."""
        waiting = self._in_order[tp]
        done: int | None = None
        while waiting and waiting[0].done:
            done = waiting.popleft()[-1].offset
        return None if done is None else done + 1

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        try:
            did: bool = await super()._commit_offsets(offsets, start_new_transaction=start_new_transaction)
        except Exception as error:  # noqa: BLE001 - the acknowledged offsets are gone from the book: start clean
            doubt.leave("offsets could not be committed", error)
        if did:
            self.committed_at = time.monotonic()
            self.waiting_since = self.committed_at if any(self._in_order.values()) else None
        return did

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        crash_points.reach("before_commit")
        did: bool = await super()._commit(offsets)
        crash_points.reach("after_commit")
        return did

    def place(self, tp: TP) -> tuple[int, int] | None:
        """The offset of the first record that is not done, and the end of the partition; None before the first fetch."""
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment  # changes in the consumer's thread
        if assignment is None or tp not in assignment.tps:
            return None
        state = assignment.state_value(tp)
        if state.highwater is None or not state.has_valid_position:
            return None
        # Behind the last record there may be markers of transactions: the position passes them, no record does.
        waiting = self._in_order.get(tp, ())
        first = next((records[0].offset for records in waiting if not records.done), state.position)
        return int(first), int(state.highwater)

    def lag(self, tp: TP) -> int | None:
        """Records from the first one that is not done to the end of the partition; None before the first fetch."""
        place = self.place(tp)
        return None if place is None else max(0, place[1] - place[0])

    def forget(self, tps: set[TP]) -> None:
        """Partitions were revoked: what was in flight will be read again by their new owner."""
        for tp in tps:
            self._in_order.pop(tp, None)
        if not any(self._in_order.values()):
            self.waiting_since = None


class Producer(driver.Producer):  # type: ignore[misc]
    """See the module. Idempotent, so that a retry inside aiokafka neither doubles nor reorders records."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def on_start(self) -> None:
        await super().on_start()
        self.app.open_lane(self._producer)

    async def on_stop(self) -> None:
        """The last commit is made. Tasks that have not noticed yet that the worker stops write no more."""
        if self.app.lane is not None:
            self.app.lane.end()
        await super().on_stop()

    async def flush(self) -> None:
        await super().flush()
        if self.app.lane is not None:  # a start that failed is stopped before there was a lane
            await self.app.lane.barrier()


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with the two classes above."""

    Consumer: ClassVar[type] = Consumer
    Producer: ClassVar[type] = Producer
