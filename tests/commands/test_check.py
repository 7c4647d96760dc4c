"""`touchstream check`: what the options ask of the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.commands import check as command
from streams.gateway.remote import Answer, PolicyId, Proof, Said, Violation
from streams.settings import Settings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for the gateway: holds what it was asked, and says yes."""
    bodies: list[dict[str, Any]] = []

    async def answer(_: Settings, body: dict[str, Any]) -> Answer:
        bodies.append(body)
        return Answer(True, "2026-03-02T09:00:00Z", None, [], {}, None, "c2-a", PolicyId("1", "f"), None, None)

    monkeypatch.setattr(command, "_ask", answer)
    return bodies


def run(*options: str) -> Result:
    """The command with a customer, a channel and a department."""
    return CliRunner().invoke(
        main, ["check", "--email", "d@example.com", "--channel", "calls", "--department", "sales", *options]
    )


def test_what_is_not_given_is_not_asked(asked: list[dict[str, Any]]) -> None:
    """The shortest question holds the customer, the channel and the department only."""
    assert run().exit_code == 0
    assert asked == [{"customer": {"email": "d@example.com"}, "channel": "calls", "department": "sales"}]


def test_company_attributes_and_rep_are_asked(asked: list[dict[str, Any]]) -> None:
    """The account and the attributes are what the asker knows of the customer; a rep is a person."""
    done = run(
        "--account", "acme.example", "--attribute", "plan=a=b", "--attribute", "tier=", "--actor-id", "kim",
        "--priority", "90", "--sequence", "s1",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert asked[0] == {
        "customer": {"email": "d@example.com"}, "channel": "calls", "department": "sales", "sequence": "s1", "priority": 90,
        "actor_id": "kim", "actor_kind": "person",
        "standing": {"account": "acme.example", "attributes": {"plan": "a=b", "tier": ""}},
    }  # fmt: skip


def test_an_attribute_without_a_value_is_told(asked: list[dict[str, Any]]) -> None:
    """The form is named, and nothing is asked."""
    done = run("--attribute", "plan")
    assert done.exit_code == 1 and "--attribute plan: write NAME=VALUE" in done.output
    assert asked == []


def test_a_refusal_is_told_with_its_proof() -> None:
    """Below what a rule says stand the records of consent that it rests on: what was said, when, for what, where, and who recorded it."""
    at = "2026-03-12T10:00:00Z"
    said = Said("withdrawn", "offer", "preference centre", "footer, version 3", "p.ito")
    proof = [
        Proof("cmp-88123", at, "email", "", said=said),
        Proof("", at, "", "", said=Said("denied", "", "", "", "")),
        Proof("t-1", at, "email", "sales"),
    ]
    text = "Consent to email about offer was withdrawn on 12 March 2026."
    refusal = Violation("consent", "no_consent", "suppress", "high", 90, text, None, proof)
    answer = Answer(False, at, "suppress", [refusal], {"email": None}, None, "c2-a", PolicyId("1", "f"), None, None)
    assert command.told(answer).splitlines()[1:] == [
        f"  consent (suppress): {text}",
        f"    withdrawn at {at}: email, for offer, preference centre, footer, version 3, recorded by p.ito, record cmp-88123",
        f"    denied at {at}: all channels",
        "  earliest: email never",
    ]
