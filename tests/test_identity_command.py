"""`touchstream identity show` on a log that the identity index wrote. No Redis is given to the command."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from streams.core.identify import nodes
from streams.core.identity_facts import Fact, cause_of, encode
from streams.core.touch import Customer, Origin, Touch
from streams.core.touch_json import parse
from streams.edge.embedded.ports import free_port
from streams.edge.kafka_auth import client_options
from streams.edge.topics import IDENTITIES
from streams.settings import Settings
from tests.support.commands import PAYLOADS, touchstream
from tests.support.identities import workers

pytestmark = pytest.mark.stack

NINE = 1_772_442_720_000  # 2026-03-02T09:12:00Z
SAMPLE = parse((PAYLOADS / "send.jsonl").read_bytes().splitlines()[0])
DANA = Customer(email="dana@example.com")
OFFICE = "+1 415 555 0132"
STORY = (
    DANA,
    Customer(phone="+49 30 1234567"),
    Customer(crm_id="7", email="dana@example.com"),
    Customer(crm_id="7", phone="+49 30 1234567"),
    Customer(crm_id="8", email="dana@example.com"),
    *(Customer(email=f"{name}@example.org", phone=OFFICE) for name in ("ann", "bo", "cy", "di")),
    Customer(email="ann@example.org"),
)


def node_of(settings: Settings, **identifier: str) -> str:
    """The node id of one identifier."""
    return nodes(Customer(**identifier), settings.id_key, settings.default_region)[0]


def tell(settings: Settings, story: tuple[Customer, ...] = STORY) -> None:
    """One touch of each customer, a minute apart, decided by the index and logged as a worker does it."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            for n, customer in enumerate(story):
                touch: Touch = replace(SAMPLE, touch_id=f"s{n}", customer=customer, occurred_at=NINE + n * 60_000)
                cause = cause_of(touch, touch.occurred_at + 1000, Origin("touches.email", 1, n))
                ids = nodes(customer, settings.id_key, settings.default_region)
                await worker.publish(await worker.index.resolve([ids], lambda _, cause=cause: cause))

    asyncio.run(run())


def shown(settings: Settings, *arguments: str) -> dict[str, Any]:
    """The command's JSON."""
    result = touchstream(settings, "identity", "show", *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    person: dict[str, Any] = json.loads(result.stdout)
    return person


def test_a_merged_person(settings: Settings) -> None:
    """Any identifier, however it is written, and any id lead to one person; links, merges and a block have date and cause."""
    tell(settings)
    crm, mail = node_of(settings, crm_id="7"), node_of(settings, email="dana@example.com")
    phone, other = node_of(settings, phone="+49 30 1234567"), node_of(settings, crm_id="8")
    person = shown(settings, " Dana@EXAMPLE.com")
    assert person["customer_id"] == crm
    assert [(one["id"], one["kind"], one["value"]) for one in person["ids"]] == [
        (crm, "crm_id", None),
        (mail, "email", "dana@example.com"),
        (phone, "phone", None),
    ]
    assert all(one["timeline_moved"] and not one["shared"] for one in person["ids"])
    assert [(e["event"], e["a"], e["b"], e["cause"]["touch_id"]) for e in person["history"]] == [
        ("customer", mail, mail, "s0"),
        ("customer", phone, phone, "s1"),
        ("customer", crm, crm, "s2"),
        ("link", crm, mail, "s2"),
        ("merge", mail, crm, "s2"),
        ("link", crm, phone, "s3"),
        ("merge", phone, crm, "s3"),
        ("blocked", other, mail, "s4"),
    ]
    blocked = person["history"][-1]
    assert (blocked["date"], sorted(blocked["customers"])) == ("2026-03-02T09:16:01Z", sorted((crm, other)))
    assert (blocked["cause"]["origin"], blocked["cause"]["occurred_at"]) == (
        "touches.email[1]@4",
        "2026-03-02T09:16:00Z",
    )
    for written in ("7", "+49 (30) 1234567", crm, phone):
        assert shown(settings, written)["history"] == person["history"], written


def test_for_people(settings: Settings) -> None:
    """Each id stands with its kind, the given one in plain, and each event on two lines: what, and which touch."""
    tell(settings, STORY[:1])
    mail = node_of(settings, email="dana@example.com")
    result = touchstream(settings, "identity", "show", "dana@example.com")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"customer {mail}",
        f"  {mail}  mail address      dana@example.com",
        "history",
        f"  2026-03-02T09:12:01Z  customer  touches are sent on under {mail}",
        "      touch s0 of 2026-03-02T09:12:00Z: marketing, email sent, touches.email[1]@0",
    ]


