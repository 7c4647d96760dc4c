"""Bad input on a real worker: each bad record is one dead letter with its address, and nothing else is lost or delayed."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams import Client
from streams.core import backtest, touch_json
from streams.core.dead_letter import DeadLetter
from streams.core.outcome import Finding
from streams.core.touch import Customer, Origin, Touch
from streams.edge import reader, topic_admin
from streams.edge.codec import Codec
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.kafka_auth import client_options
from streams.edge.publisher import Record
from streams.edge.topics import CATALOGUE, COMMANDS, CONFLICTS, DEAD_LETTER, HANDOFFS, IDENTIFIED, TOUCH_TOPICS
from streams.settings import Settings
from tests.support import bad_records, histories
from tests.support.bad_records import TEN_MB, Bad
from tests.support.commands import buried, stored, touchstream
from tests.support.drained import wait_drained
from tests.support.publishing import expected, publish, streamed
from tests.support.scraped import Scraped, scrape
from tests.support.stack import fresh_settings
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


CODEC = Codec()


@dataclass(frozen=True)
class Story:
    """What was published, and what stood in Kafka when the worker had nothing left to do."""

    settings: Settings
    worker: Worker
    good: list[Touch]
    aborted: list[Touch]
    bad: dict[Origin, Bad]
    letters: list[DeadLetter]
    found: list[Finding]
    metrics: Scraped


def large_topic(settings: Settings, name: str) -> NewTopic:
    """A catalogued topic that takes messages of more than 10 MB."""
    spec = next(spec for spec in CATALOGUE if spec.name == name)
    config = {**spec.config, "max.message.bytes": str(2 * TEN_MB)}
    return NewTopic(settings.topic(name), settings.partitions, settings.replication, topic_configs=config)


async def create_topics(settings: Settings) -> None:
    """All topics, that of mails with room for 10 MB."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        await admin.create_topics([large_topic(settings, TOUCH_TOPICS["email"])])
    finally:
        await admin.close()
    await topic_admin.create_missing(settings)


@asynccontextmanager
async def producers(settings: Settings) -> AsyncIterator[list[AIOKafkaProducer]]:
    """One producer for each codec that Kafka knows, and one without compression (the first)."""
    async with AsyncExitStack() as stack:
        options = client_options(settings)
        yield [
            await stack.enter_async_context(
                AIOKafkaProducer(compression_type=codec, max_request_size=2 * TEN_MB, linger_ms=5, **options)
            )
            for codec in (None, "gzip", "snappy", "lz4", "zstd")
        ]


async def send(producer: AIOKafkaProducer, record: Record, partition: int | None = None) -> asyncio.Future[Origin]:
    """Begin to publish; every third record carries headers."""
    headers = [("traceparent", b"00-4bf9-01"), ("ü", b"\xff\xfe")] if len(record.value or b"") % 3 == 0 else None
    future = await producer.send(record.topic, record.value, record.key, partition=partition, headers=headers)
    return asyncio.ensure_future(_origin(future))


async def _origin(future: asyncio.Future[object]) -> Origin:
    place = await future
    return Origin(place.topic, place.partition, place.offset)  # type: ignore[attr-defined]


async def publish_poison(settings: Settings, bad: list[Bad]) -> dict[Origin, Bad]:
    """Bad records as the very first ones of every partition of their topics."""
    async with producers(settings) as (plain, *_):
        sent = [
            (one, await send(plain, Record(settings.topic(one.topic), one.key, one.value), i % settings.partitions))  # type: ignore[arg-type]
            for i, one in enumerate(bad)
        ]
        return {await place: one for one, place in sent}


async def publish_mixed(
    settings: Settings, good: list[Touch], aborted: list[Touch], bad: list[Bad]
) -> dict[Origin, Bad]:
    """Good and bad in any order with every codec; some good touches in a committed transaction, others in an aborted one.
    Ends with a good touch in every partition."""
    rng, client = random.Random(11), Client(settings=settings)
    records = [client.encode(touch) for touch in good]
    records = [rekeyed(record, i) for i, record in enumerate(records)]
    async with producers(settings) as all_codecs:
        await in_transaction(settings, records[:40], commit=True)
        poison = Record(settings.topic(TOUCH_TOPICS["calls"]), None, b"garbage that was taken back")
        await in_transaction(settings, [*(client.encode(touch) for touch in aborted), poison], commit=False)
        await in_transaction(settings, records[40:80], commit=True)
        mixed: list[Record | Bad] = [*records[80:], *bad]
        rng.shuffle(mixed)
        sent: list[tuple[Bad | None, asyncio.Future[Origin]]] = []
        for item in mixed:
            producer = all_codecs[0] if isinstance(item, Bad) and item.reason == "too_large" else rng.choice(all_codecs)
            if isinstance(item, Bad):
                record = Record(settings.topic(item.topic), item.key, item.value)  # type: ignore[arg-type]
                sent.append((item, await send(producer, record)))
            else:
                sent.append((None, await send(producer, item)))
        places = [(item, await place) for item, place in sent]
        for touch, partition in last_ones(settings):
            await (await send(all_codecs[0], client.encode(touch), partition))
    return {place: item for item, place in places if item is not None}


