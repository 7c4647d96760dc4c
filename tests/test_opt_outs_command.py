"""`touchstream opt-outs` and its metric: how long contacts went on after an opt-out, as the workers say it."""

from __future__ import annotations

import asyncio

import faust
import pytest
from prometheus_client import CollectorRegistry

from streams.edge.client import Client
from streams.edge.metrics import Metrics
from streams.edge.publisher import Record as Sent
from streams.edge.stages import Timelines
from streams.settings import Settings
from tests.edge.test_stages import CODEC, POLICY, SETTINGS, identified_record, take, touch
from tests.support.commands import objects, touchstream

METRIC = "touchstream_opt_out_latency_seconds"
HOUR, DAY = 60, 1440
MINUTES = {"mail": 3 * HOUR, "late": 3 * DAY}


def found(metrics: Metrics) -> list[bytes]:
    """The conflicts of two mails after an opt-out, three hours and three days later; the first is amended, and comes again."""
    app = faust.App("opt-outs-test", store="touchstream://", autodiscover=False)
    store = app.Table("timelines", key_type=bytes, value_type=bytes).data
    stage = Timelines(SETTINGS, POLICY, CODEC, metrics, store)
    touches = [touch("no", 0, direction="inbound", kind="unsubscribed")]
    touches += [touch(id_, minute) for id_, minute in MINUTES.items()]
    again = touch("mail", HOUR, version=2)
    write = take(stage, *(identified_record("c2-dana", one) for one in (*touches, touches[1], again)))
    return [out.value or b"" for out in write.outputs if out.topic == "x.conflicts"]


def test_each_contact_is_measured_once() -> None:
    """Each contact counts when it is found, by its department and channel; a duplicate and a correction do not. Every series is there
    from the start."""
    metrics = Metrics(CollectorRegistry())
    where = {"department": "marketing", "channel": "email"}
    assert metrics.registry.get_sample_value(f"{METRIC}_count", where) == 0
    found(metrics)
    value = metrics.registry.get_sample_value
    assert value(f"{METRIC}_count", where) == 2
    assert value(f"{METRIC}_sum", where) == sum(MINUTES.values()) * 60
    assert value(f"{METRIC}_bucket", {**where, "le": "172800.0"}) == 1


@pytest.mark.stack
def test_the_command_names_the_last_contact(settings: Settings) -> None:
    """From the conflicts in Kafka, corrections included: one line for each opt-out, and the same as JSON."""
    values = found(Metrics(CollectorRegistry()))

    async def publish() -> None:
        async with Client(settings=settings) as client:
            for value in values:
                await client.publisher.publish(Sent(settings.topic("conflicts"), b"c2-dana", value))

    asyncio.run(publish())
    (one,) = objects(touchstream(settings, "opt-outs", "--json").stdout)
    assert (one["touch_id"], one["last_touch"], one["contacts"]) == ("no", "late", 2)
    assert one["latency_ms"] == 3 * DAY * 60_000
    lines = touchstream(settings, "opt-outs").stdout.splitlines()
    assert lines[0].startswith(
        "3 days until the last of 2 contacts (marketing by email) after unsubscribed in email at 2026-"
    )
    assert lines[1] == "1 opt-out was followed by contacts"
