"""What commands bury: `tests.test_dead_letter_command` has it on Kafka."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from streams.commands.publishing import Counts, bury
from streams.core.dead_letter import letter_key
from streams.core.outcome import Rejected
from streams.edge.codec import Codec
from streams.edge.publisher import Record
from streams.settings import Settings


def test_a_dead_letter_has_no_plain_key() -> None:
    """What cannot be replayed, and was keyed by a mail address, is buried again under a keyed hash of it; the letter keeps the key."""
    key, settings, codec = b"dana@example.com", Settings(id_key="bury"), Codec()
    written: list[Record] = []

    async def publish_many(records: list[Record]) -> list[None]:
        written.extend(records)
        return [None for _ in records]

    client: Any = SimpleNamespace(settings=settings, codec=codec, publisher=SimpleNamespace(publish_many=publish_many))
    asyncio.run(bury(client, [Rejected("undecodable", "no Avro", "ingest", b"x", key=key)], Counts()))
    assert [one.key for one in written] == [letter_key(key, settings.id_key)]
    assert written[0].key != key and codec.decode_dead_letter(written[0].value or b"").key == key
