"""A person is erased with real workers: nothing of them is left, nobody else is touched, and nothing brings them back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from streams import Client
from streams.core import pipeline
from streams.core.erasure import Erasure, erased_at, folded
from streams.core.identify import nodes
from streams.core.touch import Actor, Customer, Touch
from streams.edge import crash_points, reader
from streams.edge.codec import Codec
from streams.edge.embedded.ports import free_port
from streams.edge.kafka_auth import client_options
from streams.edge.topics import COMMANDS, CONFLICTS, DEAD_LETTER, ERASURES, IDENTIFIED, IDENTITIES, changelog
from streams.settings import Settings
from tests.support.commands import stored, touchstream
from tests.support.drained import wait_drained
from tests.support.identities import flush
from tests.support.lanes import contents
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

CODEC = Codec()
POINTS = ("after_outputs_acknowledged:1", "after_outputs_acknowledged:2", "after_changelog_sent:1", "before_commit:1")
NINE = 1_772_442_720_000  # 2026-03-02T09:12:00Z
MINUTE = 60_000
PROFILE = "https://www.linkedin.com/in/dana-reyes"
DANA = Customer(
    email="dana@example.com", phone="+1 415 555 0132", crm_id="D-7", linkedin_url=PROFILE, name="Dana Reyes"
)
BO = Customer(email="bo@example.com", phone="+1 415 555 0199", name="Bo Lind")


def mail(touch_id: str, minute: int, customer: Customer, **changes: Any) -> Touch:
    """A mail of marketing."""
    return replace(
        Touch(touch_id, "email", "marketing", "outbound", "sent", NINE + minute * MINUTE, customer, campaign="spring"),
        **changes,
    )


def call(touch_id: str, minute: int, customer: Customer) -> Touch:
    """A call of sales."""
    actor = Actor("jokafor", "J. Okafor")
    return Touch(touch_id, "calls", "sales", "outbound", "answered", NINE + minute * MINUTE, customer, actor=actor)


def only(customer: Customer, *names: str) -> Customer:
    """The customer as a source knows them that has these identifiers."""
    return Customer(**{name: getattr(customer, name) for name in (*names, "name")})


def tell(settings: Settings, count: int) -> None:
    """Two days, of one person with so many touches and another with few: mails to the address, a call to the phone that makes a conflict
    once the two are one person, and then what links them."""
    links = []
    for customer, who, number in ((DANA, "dana", count), (BO, "bo", 3)):
        address = only(customer, "email")
        mails = [mail(f"{who}-{n:03d}", n, address, kind="delivered") for n in range(number)]
        spoken = [mail(f"{who}-mail", number, address), call(f"{who}-call", number + 60, only(customer, "phone"))]
        publish(settings, [*mails, *spoken])
        links.append(mail(f"{who}-link", number + 90, customer, kind="delivered"))
    wait_drained(settings)
    publish(settings, links)
    wait_drained(settings)


def ids_of(settings: Settings, customer: Customer) -> tuple[str, ...]:
    """Pseudonymous ids of all identifiers."""
    return nodes(customer, settings.id_key, settings.default_region)


def with_policy(tmp_path: Path, text: str) -> dict[str, str]:
    """A worker's policy file."""
    path = tmp_path / f"policy-{len(list(tmp_path.iterdir()))}.toml"
    path.write_text(f"[touch]\nlate_after_days = 36500\n[erasure]\n{text}\n", encoding="utf-8")
    return {"TOUCHSTREAM_POLICY_PATH": str(path)}


def last_values(settings: Settings, topic: str) -> dict[str, bytes]:
    """What is left of a compacted topic once Kafka has compacted it: the last value of each key that has one."""
    values: dict[str, bytes | None] = {}
    for record in asyncio.run(contents(settings, topic)):
        values[record.key.decode()] = record.value
    return {key: value for key, value in values.items() if value is not None}


def left_of(settings: Settings, ids: tuple[str, ...]) -> list[str]:
    """Keys in compacted topics that name one of these ids; marks, which say when they were erased and no more, are not counted."""
    logs = {name: last_values(settings, name) for name in (settings.topic(IDENTITIES), changelog(settings))}
    return [
        key
        for values in logs.values()
        for key, value in values.items()
        if any(id_ in key or id_.encode() in value for id_ in ids)
        if not key.startswith("erased:") and not (key in ids and erased_at(value))
    ]


