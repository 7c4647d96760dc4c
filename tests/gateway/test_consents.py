"""Records of consent over HTTP and the command line: what was said is in Kafka when they answer, and what is none is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from streams import Client
from streams.core.consent import CHANGED, ConsentChange
from streams.core.consent_json import AHEAD_MS, ConsentError
from streams.core.touch_json import rfc3339
from streams.edge import topic_admin
from streams.edge.client import Recorded
from streams.edge.codec import Codec
from streams.edge.topics import COMMANDS
from streams.gateway.consents import AT_ONCE
from streams.settings import Settings
from tests.gateway.running import Gateway, now_ms
from tests.support.commands import stored, touchstream
from tests.support.stack import fresh_settings, started
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

DANA = {"email": "dana@example.com"}


def test_what_is_no_record_is_refused(settings: Settings, gateway: Gateway) -> None:
    """422 names the field by RFC 9457, whoever refuses; the command line says the same; only what is right is published, recorded by whose
    token it was where nobody is named, and twice the same under one id."""
    right = {"customer": DANA, "status": "granted", "source": "crm", "recorded_by": "jo"}
    for wrong, said in (
        ({"status": "given"}, "status"),
        ({"channel": "fax"}, "channel"),
        ({"customer": {}}, "customer: needs at least one of email"),
        ({"customer": {"email": "nobody"}}, "no identifier is usable"),
        ({"at": "2026-03-02T09:00:00Z", "until": "2026-03-01T09:00:00Z"}, "was never in force"),
        ({"deleted": True}, "consent_id: missing"),
        ({"source": None}, "source"),
        ({"at": "2090-03-02T09:00:00Z"}, "at: 2090-03-02T09:00:00Z, when the customer said it, is still to come"),
    ):
        status, told, headers = gateway.call("POST", "/v1/consents", right | wrong)
        assert (status, headers["Content-Type"]) == (422, "application/problem+json"), wrong
        assert said in json.dumps(told), told
    refused = touchstream(settings, "consent", "give", "--email", "nobody", "--by", "jo")
    assert refused.exit_code == 1 and "no identifier is usable" in refused.stderr
    early = touchstream(
        settings, "consent", "give", "--email", "a@example.com", "--by", "jo", "--at", "2090-03-02T09:00:00Z"
    )
    assert early.exit_code == 1 and "give the moment at which it was said" in early.stderr
    unnamed = touchstream(settings, "consent", "deny", "--by", "jo")
    assert unnamed.exit_code == 1 and "say whom" in unnamed.stderr
    lines = "\n".join(
        [
            json.dumps(right | {"consent_id": "cmp-7", "purpose": "news"}),
            "",
            "{",
            json.dumps({"status": "maybe"}),
            "[]",
        ]
    )
    imported = touchstream(settings, "consent", "import", "-", stdin=lines)
    assert (imported.exit_code, imported.stdout) == (1, "recorded 1, broken 3\n"), imported.stderr
    assert "line 3: not JSON" in imported.stderr and "line 4: status: 'maybe' is not one of granted" in imported.stderr
    given = touchstream(
        settings, "consent", "give", "--phone", "+1 415 555 0132", "--at", "2026-03-02T09:00:00Z", "--by", "jo"
    )
    assert given.exit_code == 0, given.stderr
    right = right | {"at": "2026-03-02T09:00:00Z"}
    del right["recorded_by"]
    ids = {gateway.call("POST", "/v1/consents", right)[1]["consent_id"] for _ in range(2)}
    commands = [Codec().decode_command(record.value or b"") for record in stored(settings, COMMANDS)]
    told = [one.consent for one in commands if one.kind == CHANGED and one.consent]
    assert [one.consent_id for one in told[:1]] == ["cmp-7"]
    assert (told[1].customer.phone, told[1].at, told[1].source) == (
        "+1 415 555 0132",
        1_772_442_000_000,
        "touchstream consent",
    )
    told = told[2:]
    assert len(told) == 2 and {one.consent_id for one in told} == ids and len(ids) == 1
    assert (told[0].status, told[0].source, told[0].customer.email) == ("granted", "crm", DANA["email"])
    assert told[0].recorded_by == "touchstream gateway"


NDJSON = {"Content-Type": "application/x-ndjson"}


def batch(gateway: Gateway, lines: list[bytes]) -> list[Any]:
    """The answers to the lines of one batch."""
    status, told, headers = gateway.call("POST", "/v1/consents/batch", b"\n".join(lines), NDJSON)
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson"), told
    return [json.loads(line) for line in (told if isinstance(told, bytes) else json.dumps(told).encode()).splitlines()]


def published(settings: Settings) -> list[ConsentChange]:
    """All records of consent in Kafka."""
    codec = Codec()
    commands = [codec.decode_command(record.value or b"") for record in stored(settings, COMMANDS)]
    return [one.consent for one in commands if one.consent]


def test_a_batch_is_taken_line_by_line(settings: Settings, gateway: Gateway) -> None:
    """Each line has its answer in its place: where the record stands, or what is wrong with it, which holds up none of the rest. Who
    records what does not say it is the token's name; sent again, records with an id are the same."""
    right = {"customer": DANA, "status": "granted", "source": "crm"}
    lines = [json.dumps(right | {"consent_id": f"crm-{n}", "purpose": f"p{n % 7}"}).encode() for n in range(230)]
    lines[3:3] = [b"{", b"[]", json.dumps(right | {"status": "maybe"}).encode(), b""]
    lines[7:7] = [json.dumps(right | {"customer": {"email": "nobody"}}).encode()]
    lines[8:8] = [json.dumps(right | {"at": rfc3339(now_ms() + 2 * AHEAD_MS)}).encode()]
    before = len(published(settings))
    told = batch(gateway, lines)
    problems = {n: one["problem"] for n, one in enumerate(told) if "problem" in one}
    assert len(told) == 235 and sorted(problems) == [3, 4, 5, 6, 7]
    assert [problems[n]["type"].rpartition(":")[2] for n in sorted(problems)] == [
        "invalid-request", "invalid-request", "invalid-request", "not-a-consent", "not-a-consent"
    ]  # fmt: skip
    assert problems[5]["errors"][0]["pointer"] == "/status"
    assert "no identifier is usable" in problems[6]["detail"] and "is still to come" in problems[7]["detail"]
    assert [one["consent_id"] for one in told if "consent_id" in one] == [f"crm-{n}" for n in range(230)]
    batch(gateway, lines[:3])
    records = published(settings)[before:]
    assert (len(records), len({one.consent_id for one in records})) == (233, 230)
    assert {one.recorded_by for one in records} == {"touchstream gateway"}


