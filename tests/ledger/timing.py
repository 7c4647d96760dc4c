"""How long `touchstream report --from-kafka` takes, on the embedded Kafka with made-up books in its topics.

`python -m tests.ledger.timing 1000000` prints seconds by phase, for the sources alone and for the ledger's own topic beside them (as
it is once `touchstream ledger` has run); `--keep DIR` leaves the pages there.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.commands import Command
from streams.core.ledger import facts, records
from streams.core.policy import Policy
from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.kafka_auth import client_options
from streams.edge.ledger_turn import group_of
from streams.edge.publisher import Publisher, PublishError, Record
from streams.edge.reader import make_codec
from streams.edge.topics import COSTS, DEALS, IDENTIFIED, LEDGER_FACTS
from streams.settings import Settings
from tests.ledger import made_up
from tests.ledger.identified import stream
from tests.support.worker import environment

SEED = 7
CHUNK = 5000
PERIOD = "2026-Q2"


def written(settings: Settings, count: int, own: bool) -> Iterator[Record]:
    """The records of all topics; with `own` those of the ledger's topic, else those of its sources."""
    codec, policy = make_codec(settings), Policy()
    customers = max(20, count // 10)
    log, known = settings.topic(LEDGER_FACTS), facts.Facts()
    for one in stream(made_up.touches(SEED, customers, count), settings.id_key):
        command = isinstance(one, Command)
        if own:
            for fact in facts.of_command(one) if isinstance(one, Command) else facts.of_touch(one):
                for key, value in known.take(fact).items():
                    yield Record(log, key, None if value is None else facts.encode(value))
        else:
            value = codec.encode_command(one) if isinstance(one, Command) else codec.encode_identified(one)
            key = one.customer_id
            assert command or key
            yield Record(settings.topic(IDENTIFIED), key.encode(), value)
    for line in made_up.deals(SEED, customers):
        deal = records.deal(line)
        fact = facts.of_deal(deal, policy.identity, settings.id_key, settings.default_region)
        if not own:
            yield Record(settings.topic(DEALS), deal.deal_id.encode(), codec.encode_deal(deal))
        elif fact is not None:
            yield Record(log, fact.key, facts.encode(fact))
    for line in made_up.costs():
        cost = records.cost(line)
        if own:
            yield Record(log, facts.of_cost(cost).key, facts.encode(facts.of_cost(cost)))
        else:
            yield Record(settings.topic(COSTS), cost.cost_id.encode(), codec.encode_cost(cost))


async def read_by_the_ledger(settings: Settings) -> None:
    """Commit for `touchstream ledger` that it has read all touches, as it does with its facts."""
    consumer = AIOKafkaConsumer(group_id=group_of(settings), enable_auto_commit=False, **client_options(settings))
    await consumer.start()
    try:
        consumer.assign([TopicPartition(settings.topic(IDENTIFIED), number) for number in range(settings.partitions)])
        await consumer.commit(await consumer.end_offsets(consumer.assignment()))
    finally:
        await consumer.stop()


async def load(settings: Settings, records: Iterable[Record]) -> int:
    """All records into Kafka; how many."""
    count, rest = 0, iter(records)
    async with Publisher(settings, 120) as publisher:
        while chunk := list(islice(rest, CHUNK)):
            for result in await publisher.publish_many(chunk):
                if isinstance(result, PublishError):
                    raise result
            count += len(chunk)
    return count


def timed(settings: Settings, out: Path) -> str:
    """One report: seconds in all and by phase, as the command tells them, and the most memory it had."""
    command = [sys.executable, "-m", "streams", "report", "--period", PERIOD, "--from-kafka", "--out", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    phases = ", ".join(f"{name} {seconds}" for name, seconds in re.findall(r"(\w+): done in ([\d.]+ s)", done.stderr))
    return f"{took:.1f} s ({cpu:.1f} s of CPU; {phases}), at most {after.ru_maxrss / 1024:,.0f} MiB"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("touches", type=int)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="touchstream-timing-") as data:
        stack = EmbeddedStack(Path(data), 0, 0)
        stack.start()
        try:
            settings = Settings(bootstrap=stack.bootstrap, redis_url=stack.redis_url, id_key="timing", partitions=4)
            asyncio.run(topic_admin.create_missing(settings))
            folder = options.keep or Path(data)
            for what, own in (("the sources", False), ("and the ledger's own topic", True)):
                count = asyncio.run(load(settings, written(settings, options.touches, own)))
                if own:
                    asyncio.run(read_by_the_ledger(settings))
                page = folder / f"report-{options.touches}-{'own' if own else 'sources'}.html"
                for _ in range(2):
                    print(
                        f"{options.touches:,} touches, {what} ({count:,} records): {timed(settings, page)}", flush=True
                    )
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