def rekeyed(record: Record, i: int) -> Record:
    """Every fifth record without a key, every seventh with one of the producer's own."""
    key = None if i % 5 == 0 else b"\x00\xffown" if i % 7 == 0 else record.key
    return Record(record.topic, key, record.value)


def last_ones(settings: Settings) -> list[tuple[Touch, int]]:
    """A good touch for each touch topic and partition."""
    made = []
    for n, channel in enumerate(TOUCH_TOPICS):
        for partition in range(settings.partitions):
            number = 1000 + n * settings.partitions + partition
            made.append((bad_records.touch(number, channel=channel, kind="clicked"), partition))
    return made


async def in_transaction(settings: Settings, records: list[Record], *, commit: bool) -> None:
    """Publish the records in one transaction."""
    name = f"{settings.app_id}-{commit}"
    async with AIOKafkaProducer(transactional_id=name, **client_options(settings)) as producer:
        await producer.begin_transaction()
        for future in [await producer.send(r.topic, r.value, r.key) for r in records]:
            await future
        await (producer.commit_transaction() if commit else producer.abort_transaction())


@pytest.fixture(scope="module")
def story(stack: EmbeddedStack) -> Iterator[Story]:
    """One worker that has read everything good and bad."""
    settings = fresh_settings(stack)
    asyncio.run(create_topics(settings))
    bad = asyncio.run(publish_poison(settings, bad_records.undecodable(CODEC)))
    first, good = bad_records.before_senseless(), list(histories.touches(seed=6, customers=40, count=600))
    aborted = list(histories.touches(seed=66, customers=40, count=200))
    later = [*bad_records.senseless(CODEC), *bad_records.behind_ingest(CODEC), bad_records.huge(CODEC)]
    with Worker(settings) as worker:
        publish(settings, first)
        wait_drained(settings)
        bad |= asyncio.run(publish_mixed(settings, good, aborted, later))
        good += [*first, *(touch for touch, _ in last_ones(settings))]
        wait_drained(settings)
        # A look-up that took too long on a busy machine leaves a merge to be told within seconds.
        wait_until(
            lambda: streamed(settings) == expected(settings, good), 120, "the findings to be those of the good touches"
        )
        letters, found = buried(settings), streamed(settings)
        yield Story(settings, worker, good, aborted, bad, letters, found, scrape(worker.metrics_address))
    asyncio.run(topic_admin.delete(settings))


def source(letter: DeadLetter) -> Origin | None:
    """Where the producer's record stands: the letter's address, or what the identified touch behind it says."""
    if letter.reason in ("too_old", "id_conflict"):  # the record was a good touch until it met its timeline
        return CODEC.decode_identified(letter.payload).origin
    return letter.origin


def test_each_bad_record_is_one_dead_letter(story: Story) -> None:
    """Every bad record has exactly one dead letter with the reason that fits and its address; nothing else has one."""
    told = Counter((source(letter), letter.reason) for letter in story.letters)
    assert told == Counter((place, bad.reason) for place, bad in story.bad.items())


def test_a_dead_letter_has_the_address_it_was_read_at(story: Story) -> None:
    """A letter's address is a record of that topic with the letter's key and bytes; the key is the letter's, too."""
    topics = {
        letter.origin.topic.removeprefix(story.settings.topic_prefix) for letter in story.letters if letter.origin
    }
    records = {Origin(r.topic, r.partition, r.offset): r for r in stored(story.settings, *topics)}
    limit = story.settings.max_message_bytes
    stages = {story.settings.topic(IDENTIFIED): "timeline", story.settings.topic(COMMANDS): "requests"}
    for letter in story.letters:
        assert letter.origin is not None
        record = records[letter.origin]
        value = record.value or b""
        assert (letter.key, letter.payload, letter.payload_size) == (record.key, value[:limit], len(value))
        assert letter.payload_sha256 == hashlib.sha256(value).hexdigest()
        assert letter.detail.strip()
        assert letter.stage == stages.get(letter.origin.topic, "ingest")


def test_ten_megabytes_are_cut(story: Story) -> None:
    """A message of 10 MB is read, and its letter holds its beginning, its true size and the hash of all of it."""
    (letter,) = (letter for letter in story.letters if letter.reason == "too_large")
    value = bad_records.huge(CODEC).value or b""
    assert (letter.payload_size, len(letter.payload)) == (TEN_MB, story.settings.max_message_bytes)
    assert letter.payload_sha256 == hashlib.sha256(value).hexdigest()
    assert not letter.is_whole