def test_a_batch_that_is_too_long_is_taken_up_to_there(settings: Settings, gateway: Gateway) -> None:
    """The 10,001st record is a problem, and ends the batch; the 10,000 before it are in Kafka."""
    line = json.dumps({"customer": DANA, "status": "granted", "source": "crm", "at": "2026-03-02T09:00:00Z"}).encode()
    before = len(published(settings))
    told = batch(gateway, [line] * 10_001)
    assert [one.get("problem", {}).get("status") for one in told[9_999:]] == [None, 413] and len(told) == 10_001
    assert len(published(settings)) == before + 10_000


def test_the_sdk_records_many(settings: Settings) -> None:
    """One result each, in their order: where it stands, or what is wrong, at once where it is still to come."""
    right = {"customer": DANA, "status": "denied", "source": "crm", "recorded_by": "jo"}
    early = right | {"at": rfc3339(now_ms() + 2 * AHEAD_MS)}
    with Client.sync(settings=settings) as client:
        told = client.attempt_consents([right | {"consent_id": "a"}, early, right | {"consent_id": "b"}])
        assert [one.consent_id for one in told if isinstance(one, Recorded)] == ["a", "b"]
        assert isinstance(told[1], ConsentError) and "is still to come" in str(told[1])
        with pytest.raises(ConsentError, match="is still to come"):
            client.consent(DANA, "granted", source="crm", recorded_by="jo", at=early["at"])
        soon = rfc3339(now_ms() + AHEAD_MS // 2)
        client.consent(DANA, "granted", source="crm", recorded_by="jo", at=soon)


def test_a_batch_ends_when_kafka_is_away(tmp_path: Path) -> None:
    """Kafka stands still: the records that wait for it are problems, and the batch ends there, not after as long a wait for each."""
    with started(tmp_path) as stack:
        settings = fresh_settings(stack)
        asyncio.run(topic_admin.create_missing(settings))
        with Gateway(settings) as gateway:
            line = json.dumps({"customer": DANA, "status": "granted", "source": "crm", "consent_id": "a"}).encode()
            assert "consent_id" in batch(gateway, [line])[0]
            stack.broker.pause()
            told = batch(gateway, [line] * 1_000)
            stack.broker.resume()
            assert {one["problem"]["status"] for one in told} == {503} and len(told) == AT_ONCE + 1
            wait_until(lambda: "consent_id" in batch(gateway, [line])[0], 60, "records to go on")