def test_a_shared_number(settings: Settings) -> None:
    """A switchboard's number says that it links nobody any more, since which touch, and whom it had linked before: they are apart."""
    tell(settings)
    office = node_of(settings, phone=OFFICE)
    person = shown(settings, OFFICE)
    assert [one["id"] for one in person["ids"] if one["shared"]] == [office]
    assert len(person["ids"]) == 1
    assert [(e["a"], e["cause"]["touch_id"]) for e in person["history"] if e["event"] == "shared"] == [(office, "s8")]
    text = touchstream(settings, "identity", "show", OFFICE).stdout
    assert "links nobody any more" in text
    for name in ("ann", "bo", "cy"):
        mail = node_of(settings, email=f"{name}@example.org")
        assert shown(settings, mail)["customer_id"] == mail
        assert f"{mail} and {office} are linked no more: one of them has too many people" in text
    assert shown(settings, "di@example.org")["customer_id"] == node_of(settings, email="di@example.org")


def test_kind_tells_apart(settings: Settings) -> None:
    """A text that is one person's CRM id and another's click id is refused until --kind says which."""
    tell(settings, (Customer(crm_id="X-1"), Customer(click_id="X-1")))
    result = touchstream(settings, "identity", "show", "X-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "'X-1' is ambiguous: crm_id of c1-" in result.stderr
    assert shown(settings, "X-1", "--kind", "click_id")["customer_id"] == node_of(settings, click_id="X-1")


def test_unknown_and_unusable(settings: Settings) -> None:
    """Whom nobody knows, and what is no identifier, end with exit code 1 and say what was tried."""
    unknown = touchstream(settings, "identity", "show", "dana@example.com")
    assert unknown.exit_code == 1
    assert "knows nobody by 'dana@example.com' (tried as CRM id, mail address, click id, cookie)" in unknown.stderr
    bad = touchstream(settings, "identity", "show", "dana", "--kind", "email")
    assert (bad.exit_code, bad.stderr) == (1, "Error: 'dana' is no usable mail address\n")


def test_strange_records(settings: Settings) -> None:
    """A record that is no fact is named and skipped, a repeated fact without a cause keeps its cause, a taken back one is gone."""
    tell(settings, STORY[2:3])
    crm, mail = node_of(settings, crm_id="7"), node_of(settings, email="dana@example.com")
    phone = node_of(settings, phone=OFFICE)
    gone = Fact(crm, phone)
    topic = settings.topic(IDENTITIES)
    records = [
        (Fact(crm, mail).key.encode(), b"link"),
        (b"nonsense\x1b", b"link"),
        (gone.key.encode(), encode(gone)),
        (gone.key.encode(), None),
    ]

    async def put() -> None:
        async with AIOKafkaProducer(**client_options(settings)) as producer:
            for key, value in records:
                await producer.send_and_wait(topic, value, key=key)

    asyncio.run(put())
    result = touchstream(settings, "identity", "show", "7", "--json")
    assert result.stderr.startswith(f"skipped {topic}[")
    assert "\x1b" not in result.stderr
    person = json.loads(result.stdout)
    assert [one["id"] for one in person["ids"]] == [crm, mail]
    assert {e["event"]: e["cause"]["touch_id"] for e in person["history"]} == {"customer": "s0", "link": "s0"}


def test_broker_away() -> None:
    """Without a broker the command ends with an error that names the address."""
    address = f"127.0.0.1:{free_port()}"
    result = touchstream(None, "identity", "show", "dana@example.com", "--bootstrap", address)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot read from Kafka at {address}: ")
