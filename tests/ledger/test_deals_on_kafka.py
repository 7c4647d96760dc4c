"""Deals on real Kafka: the ledger says whose they are, workers what that means for leads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams import Client
from streams.core.identify import nodes
from streams.core.leads.events import LeadEvent, standing, still_here
from streams.core.touch import Customer, Touch
from streams.edge.topics import DEAD_LETTER, LEADS
from streams.settings import Settings
from tests.ledger.processes import CODEC, running
from tests.support.commands import stored
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

HOUR = 3_600_000
POLICY = """
[touch]
late_after_days = 9000
[[teams]]
name = "all"
[[teams.reps]]
id = "ana"
"""
BY_MAIL, BY_CRM = Customer(email="dana@example.com"), Customer(crm_id="acc-7")
BOTH = Customer(email="dana@example.com", crm_id="acc-7")


def request(id_: str, who: Customer, at: int) -> Touch:
    """The customer asks for contact."""
    return Touch(id_, "ads", "marketing", "inbound", "lead_form", at, who)


def test_a_deal_goes_to_whom_a_touch_shows(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """A deal names a mail address and a CRM id, of which only the address is known: that customer has the opportunity. A touch shows the
    CRM id as another person's: theirs it is, and the first lead is with its rep as if nothing had been. When both turn out to be one, and
    the deal is won, the one lead is."""
    path = tmp_path / "policy.toml"
    path.write_text(POLICY, encoding="utf-8")
    settings = make_settings(policy_path=str(path), commit_interval=0.3)
    mail, crm = (nodes(who, settings.id_key, settings.default_region)[0] for who in (BY_MAIL, BY_CRM))
    then = time.time_ns() // 1_000_000 - 9 * HOUR
    deal = {
        "deal_id": "opp-1",
        "customer": {"email": BY_MAIL.email, "crm_id": BY_CRM.crm_id},
        "opened_at": _said(then + HOUR),
    }

    def told() -> list[LeadEvent]:
        return standing(CODEC.decode_lead_event(record.value or b"") for record in stored(settings, LEADS))

    def stands() -> dict[str, str]:
        """Where each customer's lead stands, and by which deal."""
        return {event.customer: f"{event.state} {event.deal}".strip() for event in still_here(told())}

    with Worker(settings), running(settings), Client.sync(settings=settings) as client:
        publish(settings, [request("ask-mail", BY_MAIL, then)])
        wait_until(lambda: stands() == {mail: "handed_off"}, 90, "the hand-off")
        client.deal(deal | {"stage": "open"})
        opportunity = {"opportunity opp-1"}
        wait_until(lambda: {event.deal for event in told()} == {"", "opp-1"}, 90, "the opportunity")
        publish(settings, [request("ask-crm", BY_CRM, then)])
        wait_until(
            lambda: {event.customer for event in told() if event.deal} == {crm},
            90,
            "the deal to go to the other customer",
        )
        assert {event.kind for event in told() if event.customer == mail} == {"new", "mql", "handed_off"}
        publish(settings, [Touch("both", "email", "marketing", "inbound", "opened", then + 2, BOTH)])
        wait_until(lambda: stands().keys() == {crm}, 90, "the two to be one")
        assert {f"opportunity {event.deal}" for event in told() if event.kind == "opportunity"} == opportunity
        amount = {"amount": "100.00", "currency": "EUR"}
        client.deal(deal | {"stage": "won", "version": 2, "closed_at": _said(then + 2 * HOUR), "amount": amount})
        wait_until(lambda: any(event.kind == "won" for event in told()), 90, "the lead to be won")
        assert {event.customer for event in told() if event.kind == "won"} == {crm}
    assert stored(settings, DEAD_LETTER) == []


def _said(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 1000))
