"""`touchstream dead-letter`: every way into the dead-letter topic has a way out again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from streams.core.outcome import Rejected
from streams.core.touch import Origin
from streams.core.touch_json import parse
from streams.edge.publisher import Publisher, Record
from streams.edge.reader import make_codec
from streams.edge.topics import DEAD_LETTER
from streams.settings import Settings
from tests.support.commands import PAYLOADS, buried, objects, published, stored, touchstream

pytestmark = pytest.mark.stack

NINE = 1_772_442_720_000  # 2026-03-02T09:12:00Z
GOOD = parse((PAYLOADS / "send.jsonl").read_bytes().splitlines()[0])


def reject(
    settings: Settings, value: bytes, key: bytes | None = b"k", topic: str = "touches.email", **changes: object
) -> Rejected:
    """Store a record in a topic and, as a worker would, its dead letter. Returns what was rejected."""

    async def run() -> Rejected:
        codec = make_codec(settings)
        async with Publisher(settings) as publisher:
            place = await publisher.publish(Record(settings.topic(topic), key, value))
            origin = Origin(place.topic, place.partition, place.offset)
            fields = {"reason": "undecodable", "detail": "no Avro; mend the producer", "stage": "ingest", **changes}
            rejected = Rejected(payload=value, origin=origin, key=key, **fields)  # type: ignore[arg-type]
            letter = codec.encode_dead_letter(rejected, NINE)
            await publisher.publish(Record(settings.topic(DEAD_LETTER), key, letter))
        return rejected

    return asyncio.run(run())


def ids(settings: Settings) -> list[str]:
    return [letter.dead_letter_id for letter in buried(settings)]


def test_record_goes_back_as_it_came(settings: Settings) -> None:
    """Replay stores the very bytes again in the topic they came from, under their key, and says where."""
    rejected = reject(settings, b"\x00raw bytes", b"the key")
    result = touchstream(settings, "dead-letter", "replay", "--all")
    assert result.exit_code == 0
    first, second = stored(settings, "touches.email")
    assert (first.value, first.key, first.partition) == (second.value, second.key, second.partition)
    assert second.value == rejected.payload
    assert result.stdout.splitlines() == [
        f"{ids(settings)[0]} -> {second.address}",
        "replayed 1 dead letters (1 records), not replayed 0",
    ]


def test_record_without_key(settings: Settings) -> None:
    """A record that had no key is replayed without one."""
    reject(settings, b"raw", None)
    assert touchstream(settings, "dead-letter", "replay", "--all").exit_code == 0
    assert [record.key for record in stored(settings, "touches.email")] == [None, None]


def test_same_content_is_replayed_once(settings: Settings) -> None:
    """A record that was rejected again after a replay does not double with the next one."""
    for _ in range(3):
        reject(settings, b"same")
    reject(settings, b"same", topic="touches.calls")
    result = touchstream(settings, "dead-letter", "replay", "--all")
    assert result.stdout.splitlines()[-1] == (
        "replayed 2 dead letters (2 records), 2 with the same content as another, not replayed 0"
    )
    assert len(stored(settings, "touches.email")) == 4
    assert len(stored(settings, "touches.calls")) == 2


def test_selection_by_reason_and_id(settings: Settings) -> None:
    """--reason and --id replay only what they name; the beginning of an id is enough; an unknown one is an error."""
    reject(settings, b"one")
    reject(settings, b"two", reason="too_old", detail="too old")
    assert "replayed 1 " in touchstream(settings, "dead-letter", "replay", "--reason", "too_old").stdout
    assert [record.value for record in stored(settings, "touches.email")].count(b"two") == 2
    wanted = next(letter.dead_letter_id for letter in buried(settings) if letter.payload == b"one")
    assert "replayed 1 " in touchstream(settings, "dead-letter", "replay", "--id", wanted[:8]).stdout
    assert [record.value for record in stored(settings, "touches.email")].count(b"one") == 2
    unknown = touchstream(settings, "dead-letter", "replay", "--id", "ffffffffffff")
    assert unknown.exit_code == 1
    assert "no dead letter has the id 'ffffffffffff'" in unknown.stderr


def test_dry_run(settings: Settings) -> None:
    """--dry-run says what would be sent and stores nothing."""
    reject(settings, b"one")
    result = touchstream(settings, "dead-letter", "replay", "--all", "--dry-run")
    assert f"{settings.topic('touches.email')} (3 bytes)" in result.stdout
    assert "would replay 1 dead letters (1 records)" in result.stdout
    assert len(stored(settings, "touches.email")) == 1


def test_mended_touch(settings: Settings, tmp_path: Path) -> None:
    """--with sends a mended touch instead; one that is still wrong is refused with the reason."""
    reject(settings, b"broken")
    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps(json.loads((PAYLOADS / "send.jsonl").read_text().splitlines()[0]), indent=2))
    (wanted,) = ids(settings)
    result = touchstream(settings, "dead-letter", "replay", "--id", wanted, "--with", str(mended))
    assert result.exit_code == 0, result.stderr
    values = [record.value for record in stored(settings, "touches.email")]
    values.remove(b"broken")
    assert [make_codec(settings).decode_touch(value or b"") for value in values] == [GOOD]
    mended.write_text('{"channel": "fax"}')
    wrong = touchstream(settings, "dead-letter", "replay", "--id", wanted, "--with", str(mended))
    assert wrong.exit_code == 1
    assert "the mended touch is still wrong: channel: 'fax'" in wrong.stderr
    assert touchstream(settings, "dead-letter", "replay", "--all", "--with", str(mended)).exit_code == 2


def test_cut_payload_is_fetched_from_its_old_place(make_settings: object) -> None:
    """A payload that was kept only in part is replayed whole from its old address, and reported when that is gone."""
    settings: Settings = make_settings(max_message_bytes=1024)  # type: ignore[operator]
    whole = bytes(range(256)) * 40
    reject(settings, whole, reason="too_large", detail="too large")
    gone = Rejected("too_large", "too large", "ingest", whole[1:], Origin(settings.topic("touches.email"), 0, 999_999))

    async def bury_gone() -> None:
        async with Publisher(settings) as publisher:
            letter = make_codec(settings).encode_dead_letter(gone, NINE)
            await publisher.publish(Record(settings.topic(DEAD_LETTER), None, letter))

    asyncio.run(bury_gone())
    assert all(not letter.is_whole for letter in buried(settings))
    result = touchstream(settings, "dead-letter", "replay", "--all")
    assert result.exit_code == 1
    assert "replayed 1 dead letters (1 records), not replayed 1" in result.stdout
    assert (
        f"only 1024 of {len(whole) - 1} bytes are kept, and {settings.topic('touches.email')}[0]@999999"
        in result.stderr
    )
    assert [record.value for record in stored(settings, "touches.email")] == [whole, whole]


def test_topic_of_another_installation(settings: Settings) -> None:
    """A letter from a topic that is not ours is not written anywhere."""
    rejected = Rejected("undecodable", "bad", "ingest", b"x", Origin("somebody.elses", 0, 0))

    async def bury() -> None:
        async with Publisher(settings) as publisher:
            letter = make_codec(settings).encode_dead_letter(rejected, NINE)
            await publisher.publish(Record(settings.topic(DEAD_LETTER), None, letter))

    asyncio.run(bury())
    result = touchstream(settings, "dead-letter", "replay", "--all")
    assert result.exit_code == 1
    assert "it came from somebody.elses, which is no topic of this installation" in result.stderr


def test_import_is_read_again(settings: Settings, tmp_path: Path) -> None:
    """A provider's record that the adapter could not place is read again with what the operator adds, or stays rejected."""
    lines = (PAYLOADS / "send.jsonl").read_bytes().splitlines()
    touchstream(settings, "send", stdin=lines[1])
    record = tmp_path / "events.json"
    record.write_text(
        '[{"event": "teleported", "email": "dana@example.com", "timestamp": 1772442720, "sg_event_id": "e1"}]'
    )
    assert touchstream(settings, "import", "--from", "sendgrid", str(record)).exit_code == 1
    result = touchstream(settings, "dead-letter", "replay", "--all")
    assert result.exit_code == 1
    assert "not replayed 2" in result.stdout
    assert "it is still wrong: unknown_event: " in result.stderr
    assert "channel: 'fax' is not one of" in result.stderr
    assert published(settings) == []
    assert len(buried(settings)) == 2  # nothing was buried a second time


