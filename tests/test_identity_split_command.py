"""`touchstream identity split`: what it says before it cuts, and the cut with a real worker."""

from __future__ import annotations

import asyncio
import json

import pytest

from streams.core.commands import Command
from streams.core.touch import Customer
from streams.edge import reader
from streams.edge.reader import make_codec
from streams.edge.topics import COMMANDS
from streams.settings import Settings
from tests.support.commands import buried, stored, touchstream
from tests.support.waiting import wait_until
from tests.support.worker import Worker
from tests.test_identity_command import node_of, shown, tell

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

DANA, PHONE = "dana@example.com", "+1 415 555 0132"
PROFILE = "https://www.linkedin.com/in/dana"
TANGLE = (
    Customer(crm_id="7", email=DANA),
    Customer(email=DANA, phone=PHONE),
    Customer(phone=PHONE, linkedin_url=PROFILE),
    Customer(crm_id="7", linkedin_url=PROFILE),
    Customer(email="bo@example.com"),
)


def commands(settings: Settings) -> list[Command]:
    """What was asked for."""
    codec = make_codec(settings)
    return [codec.decode_command(record.value or b"") for record in stored(settings, COMMANDS)]


def test_what_it_says(settings: Settings) -> None:
    """Before anything is asked for: which touch linked the two and who is who afterwards; if others hold them together, which links do; if
    no touch showed both, the way between them; two customers, strangers, one identifier twice and an endless
    reason are an error. What is asked for stands in `commands`."""
    tell(settings, TANGLE)
    crm, mail = node_of(settings, crm_id="7"), node_of(settings, email=DANA)
    phone, profile = node_of(settings, phone=PHONE), node_of(settings, linkedin_url=PROFILE)
    bo = node_of(settings, email="bo@example.com")

    same = touchstream(settings, "identity", "split", "7", crm)
    assert (same.exit_code, same.stderr) == (
        1, f"Error: both are {crm}: name two identifiers that a touch showed together\n"
    )  # fmt: skip
    long = touchstream(settings, "identity", "split", "7", DANA, "--reason", "x" * 513)
    assert long.exit_code == 1 and "--reason: at most 512 characters are allowed, and it has 513" in long.stderr
    indirect = touchstream(settings, "identity", "split", "7", PHONE)
    assert indirect.exit_code == 1
    assert (
        f"{crm} - {mail} - {phone}. Cut the wrong one" in indirect.stderr
        or f"{crm} - {profile} - {phone}. Cut" in indirect.stderr
    )
    assert f"touchstream identity split {crm} " in indirect.stderr

    held = touchstream(settings, "identity", "split", "7", DANA, "--yes")
    assert held.exit_code == 1
    assert (
        f"by other links: {crm} - {profile} - {phone} - {mail}. Name one of these, too: --also {crm} {profile}"
        in held.stderr
    )

    apart = touchstream(settings, "identity", "split", "bo@example.com", DANA)
    assert (apart.exit_code, f"are two customers already: {bo} and {crm}" in apart.stderr) == (1, True)
    assert (
        "knows nobody by 'zoe@example.com'"
        in touchstream(settings, "identity", "split", "zoe@example.com", DANA).stderr
    )

    asked = ("identity", "split", "7", DANA, "--also", PHONE, PROFILE, "--by", "p.ito", "--no-wait")
    refused = touchstream(settings, *asked, stdin="n\n")
    assert (refused.exit_code, commands(settings)) == (1, [])
    assert refused.stderr.splitlines()[:11] == [
        f"customer {crm}",
        "links to cut",
        f"  {crm} - {mail}: 2026-03-02T09:12:01Z, touch s0: marketing, email sent touches.email[1]@0",
        f"  {phone} - {profile}: 2026-03-02T09:14:01Z, touch s2: marketing, email sent touches.email[1]@2",
        "afterwards",
        f"  customer {crm}",
        f"    {crm}  CRM id            7",
        f"    {profile}  LinkedIn profile  {PROFILE}",
        f"  customer {mail}",
        f"    {mail}  mail address      {DANA}",
        f"    {phone}  phone number      +14155550132",
    ]
    done = touchstream(settings, *asked, "--yes")
    assert (done.exit_code, done.stdout.startswith("asked for as ")) == (0, True)
    first, second = commands(settings)
    assert (first.identifiers, second.identifiers) == ((crm, mail), (phone, profile))
    assert {(one.kind, one.customer_id, one.requested_by) for one in (first, second)} == {
        ("identity_split", crm, "p.ito")
    }
    late = touchstream(settings, "identity", "split", "7", DANA, "--also", PHONE, PROFILE, "--yes", "--timeout", "1")
    assert (late.exit_code, "no worker has done it within 1 s" in late.stderr) == (1, True)


NINE, TEN, NOON = (("--occurred-at", f"2026-03-02T{hour}:00:00Z") for hour in ("09", "10", "12"))
CALL = ("--channel", "calls", "--department", "sales", "--kind", "dialed")
MAIL = ("--channel", "email", "--department", "marketing", "--kind", "sent")


