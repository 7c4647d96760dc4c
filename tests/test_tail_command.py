"""`touchstream tail`: what is in the topics is printed, for people or as JSON, and nothing stops it but its reader."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from aiokafka import AIOKafkaProducer

from streams.core import finding_json
from streams.core.outcome import Contradiction, Evidence, Finding, Handoff, Rejected, ScoreComponent
from streams.core.touch import Origin
from streams.core.touch_json import parse, to_json
from streams.edge.embedded.ports import free_port
from streams.edge.kafka_auth import client_options
from streams.edge.reader import make_codec
from streams.edge.topics import CONFLICTS, DEAD_LETTER, HANDOFFS
from streams.settings import Settings
from tests.support.commands import PAYLOADS, objects, touchstream
from tests.support.waiting import SLOWER

pytestmark = pytest.mark.stack

NINE = 1_772_442_720_000  # 2026-03-02T09:12:00Z

CONFLICT = Finding(
    finding="conflict",
    rule="double_contact",
    rule_version=1,
    finding_id="f1",
    revision=1,
    state="detected",
    customer="c2-abc",
    customer_name="Dana Reyes",
    touch_ids=("s1", "s3"),
    event_time=NINE + 23_280_000,
    severity="high",
    reason="Dana Reyes got 'Spring offer' by email from marketing and a call from sales 6 h 28 min later.",
    evidence=(
        Evidence("earlier_contact", "s1", NINE, "email", "marketing", "sent", label="Spring offer"),
        Evidence("contact", "s3", NINE + 23_280_000, "calls", "sales", "dialed", actor="J. Okafor"),
    ),
    contradictions=(Contradiction("price", "pro", "49 EUR", "only 49 EUR", "59 EUR", "it is 59 EUR", "message"),),
)
HANDOFF = Finding(
    finding="handoff",
    rule="handoff",
    rule_version=1,
    finding_id="h1",
    revision=2,
    state="amended",
    customer="c2-abc",
    customer_name=None,
    touch_ids=("s1",),
    event_time=NINE,
    severity="medium",
    reason="c2-abc clicked often enough.",
    handoff=Handoff("score", 61.5, 50.0, (ScoreComponent("clicked", 3, 30.0),), "s1", ("spring",), NINE + 14_400_000),
)


def put(settings: Settings, name: str, *values: bytes, at: int | None = None) -> None:
    """Store values in a topic, now or as if it were `at` (UTC ms)."""

    async def run() -> None:
        async with AIOKafkaProducer(**client_options(settings)) as producer:
            for value in values:
                await producer.send_and_wait(settings.topic(name), value, b"key", timestamp_ms=at)

    asyncio.run(run())


def test_conflict_for_people(settings: Settings) -> None:
    """A conflict is one block: time, severity, who, the sentence, each piece of evidence and both quotes."""
    put(settings, CONFLICTS, make_codec(settings).encode_finding(CONFLICT))
    result = touchstream(settings, "tail", "conflicts", "--no-follow")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (PAYLOADS / "tail_conflict.txt").read_text()


def test_handoff_for_people(settings: Settings) -> None:
    """A hand-off shows its score, its components, its campaigns and when it is due, and that it was amended."""
    put(settings, HANDOFFS, make_codec(settings).encode_finding(HANDOFF))
    assert (
        touchstream(settings, "tail", "handoffs", "--no-follow").stdout == (PAYLOADS / "tail_handoff.txt").read_text()
    )


def test_findings_as_json(settings: Settings) -> None:
    """--json prints a finding in the form of the backtest, times in RFC 3339."""
    codec = make_codec(settings)
    put(settings, CONFLICTS, codec.encode_finding(CONFLICT))
    put(settings, HANDOFFS, codec.encode_finding(HANDOFF))
    (conflict,) = objects(touchstream(settings, "tail", "conflicts", "--json", "--no-follow").stdout)
    (handoff,) = objects(touchstream(settings, "tail", "handoffs", "--json", "--no-follow").stdout)
    assert conflict == json.loads(finding_json.line(CONFLICT))
    assert handoff == json.loads(finding_json.line(HANDOFF))
    assert conflict["event_time"] == "2026-03-02T15:40:00Z"


def test_touches(settings: Settings) -> None:
    """`tail touches` prints the touches of all four topics, and --json their JSON for people."""
    text = (PAYLOADS / "send.jsonl").read_bytes()
    touchstream(settings, "send", stdin=text)
    good = [parse(text.splitlines()[0]), parse(text.splitlines()[3])]
    result = touchstream(settings, "tail", "touches", "--json", "--no-follow")
    assert sorted(objects(result.stdout), key=lambda touch: touch["touch_id"]) == [
        json.loads(to_json(touch)) for touch in good
    ]
    lines = sorted(touchstream(settings, "tail", "touches", "--no-follow").stdout.splitlines())
    assert lines == [
        "2026-03-02T09:12:00Z  marketing -> Dana Reyes (dana@example.com): email sent 'Spring offer' campaign spring  s1",
        "2026-03-02T15:40:00Z  sales by J. Okafor -> +49 30 1234567: calls dialed  s3",
    ]


def test_dead_letters_cannot_steer_the_terminal(settings: Settings) -> None:
    """A dead letter shows address, reason and remedy; escape sequences of its text come out as text."""
    letter = Rejected(
        "undecodable", "bad \x1b[31mbytes\x07", "ingest", b"\x00\x01", Origin("touches.email", 1, 42), b"k"
    )
    put(settings, DEAD_LETTER, make_codec(settings).encode_dead_letter(letter, NINE))
    shown = touchstream(settings, "tail", "dead-letter", "--no-follow").stdout.splitlines()
    assert shown[0] == "2026-03-02T09:12:00Z  undecodable  touches.email[1]@42"
    assert shown[1] == r"  bad \x1b[31mbytes\x07"
    (plain,) = objects(touchstream(settings, "tail", "dead-letter", "--no-follow", "--json").stdout)
    assert (plain["topic"], plain["partition"], plain["offset"], plain["payload_base64"]) == (
        "touches.email",
        1,
        42,
        "AAE=",
    )


def test_undecodable_record_is_not_fatal(settings: Settings) -> None:
    """A record that is no finding is named with its address on standard error, and the next one is printed."""
    put(settings, CONFLICTS, b"nonsense", make_codec(settings).encode_finding(CONFLICT))
    result = touchstream(settings, "tail", "conflicts", "--no-follow", "--json")
    assert [finding["finding_id"] for finding in objects(result.stdout)] == ["f1"]
    assert result.stderr.startswith(f"{settings.topic(CONFLICTS)}[")
    assert "]@0 cannot be decoded: " in result.stderr


def test_count_and_since(settings: Settings) -> None:
    """--count ends a following tail; --since leaves out what was published before."""
    codec = make_codec(settings)
    hour = 3_600_000
    put(settings, CONFLICTS, codec.encode_finding(CONFLICT), at=time.time_ns() // 1_000_000 - 2 * hour)
    put(settings, CONFLICTS, *[codec.encode_finding(CONFLICT)] * 3)
    result = touchstream(settings, "tail", "conflicts", "--json", "--from-beginning", "--count", "2")
    assert len(objects(result.stdout)) == 2
    for since, expected in (("3h", 4), ("1h", 3), ("0s", 0)):
        result = touchstream(settings, "tail", "conflicts", "--json", "--no-follow", "--since", since)
        assert len(objects(result.stdout)) == expected


def test_follow_until_interrupted(settings: Settings) -> None:
    """A following tail prints what is published while it runs, and ends quietly with exit code 0 on SIGINT."""
    codec = make_codec(settings)
    put(settings, CONFLICTS, codec.encode_finding(CONFLICT))
    command = [
        sys.executable,
        "-m",
        "streams",
        "tail",
        "conflicts",
        "--json",
        "--from-beginning",
        "--bootstrap",
        settings.bootstrap,
    ]
    process = subprocess.Popen(
        [*command, "--topic-prefix", settings.topic_prefix],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(90 * SLOWER, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["finding_id"] == "f1"
        put(settings, CONFLICTS, codec.encode_finding(HANDOFF))
        assert json.loads(process.stdout.readline())["finding_id"] == "h1"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (0, "", "")


def test_broker_away() -> None:
    """Without a broker the command ends with an error that names the address and what to do."""
    address = f"127.0.0.1:{free_port()}"
    result = touchstream(None, "tail", "conflicts", "--bootstrap", address)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot read from Kafka at {address}: ")
    assert "`touchstream up`" in result.stderr


@pytest.mark.parametrize("since", ["5", "1w", "-1h", "1.5h", "soon"])
def test_since_that_is_no_duration(since: str) -> None:
    """A length of time is a whole number and a unit; anything else says so."""
    result = touchstream(None, "tail", "conflicts", "--since", since)
    assert result.exit_code == 2
    assert "is not a length of time such as 90s, 15m, 2h or 3d" in result.stderr