def test_poison_was_first(story: Story) -> None:
    """The story tells what it should: every partition of the touch topics begins with a bad record."""
    topics = [story.settings.topic(name) for name in TOUCH_TOPICS.values()]
    assert {Origin(topic, p, 0) for topic in topics for p in range(story.settings.partitions)} <= story.bad.keys()


def test_nothing_good_is_lost(story: Story) -> None:
    """The findings are the backtest's of the good touches: whatever codec, key, headers or transaction they came with."""
    wanted = expected(story.settings, story.good)
    assert len(wanted) > 50
    assert story.found == wanted


def test_aborted_transactions_are_not_read(story: Story) -> None:
    """Touches of an aborted transaction leave no trace: none is identified, though they would have made findings."""
    assert expected(story.settings, [*story.good, *story.aborted]) != expected(story.settings, story.good)
    places = story.bad.keys()
    records = [r for r in stored(story.settings, IDENTIFIED) if Origin(r.topic, r.partition, r.offset) not in places]
    touches = [record.value for record in records if record.value and not CODEC.is_command(record.value)]
    came = {CODEC.decode_identified(value).touch.touch_id for value in touches}
    assert came == {touch.touch_id for touch in story.good} | {"bad-8-old"}


def test_metrics_count_dead_letters_by_topic_and_reason(story: Story) -> None:
    """touchstream_dead_letters_total is the number of dead letters, by the topic they came from and the reason."""
    counted = story.metrics.by("touchstream_dead_letters_total", "topic", "reason")
    assert counted == Counter((letter.origin.topic, letter.reason) for letter in story.letters if letter.origin)


def contact(touch_id: str, channel: str, kind: str, department: str, at: int) -> Touch:
    """A contact of ours with one customer."""
    customer = Customer(email="replayed@example.com")
    return bad_records.touch(
        0, touch_id=touch_id, channel=channel, kind=kind, department=department, direction="outbound", occurred_at=at, customer=customer
    )  # fmt: skip


def letter_id(settings: Settings, payload: bytes) -> str:
    """Id of the dead letter with this payload, once the worker has written it."""
    wait_drained(settings)
    (letter,) = (letter for letter in buried(settings) if letter.payload == payload)
    return letter.dead_letter_id


def later_contacts(settings: Settings) -> set[str]:
    """Ids of the contacts that are reported as following another department's, of the replayed customer."""
    found = backtest.standing(asyncio.run(reader.findings(settings)))
    return {
        max(one.evidence, key=lambda part: part.occurred_at).touch_id for one in found if one.rule == "double_contact"
    }


async def publish_at(settings: Settings, touch: Touch, timestamp: int) -> bytes:
    """Publish with a Kafka timestamp of one's own (UTC ms); the record's value."""
    record = Client(settings=settings).encode(touch)
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        await producer.send_and_wait(record.topic, record.value, record.key, timestamp_ms=timestamp)
    return record.value


def test_replayed_dead_letters_end_as_findings(story: Story, tmp_path: Path) -> None:
    """A truncated touch, mended, and a touch from a clock that was ahead, unchanged, make their findings after replay; replaying
    both again changes nothing."""
    settings, now = story.settings, time.time_ns() // 1_000_000
    publish(settings, [contact("replay-call", "calls", "dialed", "sales", now)])
    mended = contact("replay-mended", "email", "sent", "marketing", now + 60_000)
    ahead = contact("replay-ahead", "email", "sent", "marketing", now + 50 * 60_000)
    broken = Record(settings.topic(TOUCH_TOPICS["email"]), b"k", CODEC.encode_touch(mended)[:-5])
    asyncio.run(publish_plain(settings, broken))
    early = asyncio.run(publish_at(settings, ahead, now - 20 * 60_000))
    ids = [letter_id(settings, broken.value), letter_id(settings, early)]
    assert not later_contacts(settings) & {"replay-mended", "replay-ahead"}
    (tmp_path / "mended.json").write_bytes(touch_json.to_json(mended))
    commands = [["--id", ids[0], "--with", str(tmp_path / "mended.json")], ["--id", ids[1]]]

    def replay() -> None:
        for arguments in commands:
            result = touchstream(settings, "dead-letter", "replay", *arguments)
            assert result.exit_code == 0, result.output
        wait_drained(settings)

    replay()
    assert later_contacts(settings) >= {"replay-mended", "replay-ahead"}
    before = set(stored(settings, CONFLICTS, HANDOFFS, DEAD_LETTER))
    replay()
    assert set(stored(settings, CONFLICTS, HANDOFFS, DEAD_LETTER)) == before


async def publish_plain(settings: Settings, record: Record) -> None:
    """One record as it is."""
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        await producer.send_and_wait(record.topic, record.value, record.key)


def test_the_worker_lives_and_stops_when_told(story: Story) -> None:
    """After all that the same process runs, says nothing of a crash, and ends with 0 on SIGTERM."""
    assert story.worker.process is not None and story.worker.process.poll() is None
    assert story.worker.stop() == 0
    log = "".join(story.worker.log)
    assert "Traceback" not in log, log
