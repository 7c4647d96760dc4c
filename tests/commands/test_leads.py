"""What came of an answer to a hand-off, looked for in Kafka: also behind a schema registry, and with a clock that is ahead."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.commands import leads
from streams.core.commands import Command
from streams.core.leads import asked
from streams.core.leads.events import LeadEvent
from streams.core.outcome import Rejected
from streams.core.touch import Origin
from streams.edge.client import Client
from streams.edge.publisher import Record
from streams.edge.topics import COMMANDS, DEAD_LETTER, LEADS
from streams.settings import Settings
from tests.support import schema_registry
from tests.support.samples import LEAD_EVENT

pytestmark = pytest.mark.stack

CUSTOMER = "c2-0123456789abcdef01234567"


def accepted(ahead_ms: int = 0) -> Command:
    """A lead is accepted by somebody whose clock is ahead."""
    return asked.lead_command("lead_accepted", CUSTOMER, "ana", time.time_ns() // 1_000_000 + ahead_ms, "lead")


def outcome(settings: Settings, command: Command) -> LeadEvent | str | None:
    """What came of it."""
    return asyncio.run(leads.outcome(settings, command.command_id, command.issued_at))


async def refuse(settings: Settings, command: Command) -> None:
    """The worker's dead letter of a command, behind one of something else that nobody can read."""
    async with Client(settings=settings) as client:
        origin = Origin(settings.topic(COMMANDS), 0, 7)
        payload = client.codec.encode_command(command)
        for detail, value in (("garbage", b"\x00\xff"), ("no such lead", payload)):
            letter = Rejected("unroutable", detail, "timeline", value, origin)
            record = client.codec.encode_dead_letter(letter, command.issued_at)
            await client.publisher.publish(Record(settings.topic(DEAD_LETTER), None, record))


def test_a_refusal_is_found_with_a_schema_registry(settings: Settings, tmp_path: Path) -> None:
    """The refused command stands in the dead letter under a schema id of the registry, which is looked up."""
    with schema_registry.started(tmp_path) as registry:
        own = replace(settings, schema_registry_url=registry.url)
        command = accepted()
        asyncio.run(refuse(own, command))
        assert outcome(own, command) == "no such lead"
        assert outcome(own, accepted(1)) is None, "another command's"


def test_an_answer_is_found_though_the_clock_of_who_asks_is_ahead(settings: Settings) -> None:
    """With a clock a minute ahead of Kafka's both the refusal and the lead's change are found."""
    refused, done = accepted(60_000), accepted(60_001)
    asyncio.run(refuse(settings, refused))
    assert outcome(settings, refused) == "no such lead"
    event = replace(LEAD_EVENT, customer=CUSTOMER, cause=asked.act_id(done.command_id))

    async def change() -> None:
        async with Client(settings=settings) as client:
            value = client.codec.encode_lead_event(event)
            await client.publisher.publish(Record(settings.topic(LEADS), CUSTOMER.encode(), value))

    asyncio.run(change())
    assert outcome(settings, done) == event
