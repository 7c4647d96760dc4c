"""`touchstream customer` without workers: what it shows, refuses, waits for and exports; and keys that say nothing of a person."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from streams.core.identity_facts import cause_of
from streams.core.ledger import facts
from streams.core.outcome import Rejected, RejectReason
from streams.core.touch import Customer, Origin
from streams.core.touch_json import parse
from streams.edge.codec import Codec
from streams.edge.embedded.ports import free_port
from streams.edge.publisher import Publisher, Record
from streams.edge.topics import COMMANDS, DEAD_LETTER, DEALS, ERASURES, LEDGER_FACTS, RESERVATIONS, TOUCH_TOPICS
from streams.settings import Settings
from tests.support.commands import PAYLOADS, objects, stored, touchstream
from tests.support.identities import workers
from tests.support.samples import CONFLICT, DEAL, RECEIPT, RESERVATION, replace
from tests.test_identity_command import node_of

pytestmark = pytest.mark.stack

CODEC = Codec()
SAMPLE = parse((PAYLOADS / "send.jsonl").read_bytes().splitlines()[0])
DANA = Customer(email="dana@example.com", phone="+14155550132", name="Dana Reyes")
BO = Customer(email="bo@example.com", name="Bo Lind")
PSEUDONYM = re.compile(rb"c[1-9]-[0-9a-f]{24}")


def know(settings: Settings, *customers: Customer) -> None:
    """The identity log knows these, as after a touch of each."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            for customer in customers:
                ids = tuple(node_of(settings, **one) for one in identifiers(customer))
                cause = cause_of(replace(SAMPLE, customer=customer), 1, Origin("touches.email", 0, 1))
                await worker.publish(await worker.index.resolve([ids], lambda _, cause=cause: cause))

    asyncio.run(run())


def identifiers(customer: Customer) -> list[dict[str, str]]:
    """Each identifier alone, strongest first."""
    return [{name: value} for name in ("email", "phone") if (value := getattr(customer, name))]


def put(settings: Settings, *records: tuple[str, str | None, bytes]) -> None:
    """Records as (topic of the catalogue, key, value)."""

    async def run() -> None:
        async with Publisher(settings) as publisher:
            for topic, key, value in records:
                await publisher.publish(Record(settings.topic(topic), None if key is None else key.encode(), value))

    asyncio.run(run())


def letter(payload: bytes, reason: RejectReason = "too_old", **where: Any) -> tuple[str, None, bytes]:
    """A dead letter's record."""
    rejected = Rejected(reason, "too old", "ingest", payload, **where)
    return DEAD_LETTER, None, CODEC.encode_dead_letter(rejected, 1)


def test_erase_asks_first_and_only_pseudonyms_travel(settings: Settings) -> None:
    """What there is is shown, and without a yes nothing is asked of the workers; with one, the command has nothing but a pseudonym."""
    know(settings, DANA)
    mail = node_of(settings, email="dana@example.com")
    no = touchstream(settings, "customer", "erase", "Dana@Example.com", stdin="n\n")
    assert no.exit_code == 1 and stored(settings, COMMANDS) == []
    assert f"{mail}  mail address      dana@example.com" in no.stderr
    assert "0 touches on timelines, 0 findings, 0 reservations" in no.stderr
    yes = touchstream(settings, "customer", "erase", "Dana@Example.com", "--by", "p.ito", "--no-wait", stdin="y\n")
    assert (yes.exit_code, yes.stdout.splitlines()[-1]) == (0, "asked for; `touchstream tail erasures` shows it")
    (record,) = stored(settings, COMMANDS)
    command = CODEC.decode_command(record.value or b"")
    assert (command.kind, command.customer_id, command.requested_by) == ("customer_erased", mail, "p.ito")
    assert record.key == mail.encode() and b"dana" not in (record.value or b"").lower()


def test_erase_says_what_is_wrong(settings: Settings) -> None:
    """An unknown person, a number of many people, and workers that do not answer end with exit code 1 and say what to do."""
    unknown = touchstream(settings, "customer", "erase", "nobody@example.com", "--yes")
    assert unknown.exit_code == 1 and "knows nobody by 'nobody@example.com'" in unknown.stderr
    know(settings, *(replace(DANA, email=f"{name}@example.org") for name in ("ann", "bo", "cy", "di", "ann")))
    shared = touchstream(settings, "customer", "erase", "+1 415 555 0132", "--yes")
    assert shared.exit_code == 1 and "many people have '+1 415 555 0132'" in shared.stderr
    late = touchstream(settings, "customer", "erase", "ann@example.org", "--yes", "--timeout", "1")
    assert late.exit_code == 1
    assert "was not complete within 1 s" in late.stderr and "are workers and Redis running?" in late.stderr


def test_no_broker() -> None:
    """Without a broker both commands end with an error that names the address."""
    address = f"127.0.0.1:{free_port()}"
    for command in ("erase", "export"):
        result = touchstream(None, "customer", command, "dana@example.com", "--bootstrap", address)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: cannot read from Kafka at {address}: ")