def receipt(settings: Settings) -> Erasure:
    """The only erasure, which is the same whichever partition is read first."""
    by_partition = sorted(stored(settings, ERASURES), key=lambda record: record.partition)
    parts = [CODEC.decode_receipt(record.value or b"") for record in by_partition]
    (erasure,) = folded(parts).values()
    by_partition.sort(key=lambda record: -record.partition)
    assert folded(CODEC.decode_receipt(record.value or b"") for record in by_partition) == {
        parts[0].request_id: erasure
    }
    return erasure


def erase(settings: Settings, what: str, *options: str) -> str:
    """What the command prints."""
    result = touchstream(settings, "customer", "erase", what, "--by", "p.ito", "--yes", *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def exported(settings: Settings, what: str) -> dict[str, Any]:
    """What the command writes."""
    result = touchstream(replace(settings), "customer", "export", what)
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def produce(settings: Settings, topic: str, value: bytes, key: bytes) -> None:
    """A record as somebody else's producer writes it."""

    async def run() -> None:
        async with AIOKafkaProducer(**client_options(settings)) as producer:
            await producer.send_and_wait(settings.topic(topic), value, key=key)

    asyncio.run(run())


def named_in_redis(settings: Settings, ids: tuple[str, ...]) -> set[str]:
    """Keys of the installation's Redis, without prefix, that name one of these ids, in the key or in what it holds. Marks that the view
    copied from the changelog are not counted."""
    named = set()
    with redis.Redis.from_url(settings.redis_url) as client:
        for key in client.scan_iter("*"):
            read = {
                b"string": client.get,
                b"hash": client.hgetall,
                b"set": client.smembers,
                b"zset": lambda name: client.zrange(name, 0, -1),
                b"list": lambda name: client.lrange(name, 0, -1),
            }[client.type(key)]
            held = read(key)
            if isinstance(held, dict):
                held = {field: value for field, value in held.items() if not erased_at(value)}
            if any(id_.encode() in key or id_ in str(held) for id_ in ids):
                named.add(key.decode().partition(":id:")[2] or key.decode())
    return named


def test_erased_for_good(settings: Settings, tmp_path: Path) -> None:
    """A person of four identifiers and 203 touches in segments, who was three customers once, is exported, erased by one identifier, and
    gone, but for marks: from the timelines' changelog, the identity log and Redis; their findings are blank. With Redis flushed, then away,
    nothing is back, another person's timeline and findings are as they were; a later touch is a dead letter without content."""
    policy = with_policy(tmp_path, "grace_minutes = 0.02")  # which counts only where later touches start afresh
    dana, bo = ids_of(settings, DANA), ids_of(settings, BO)
    with Worker(settings, **policy) as worker:
        produce(settings, "touches.email", b"not a touch of dana@example.com", b"dana@example.com")
        tell(settings, 200)
        before = last_values(settings, changelog(settings))
        assert len([key for key in before if key.startswith(f"{dana[0]}#")]) >= 3
        check_export(settings)

        said = erase(settings, " Dana@Example.com ")
        done = receipt(settings)
        assert done.is_complete and done.identity is not None
        assert f"erasure of {dana[0]}, asked for by p.ito at" in said and "not complete" not in said
        assert (done.identity.identifiers, set(done.identity.timelines)) == (4, {*dana})
        held = done.timelines[dana[0]]
        assert (held.touches, held.findings) == (203, 1) and held.segments >= 3
        wait_drained(settings)
        assert left_of(settings, dana) == []
        check_findings(settings, dana, bo)
        # marks, the ids whose cached answers are void, and for a day: the request, and that nobody holds a contact on what he knew before
        request_id = done.identity.request_id
        marks = {
            *dana,
            "changes",
            f"erasure:{request_id}",
            *(f"touchstream:{settings.app_id}:hold:on:{id_}" for id_ in dana),
        }
        wait_until(lambda: named_in_redis(settings, dana) <= marks, 30, "Redis to have nothing but marks")
        assert worker.stop() == 0, "".join(worker.log[-30:])

    flush(settings)
    with Worker(settings, **policy) as again:
        publish(settings, [mail("bo-new", 300, BO, kind="delivered"), mail("dana-new", 300, only(DANA, "email"))])
        wait_drained(settings)
        assert left_of(settings, dana) == []
        after = last_values(settings, changelog(settings))
        assert bo[0] in after and after[bo[0]] != before[bo[0]]
        letters = [CODEC.decode_dead_letter(record.value or b"") for record in stored(settings, DEAD_LETTER)]
        (refused,) = [letter for letter in letters if letter.reason == "erased"]
        assert (refused.payload, refused.key, refused.origin is not None) == (b"", None, True)
        export = exported(settings, "dana@example.com")
        assert [one["reason"] for one in export["dead_letters"]] == ["erased"]
        assert len(export["erasures"]) == 10 and [list(one) for one in export["timelines"]] == [
            ["customer_id", "erased_at"]
        ]
        assert again.stop() == 0, "".join(again.log[-30:])

    with Worker(replace(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0"), **policy) as alone:
        publish(settings, [mail("dana-alone", 290, Customer(linkedin_url=PROFILE))])
        wait_drained(settings)
        assert alone.stop() == 0, "".join(alone.log[-30:])
    log = last_values(settings, changelog(settings))
    assert all(erased_at(log[id_]) for id_ in dana) and not [key for key in log if "#" in key and key.startswith(dana)]
    check_keys(settings)


def check_export(settings: Settings) -> None:
    """The export by any identifier has all of the person, under names, and nothing of the other one."""
    export = exported(settings, "+1 (415) 555-0132")
    dana, bo = ids_of(settings, DANA), ids_of(settings, BO)
    assert (export["format"], export["version"], export["customer_id"]) == ("touchstream-customer-export", 1, dana[0])
    assert {one["value"] for one in export["identity"]["ids"]} == {"D-7", "dana@example.com", "+14155550132", PROFILE}
    published = [one["touch"] for one in export["touches"]]
    assert len(published) == 203 and {one["customer"]["name"] for one in published} == {"Dana Reyes"}
    assert published[0]["customer"]["email"] == "dana@example.com"
    lines = {one["customer_id"]: one for one in export["timelines"]}
    assert {len(one.get("touches", [])) for one in lines.values()} == {203, 0}
    entry = lines[dana[0]]["touches"][-2]
    assert (entry["id"], entry["actor_name"], entry["at"]) == ("dana-call", "J. Okafor", "2026-03-02T13:32:00Z")
    assert {one["merged_into"] for id_, one in lines.items() if id_ != dana[0]} == {dana[0]}
    assert [one["rule"] for one in export["findings"] if one["state"] != "retracted"] == ["double_contact"]
    assert {one["kind"] for one in export["commands"]} == {"customer_merged", "timeline_moved"}
    assert export["kept"][settings.topic(CONFLICTS)] == "90 days"
    text = json.dumps(export)
    assert not any(other in text for other in ("Bo Lind", "bo@example.com", "5550199", "bo-", *bo))


def check_findings(settings: Settings, dana: tuple[str, ...], bo: tuple[str, ...]) -> None:
    """All findings of the one are withdrawn, in their last revision without content; the other's stand."""
    found = asyncio.run(reader.findings(settings)).values()
    theirs = [finding for finding in found if finding.customer in dana]
    assert theirs and {finding.state for finding in theirs} == {"retracted"}
    last = max(theirs, key=lambda finding: finding.customer == dana[0])
    assert (last.evidence, last.customer_name, last.cause and last.cause.kind) == ((), None, "erasure")
    assert [finding.rule for finding in found if finding.customer in bo and finding.state != "retracted"] == [
        "double_contact"
    ]


def check_keys(settings: Settings) -> None:
    """No key of a topic that is ours has a plain address or number; the key that a producer chose stays in the dead letter's value."""
    ours = [CONFLICTS, DEAD_LETTER, ERASURES, IDENTIFIED, IDENTITIES, COMMANDS, "handoffs"]
    keys = [record.key or b"" for record in stored(settings, *ours)]
    keys += [record.key for record in asyncio.run(contents(settings, changelog(settings)))]
    assert len(keys) > 200
    assert not [key for key in keys if b"@" in key or (b"415" in key.partition(b"-")[2] and len(key) < 20)]
    letters = [(record.key, CODEC.decode_dead_letter(record.value or b"")) for record in stored(settings, DEAD_LETTER)]
    (plain,) = [key for key, letter in letters if letter.key == b"dana@example.com"]
    assert plain is not None and plain.startswith(b"k-")


def test_later_touches_start_afresh(settings: Settings, tmp_path: Path) -> None:
    """Where policy has it so, a touch of an event after the erasure begins a new timeline, an old event that is published again does
    not, and one that was looked up before the erasure and comes after it neither. A second erasure has a receipt of its own, and
    whom nobody knows cannot be erased."""
    policy = with_policy(tmp_path, 'later_touches = "fresh"')
    address = only(DANA, "email")
    unknown = touchstream(settings, "customer", "erase", "dana@example.com", "--yes")
    assert unknown.exit_code == 1 and "knows nobody by 'dana@example.com'" in unknown.stderr
    with Worker(settings, **policy) as worker:
        publish(settings, [mail("old", 0, address), mail("older", -60, address)])
        wait_drained(settings)
        erase(settings, "dana@example.com")
        (first,) = folded([CODEC.decode_receipt(r.value or b"") for r in stored(settings, ERASURES)]).values()
        (customer,) = first.timelines
        slow = pipeline.identify(mail("slow", 1, address), customer, NINE, None, "", 1)
        produce(settings, IDENTIFIED, CODEC.encode_identified(slow), customer.encode())
        late = int(first.identity.done_at if first.identity else 0) + MINUTE
        publish(settings, [mail("old", 0, address), replace(mail("new", 0, address), occurred_at=late)])
        wait_drained(settings)
        (line,) = exported(settings, "dana@example.com")["timelines"]
        assert [entry["id"] for entry in line["touches"]] == ["new"]
        erase(settings, "dana@example.com", "--kind", "email")
        parts = [CODEC.decode_receipt(r.value or b"") for r in stored(settings, ERASURES)]
        assert [sum(one.touches for one in e.timelines.values()) for e in folded(parts).values()] == [2, 1]
        marks = {key: erased_at(value) for key, value in last_values(settings, changelog(settings)).items()}
        assert list(marks) == [customer] and marks[customer] > 0
        assert worker.stop() == 0, "".join(worker.log[-30:])


async def request(settings: Settings, id_: str) -> None:
    """An erasure is asked for."""
    async with Client(settings=settings) as client:
        await client.request("customer_erased", id_, by="p.ito")


def crash_and_go_on(settings: Settings, point: str, policy: dict[str, str], refuse: bool = False) -> None:
    """The worker that carries out an erasure ends at the point; the next one carries it out. Where later touches are refused, marks
    stay."""
    dana, bo = ids_of(settings, DANA), ids_of(settings, BO)
    with Worker(settings, **policy) as worker:
        tell(settings, 100)
        assert worker.stop() == 0
    asyncio.run(request(settings, dana[1]))  # a command's output would be mixed with that of the other installations
    with Worker(settings, TOUCHSTREAM_CRASH_AT=point, **policy) as worker:
        assert worker.ended() == crash_points.EXIT_CODE
    if (
        point == POINTS[0]
    ):  # marks and commands are in Kafka, null values are not; and the index forgets the request, too
        flush(settings)
    with Worker(settings, **policy) as again:
        wait_until(
            lambda: stored(settings, ERASURES) and receipt(settings).is_complete, 60, f"the receipt after {point}"
        )
        assert left_of(settings, dana) == [], f"a receipt is complete once nothing is left, after {point}"
        if not refuse:
            wait_until(
                lambda: last_values(settings, changelog(settings)).keys().isdisjoint(dana), 60, f"no mark after {point}"
            )
        wait_drained(settings)
        assert again.stop() == 0, "".join(again.log[-30:])
    done = receipt(settings)
    assert done.identity is not None and (done.identity.identifiers, len(done.timelines)) == (4, 4 if refuse else 3)
    assert done.timelines[dana[0]].touches == 103
    check_findings(settings, dana, bo)


def test_killed_at_each_step(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A worker that ends after the marks and commands of an erasure are in Kafka (and Redis is lost then, too), after its findings are,
    within the changelog, and before the commit: the next worker ends it, with one receipt that says what was there. It is complete once
    nothing is left but marks. Once the grace is over, no mark of theirs is left in the changelog either, unless they are refused for
    good."""
    fresh = with_policy(tmp_path, 'later_touches = "fresh"\ngrace_minutes = 0.02')
    refuse = with_policy(tmp_path, 'later_touches = "refuse"')
    cases = [(point, fresh, False) for point in POINTS] + [(POINTS[0], refuse, True)]
    with ThreadPoolExecutor(len(cases)) as pool:
        settings = [make_settings(session_timeout=6.0, commit_interval=0.3) for _ in cases]
        runs = [pool.submit(crash_and_go_on, own, *case) for own, case in zip(settings, cases, strict=True)]
        for run in runs:
            run.result()
