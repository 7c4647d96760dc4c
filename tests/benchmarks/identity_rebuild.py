"""`python -m tests.benchmarks.identity_rebuild --identifiers 1000000`: how long a lost Redis takes to be rebuilt from the identity log.

The log is written directly, as compacted: people with one to four identifiers, every fact with its cause, and one merge of two
customers for each ten people, each key once. Then one worker's index reads all of it into an empty Redis, as after FLUSHALL. Measured: wall
time, facts a second, the processor time of this process and of Redis, and Redis's memory. Answers of a sample of people are checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import redis
from prometheus_client import CollectorRegistry

from streams.core.identity_facts import Fact, cause_of, encode
from streams.core.touch import Origin
from streams.edge import topic_admin
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.identity_index import IdentityIndex
from streams.edge.metrics import Metrics
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.benchmarks import cluster, measure, report
from tests.support.samples import TOUCH, replace

SHAPES = (("1", "2"), ("2", "3", "4"), ("2",), ("1", "2", "3", "5"))
"""Ranks of the identifiers of each of four people in turn: 2.5 a person."""
MERGED = 10
"""One of so many people was two customers."""
SAMPLE = 10_000


def person(number: int) -> tuple[str, ...]:
    """Node ids, strongest first."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return tuple(f"c{rank}-{digest[:22]}{rank * 2}" for rank in SHAPES[number % len(SHAPES)])


def people(identifiers: int) -> int:
    """How many people have so many identifiers."""
    return max(1, round(identifiers * len(SHAPES) / sum(map(len, SHAPES))))


def facts(number: int) -> Iterator[Fact]:
    """What the log says of one person."""
    first, *others = person(number)
    origin = Origin("touches.email", number % 4, number)
    touch = replace(TOUCH, touch_id=str(uuid.uuid5(uuid.NAMESPACE_OID, first)))
    cause = cause_of(touch, touch.occurred_at + number, origin)
    yield Fact(first, first, cause=cause)
    yield from (Fact(first, other, cause=cause) for other in others)
    if number % MERGED == 1 and others:
        yield Fact(others[0], others[0], cause=cause)
        yield Fact(others[0], first, "told", cause)


async def fill(settings: Settings, identifiers: int) -> int:
    """Topics, and the log; how many facts it has."""
    await topic_admin.create_missing(settings)
    topic = settings.topic(IDENTITIES)
    order = list(range(people(identifiers)))
    random.Random(1).shuffle(order)
    made = (fact for number in order for fact in facts(number))
    return await cluster.write(settings.bootstrap, ((topic, fact.key.encode(), encode(fact)) for fact in made))


async def rebuild(settings: Settings) -> tuple[int, float, float]:
    """Facts read, seconds, and this process's processor seconds."""
    index = IdentityIndex(settings, Metrics(CollectorRegistry()))
    try:
        started, used = time.monotonic(), time.process_time()
        count = await index.sync()
        return count, time.monotonic() - started, time.process_time() - used
    finally:
        await index.close()


async def wrong(settings: Settings, identifiers: int) -> int:
    """Of a sample of people, how many are not found by their weakest identifier."""
    numbers = random.Random(2).choices(range(people(identifiers)), k=SAMPLE)
    index = IdentityIndex(settings, Metrics(CollectorRegistry()))
    try:
        answers = await index.resolve([person(number)[-1:] for number in numbers])
    finally:
        await index.close()
    return sum(answer.customer_id != person(n)[0] for answer, n in zip(answers, numbers, strict=True))


@click.command()
@click.option("--identifiers", type=click.IntRange(100, 20_000_000), default=1_000_000, show_default=True)
def main(identifiers: int) -> None:
    """Measure; adds to results.json under "identity_rebuild"."""
    with tempfile.TemporaryDirectory(prefix="bench-") as data, EmbeddedStack(Path(data), 0, 0) as stack:
        settings = measure.make_run(stack, "whole_worker", "i.", 0, "rebuild").settings()
        written = asyncio.run(fill(settings, identifiers))
        click.echo(f"identity log of {written:,} facts written", err=True)
        with redis.Redis.from_url(stack.redis_url) as server:
            empty = server.info()
            count, seconds, used = asyncio.run(rebuild(settings))
            full = server.info()
        wrong_answers = asyncio.run(wrong(settings, identifiers))
        if wrong_answers or count != written:
            raise click.ClickException(f"{count:,} of {written:,} facts were read; {wrong_answers} wrong answers")
        row = {
            "facts": count,
            "seconds": round(seconds, 1),
            "facts_per_second": round(count / seconds),
            "python_cpu_seconds": round(used, 1),
            "redis_cpu_seconds": round(sum(full[name] - empty[name] for name in ("used_cpu_user", "used_cpu_sys")), 1),
            "redis_mb": round((full["used_memory"] - empty["used_memory"]) / 2**20),
        }
        report.add("identity_rebuild", f"{identifiers} identifiers", row)
        click.echo(" ".join(f"{name}={value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
