"""`touchstream identity merge`: what it says before it merges, and the merge with a real worker, until a split takes it back."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.identity_facts import Fact
from streams.core.outcome import Finding
from streams.core.touch import Customer
from streams.edge import reader
from streams.settings import Settings
from tests.support.commands import buried, touchstream
from tests.support.identities import because, workers
from tests.support.waiting import wait_until
from tests.support.worker import Worker
from tests.test_identity_command import OFFICE, node_of, shown, tell
from tests.test_identity_split_command import CALL, DANA, MAIL, NINE, NOON, PHONE, TEN, commands

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

CROWD = (
    Customer(crm_id="7", email=DANA),
    Customer(crm_id="8", email=DANA),
    Customer(crm_id="8", phone=PHONE),
    Customer(email="bo@example.com"),
    *(Customer(email=f"{name}@example.org", phone=OFFICE.replace("0132", "0199")) for name in ("ann", "bo", "cy", "di")),
    Customer(email="zoe@example.com"),
    Customer(email="info@example.com"),
)  # fmt: skip


def test_what_it_says(settings: Settings) -> None:
    """Before anything is asked for: who the two are, what keeps them apart, and whom they become. One person already, one identifier twice,
    a stranger, an office's address, an identifier of many or of somebody erased, and an endless reason are errors that say what to do.
    What is asked for stands in `commands`."""
    tell(settings, CROWD)
    seven, eight = node_of(settings, crm_id="7"), node_of(settings, crm_id="8")
    mail, phone = node_of(settings, email=DANA), node_of(settings, phone=PHONE)
    bo, zoe = node_of(settings, email="bo@example.com"), node_of(settings, email="zoe@example.com")

    async def erase() -> None:
        async with workers(settings) as ((worker,), _):
            gone = await worker.index.erase(zoe, "e1", 1, because("e1"))
            for id_ in gone.identifiers:
                await worker.send(
                    Fact(id_, id_, "erased", because("e1"), at=gone.decided_at, until=gone.decided_at // 1000)
                )
            for key in gone.log_keys:
                await worker.take_back(key)
            await worker.publish([])

    asyncio.run(erase())

    def refused(*asked: str) -> str:
        result = touchstream(settings, "identity", "merge", *asked, "--yes")
        assert result.exit_code == 1
        return result.stderr

    assert refused("7", seven) == f"Error: both are {seven}: name an identifier of each of the two who are one person\n"
    assert f"{seven} and {mail} are one person already, customer {seven}: {seven} - {mail}" in refused("7", DANA)
    assert "knows nobody by 'ida@example.com'" in refused("7", "ida@example.com")
    assert "is the address of an office" in refused("7", "info@example.com")
    shared = refused("7", "+1 415 555 0199")
    assert "many people have '+1 415 555 0199'" in shared and "name another id of the person" in shared
    assert "is of a person who was erased" in refused(zoe, "7")
    assert "--reason: at most 512 characters" in refused("7", "8", "--reason", "x" * 513)
    assert commands(settings) == []

    first, second = sorted((seven, eight))
    asked = ("identity", "merge", "7", "8", "--by", "p.ito", "--no-wait")
    no = touchstream(settings, *asked, stdin="n\n")
    assert (no.exit_code, commands(settings)) == (1, [])
    lines = no.stderr.splitlines()
    assert lines[0] == "now" and f"  customer {seven}" in lines and f"  customer {eight}" in lines
    assert f"    {phone}  phone number" in lines
    place = lines.index("kept apart, which ends")
    assert lines[place + 1].startswith(f"  {eight} - {mail}: 2026-03-02T09:13:01Z, touch s1")
    assert (
        lines[place + 2]
        == f"afterwards all of them are customer {first}, until `touchstream identity split {seven} {eight}`"
    )
    strangers = touchstream(settings, "identity", "merge", "7", "bo@example.com", stdin="n\n")
    assert "kept apart" not in strangers.stderr and f"customer {bo}" in strangers.stderr
    done = touchstream(settings, *asked, "--yes")
    assert (done.exit_code, done.stdout.startswith("asked for as ")) == (0, True)
    (command,) = commands(settings)
    assert (command.kind, command.customer_id, command.requested_by) == ("identity_merge", first, "p.ito")
    assert sorted(command.identifiers) == [first, second]
    late = touchstream(settings, "identity", "merge", "7", "8", "--yes", "--timeout", "1")
    assert (late.exit_code, "no worker has done it within 1 s" in late.stderr) == (1, True)


def found(settings: Settings) -> dict[str, list[Finding]]:
    """The findings as they stand, by rule."""
    held: dict[str, list[Finding]] = {}
    for one in asyncio.run(reader.findings(settings)).values():
        held.setdefault(one.rule, []).append(one)
    return held


def test_a_conflict_is_decided(settings: Settings) -> None:
    """Two CRM records with one address are one person, somebody says, and why: the conflict ends with that, mail and call of the
    two collide on one timeline, and `identity show` says who joined them. A split takes it back, and a merge the split."""
    one, two = node_of(settings, crm_id="7"), node_of(settings, crm_id="8")
    first, second = sorted((one, two))

    def standing(rule: str) -> list[tuple[str, str]]:
        return [
            (finding.state, finding.cause.kind if finding.cause else "") for finding in found(settings).get(rule, [])
        ]

    with Worker(settings):
        assert touchstream(settings, "send", *MAIL, "--email", DANA, "--crm-id", "7", *NINE).exit_code == 0
        wait_until(lambda: touchstream(settings, "identity", "show", "7").exit_code == 0, 60, "the first record")
        assert touchstream(settings, "send", *CALL, "--email", DANA, "--crm-id", "8", *TEN).exit_code == 0
        wait_until(lambda: standing("identity_conflict") == [("detected", "touch")], 60, "the conflict")
        (conflict,) = found(settings)["identity_conflict"]
        assert f"`touchstream identity merge {first} {second}`" in conflict.reason
        merge = ("identity", "merge", "7", "8", "--reason", "a double", "--by", "p.ito", "--yes")
        result = touchstream(settings, *merge)
        assert (result.exit_code, result.stdout.splitlines()[:2]) == (0, ["merged", f"  customer {first}"])
        wait_until(lambda: standing("identity_conflict") == [("retracted", "merge")], 60, "the end of the conflict")
        (ended,) = found(settings)["identity_conflict"]
        assert (ended.finding_id, ended.revision) == (conflict.finding_id, 2)
        assert ended.reason.endswith("It is no conflict any more: p.ito decided that they are one person: a double")
        assert ended.cause is not None and ended.cause.reason == "a double"
        wait_until(lambda: standing("double_contact") == [("detected", "merge")], 60, "the finding of both timelines")
        (double,) = found(settings)["double_contact"]
        assert double.customer == first and double.cause is not None
        assert (double.cause.id, double.cause.reason) == (ended.cause.id, "a double")
        again = touchstream(settings, *merge)
        assert (again.exit_code, "are one person already" in again.stderr) == (1, True)
        text = touchstream(settings, "identity", "show", DANA).stdout
        assert f"{first} and {second} are one person, as somebody decided" in text
        assert "asked for by p.ito, request " in text and ": a double" in text
        person = shown(settings, DANA)
        assert person["customer_id"] == first and all(id_["timeline_moved"] for id_ in person["ids"])

        split = touchstream(settings, "identity", "split", "7", "8", "--reason", "two sisters", "--yes")
        assert split.exit_code == 0, split.stderr
        wait_until(lambda: standing("double_contact") == [("retracted", "split")], 60, "the split")
        assert standing("identity_conflict") == [("retracted", "merge")]
        result = touchstream(settings, *merge)
        assert result.exit_code == 0, result.stderr
        wait_until(lambda: standing("double_contact") == [("detected", "merge")], 60, "the merge once more")
    assert buried(settings) == []


def test_two_whom_nothing_links(settings: Settings) -> None:
    """An address and a number that no touch showed together: somebody knows that they are one person's, and touches of each find the other
    from then on."""
    mail, phone = node_of(settings, email=DANA), node_of(settings, phone=PHONE)
    with Worker(settings):
        assert touchstream(settings, "send", *MAIL, "--email", DANA, *NINE).exit_code == 0
        assert touchstream(settings, "send", *CALL, "--phone", PHONE, *TEN).exit_code == 0
        for who in (DANA, PHONE):
            wait_until(
                lambda who=who: touchstream(settings, "identity", "show", who).exit_code == 0, 60, "the customers"
            )
        result = touchstream(settings, "identity", "merge", PHONE, DANA, "--yes")
        assert (result.exit_code, result.stdout.splitlines()) == (
            0,
            [
                "merged",
                f"  customer {mail}",
                f"    {mail}  mail address      {DANA}",
                f"    {phone}  phone number      +14155550132",
            ],
        )
        wait_until(lambda: len(found(settings).get("double_contact", [])) == 1, 60, "the finding of both")
        assert touchstream(settings, "send", *CALL, "--phone", PHONE, "--touch-id", "later", *NOON).exit_code == 0
        wait_until(lambda: len(found(settings)["double_contact"]) == 2, 60, "that of the later call")
    assert {one.customer for one in found(settings)["double_contact"]} == {mail}
    assert buried(settings) == []