def test_export_of_what_could_not_go_on(settings: Settings) -> None:
    """Dead letters of the person are found by what their payload says, from a touch topic or an import; those of others are not in the
    export, and those that nobody can read are counted, but for those of the erased, of which no content is kept. What was reserved for
    the person is there, too, and their deals, as published and as the ledger keeps them."""
    know(settings, DANA, BO)
    line = b'{"channel": "email", "department": "sales", "direction": "outbound", "kind": "sent", "occurred_at":'
    line += b' "2026-03-02T09:12:00Z", "customer": {"email": "%b@example.com"}}'
    origin = Origin(settings.topic("touches.email"), 0, 7)
    ids = [node_of(settings, email=f"{name}@example.com") for name in ("dana", "bo")]
    put(
        settings,
        letter(CODEC.encode_touch(replace(SAMPLE, customer=DANA)), origin=origin),
        letter(CODEC.encode_touch(replace(SAMPLE, customer=BO)), origin=replace(origin, offset=8)),
        letter(line % b"dana", source="json", line=1),
        letter(line % b"bo", source="json", line=2),
        letter(b"garbage", origin=replace(origin, offset=9)),
        letter(b"garbage", source="json", line=3),
        letter(b"", "erased", origin=replace(origin, offset=10)),
        ("conflicts", CONFLICT.customer, CODEC.encode_finding(CONFLICT)),
        *(
            (DEALS, name, CODEC.encode_deal(replace(DEAL, deal_id=name, customer=who)))
            for name, who in (("dana", DANA), ("bo", BO))
        ),
        *(
            (LEDGER_FACTS, f"deal:{n}", facts.encode(facts.DealFact(n, 1, False, (id_,), "open", 1, None, None, None)))
            for n, id_ in zip(("dana", "bo"), ids, strict=True)
        ),
        *((RESERVATIONS, "r", CODEC.encode_reservation(replace(RESERVATION, persons=(id_,)))) for id_ in ids),
    )
    result = touchstream(settings, "customer", "export", "dana@example.com")
    assert result.exit_code == 0
    export = json.loads(result.stdout)
    assert {one.get("line") for one in export["dead_letters"]} == {None, 1} and len(export["dead_letters"]) == 2
    assert export["dead_letters_of_unknown_people"] == 2
    assert "Bo Lind" not in result.stdout and "bo@example.com" not in result.stdout
    assert [one["persons"] for one in export["reservations"]] == [ids[:1]]
    assert [one["deal_id"] for one in export["deals"]] == ["dana"]
    assert [(one["kind"], one["deal_id"]) for one in export["ledger"]] == [("deal", "dana")]
    assert export["findings"] == export["touches"] == export["timelines"] == export["commands"] == []
    assert {one["value"] for one in export["identity"]["ids"]} == {"dana@example.com", None}
    assert "2 dead letters cannot be read" in result.stderr


def test_export_to_a_file(settings: Settings, tmp_path: Any) -> None:
    """With --out the JSON is in the file, and people read a summary."""
    know(settings, DANA)
    out = tmp_path / "dana.json"
    result = touchstream(settings, "customer", "export", "dana@example.com", "--out", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(out.read_text(encoding="utf-8"))["customer_id"] == node_of(settings, email="dana@example.com")
    assert "2 ids, " in result.stderr and "0 touches as published" in result.stderr


def test_tail_erasures(settings: Settings) -> None:
    """Receipts are printed for people, a line a part, and as JSON."""
    put(settings, (ERASURES, RECEIPT.customer_id, CODEC.encode_receipt(RECEIPT)))
    people = touchstream(settings, "tail", "erasures", "--no-follow")
    assert people.stdout == (
        f"2026-03-02T15:40:00.412Z  {RECEIPT.customer_id}  identity: 3 ids, 6 records of its log, 2 reservations  asked for by p.ito,"
        f" request {RECEIPT.request_id}\n"
    )
    (told,) = objects(touchstream(settings, "tail", "erasures", "--no-follow", "--json").stdout)
    assert (told["requested_at"], told["timelines"]) == ("2026-03-02T15:40:00Z", list(RECEIPT.timelines))
    assert told["topics"][0] == {"topic": "touches.email", "how": "retention", "gone_by": "2026-04-08T15:40:00.412Z"}


def test_keys_of_producers_are_pseudonyms(settings: Settings) -> None:
    """Whatever `send` and `import` publish is keyed by a pseudonymous id, and what they bury by nothing."""
    touchstream(settings, "send", stdin=(PAYLOADS / "send.jsonl").read_bytes())
    log = (PAYLOADS.parents[1] / "streams" / "demo" / "sendgrid.json").read_bytes()
    touchstream(settings, "import", "--from", "sendgrid", "-", stdin=log)
    keys = [record.key or b"" for record in stored(settings, *TOUCH_TOPICS.values())]
    assert len(keys) > 5 and all(map(PSEUDONYM.fullmatch, keys))
    buried = stored(settings, DEAD_LETTER)
    assert buried and {record.key for record in buried} == {None}