def test_import_letters_that_are_right_now(settings: Settings) -> None:
    """A letter whose record a newer adapter understands is published: here a SendGrid delivery and a touch as JSON."""
    event = b'{"event": "delivered", "email": "dana@example.com", "timestamp": 1772442720, "sg_event_id": "e1", "sg_message_id": "m1"}'
    line = (PAYLOADS / "send.jsonl").read_bytes().splitlines()[0]

    async def bury() -> None:
        codec = make_codec(settings)
        async with Publisher(settings) as publisher:
            for source, payload in (("sendgrid", event), ("json", line)):
                letter = Rejected("unknown_event", "unknown", "import", payload, source=source, line=1)
                await publisher.publish(
                    Record(settings.topic(DEAD_LETTER), None, codec.encode_dead_letter(letter, NINE))
                )

    asyncio.run(bury())
    result = touchstream(settings, "dead-letter", "replay", "--all", "--department", "service")
    assert result.exit_code == 0, result.stderr
    assert {(touch.kind, touch.department) for touch in published(settings)} == {
        ("delivered", "service"),
        ("sent", "marketing"),
    }


def test_list_and_show(settings: Settings) -> None:
    """list prints each letter once with reason, address and remedy; show prints its payload; both have JSON."""
    rejected = reject(settings, b'{"half": ')
    assert rejected.origin is not None
    address = f"{rejected.origin.topic}[{rejected.origin.partition}]@{rejected.origin.offset}"
    (wanted,) = ids(settings)
    listed = touchstream(settings, "dead-letter", "list")
    assert listed.stdout.splitlines() == [
        f"2026-03-02T09:12:00Z  undecodable  {address}",
        "  no Avro; mend the producer",
        f"  dead letter {wanted}, 9 bytes",
    ]
    assert listed.stderr == "1 dead letter (undecodable 1)\n"
    assert objects(touchstream(settings, "dead-letter", "list", "--json").stdout)[0]["payload"] == '{"half": '
    assert touchstream(settings, "dead-letter", "list", "--reason", "too_old").stdout == ""
    shown = touchstream(settings, "dead-letter", "show", wanted).stdout
    assert "stage ingest, key k" in shown
    assert '{"half": ' in shown
    assert (
        json.loads(touchstream(settings, "dead-letter", "show", wanted[:10], "--json").stdout)["dead_letter_id"]
        == wanted
    )


def test_selection_is_needed() -> None:
    """Replaying without saying what is a usage error, not everything."""
    result = touchstream(None, "dead-letter", "replay")
    assert result.exit_code == 2
    assert "give one of --id, --reason or --all" in result.stderr