def test_a_split_with_a_worker(settings: Settings) -> None:
    """A colleague's number in a contact's record made one person of two, and a conflict. The split takes it back: the finding is
    retracted with the split as its cause and the reason that was given, `identity show` says who asked and why, and a later touch with
    both identifiers links nothing."""
    mail, phone = node_of(settings, email=DANA), node_of(settings, phone=PHONE)

    def findings() -> list[tuple[str, str]]:
        found = asyncio.run(reader.findings(settings)).values()
        return sorted((one.state, one.cause.kind if one.cause else "") for one in found)

    with Worker(settings):
        assert touchstream(settings, "send", *MAIL, "--email", DANA, *NINE).exit_code == 0
        assert touchstream(settings, "send", *CALL, "--phone", PHONE, *TEN).exit_code == 0
        both = ("--email", DANA, "--phone", PHONE)
        linking = touchstream(settings, "send", *MAIL[:4], "--kind", "delivered", *both, "--touch-id", "wrong", *NOON)
        assert linking.exit_code == 0
        wait_until(lambda: [state for state, _ in findings()] == ["detected"], 60, "the conflict")
        result = touchstream(
            settings, "identity", "split", DANA, PHONE, "--reason", "Bo's number", "--by", "p.ito", "--yes"
        )
        assert (result.exit_code, result.stdout.splitlines()) == (
            0,
            [
                "split",
                f"  customer {mail}",
                f"    {mail}  mail address      {DANA}",
                f"  customer {phone}",
                f"    {phone}  phone number      +14155550132",
            ],
        )
        wait_until(lambda: findings() == [("retracted", "split")], 60, "the finding to be retracted")
        (taken_back,) = asyncio.run(reader.findings(settings)).values()
        assert taken_back.cause is not None and taken_back.cause.reason == "Bo's number"
        again = touchstream(settings, "identity", "split", DANA, PHONE, "--yes")
        assert again.exit_code == 1
        assert (
            f"the link of {mail} and {phone} was cut already: " in again.stderr and "asked for by p.ito" in again.stderr
        )
        assert touchstream(settings, "send", *CALL, *both, "--touch-id", "later", *NOON).exit_code == 0
        wait_until(lambda: "detected" in dict(findings()), 60, "the conflict of the call to the contact herself")
    for one in (DANA, PHONE):
        person = shown(settings, one)
        (cut,) = [event for event in person["history"] if event["event"] == "cut"]
        assert (cut["a"], cut["b"], cut["cause"]["requested_by"]) == (mail, phone, "p.ito")
        assert [event["event"] for event in person["history"]].count("link") == 1
        assert len(person["ids"]) == 1
    text = touchstream(settings, "identity", "show", PHONE).stdout
    assert "are not one person" in text and "asked for by p.ito" in text and ": Bo's number" in text
    assert buried(settings) == []
    assert json.dumps([one.kind for one in commands(settings)]) == '["identity_split"]'


def test_a_conflict_is_decided(settings: Settings) -> None:
    """Two CRM records with one address: somebody says that they are two, and why. The finding is retracted with that, and so it stands in
    `identity show`; asked again, there is nothing left to decide."""
    one, two = node_of(settings, crm_id="7"), node_of(settings, crm_id="8")
    mail = node_of(settings, email=DANA)
    first, second = sorted((one, two))
    with Worker(settings):
        for crm, at in (("7", NINE), ("8", TEN)):
            assert touchstream(settings, "send", *MAIL, "--email", DANA, "--crm-id", crm, *at).exit_code == 0
            if crm == "7":
                wait_until(lambda: len(shown_or_none(settings)) == 2, 60, "the link")
        wait_until(lambda: len(asyncio.run(reader.findings(settings))) == 1, 60, "the conflict")
        (detected,) = asyncio.run(reader.findings(settings)).values()
        assert (detected.rule, detected.state, detected.customer) == ("identity_conflict", "detected", first)
        split = ("identity", "split", "7", "8", "--reason", "two sisters", "--by", "p.ito", "--yes")
        result = touchstream(settings, *split)
        assert (result.exit_code, result.stderr.splitlines()[:2]) == (
            0,
            [f"customers {first} and {second}", "kept apart, which is decided"],
        )
        wait_until(lambda: asyncio.run(reader.findings(settings)) != {detected.finding_id: detected}, 60, "the end")
        (ended,) = asyncio.run(reader.findings(settings)).values()
        assert (ended.state, ended.revision, ended.finding_id) == ("retracted", 2, detected.finding_id)
        assert ended.reason.endswith("It is no conflict any more: p.ito decided who is who: two sisters")
        again = touchstream(settings, *split)
        assert (again.exit_code, "are two customers already" in again.stderr) == (1, True)
    text = touchstream(settings, "identity", "show", mail).stdout
    assert f"the conflict of {two} and {mail} has ended" in text
    assert "asked for by p.ito, request " in text and ": two sisters" in text
    assert buried(settings) == []


def shown_or_none(settings: Settings) -> list[object]:
    """The ids of Dana's person; none before anybody knows her."""
    result = touchstream(settings, "identity", "show", DANA, "--json")
    return json.loads(result.stdout)["ids"] if result.exit_code == 0 else []
