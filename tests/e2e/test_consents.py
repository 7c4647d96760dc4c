"""Records of consent through real workers and a real gateway: from HTTP, the SDK and the command line to checks and findings."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from streams import Client
from streams.core import backtest
from streams.core.outcome import Finding
from streams.core.touch_json import from_mapping, rfc3339
from streams.edge import reader
from streams.settings import Settings
from tests.gateway.running import Gateway
from tests.support.commands import touchstream
from tests.support.drained import wait_drained
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MINUTE = 60_000
DANA, LEE = {"email": "dana@example.com"}, {"email": "lee@example.com"}
CRM = {"crm_id": "C-1"}


def touch(id_: str, at: int, customer: dict[str, str], kind: str = "sent", **values: Any) -> dict[str, Any]:
    """A mail of marketing, or what the customer did with one."""
    direction = "outbound" if kind == "sent" else "inbound"
    fields = {"channel": "email", "department": "marketing", "direction": direction, "kind": kind} | values
    return {"touch_id": id_, "occurred_at": rfc3339(at), "customer": customer, **fields}


def after_opt_outs(settings: Settings) -> dict[tuple[str, ...], Finding]:
    """The contacts after a no that stand, by their touches and records."""
    found = backtest.standing(asyncio.run(reader.findings(settings)))
    return {one.touch_ids: one for one in found if one.rule == "contact_after_opt_out"}


def test_consent_from_every_side(settings: Settings) -> None:
    """An unsubscribe, then a mail: a conflict, and no check passes. Consent comes late by HTTP, of before the mail: neither holds. It is
    withdrawn for offers on the command line: an offer is a conflict, a check names the record. What the SDK says of somebody goes with them
    when they turn out to be another; an export has it, and an erasure leaves nothing of it but that nobody is to contact them."""
    now = time.time_ns() // 1_000_000
    with Worker(settings), Gateway(settings) as gateway:
        publish(
            settings,
            [
                from_mapping(touch("off", now - 30 * MINUTE, DANA, "unsubscribed")),
                from_mapping(touch("mail", now - 10 * MINUTE, DANA)),
            ],
        )
        wait_drained(settings)
        assert after_opt_outs(settings).keys() == {("mail", "off")}

        def check(customer: dict[str, str], **contact: Any) -> tuple[bool, dict[str, Any]]:
            asked = {"customer": customer, "channel": "email", "department": "marketing", **contact}
            _, answer, _ = gateway.call("POST", "/v1/checks", asked)
            return answer["allowed"], {
                one["rule"]: one["evidence"][0]["id"] for one in answer["violations"] if one["evidence"]
            }

        wait_until(lambda: check(DANA) == (False, {"opted-out": "off"}), 30, "a check to see the unsubscribe")
        given = {
            "customer": DANA, "status": "granted", "channel": "email", "at": rfc3339(now - 20 * MINUTE),
            "source": "preference centre", "form": "sign-up, version 4", "recorded_by": "cmp", "consent_id": "cmp-1",
            "basis": "consent",
        }  # fmt: skip
        status, told, _ = gateway.call("POST", "/v1/consents", given)
        assert (status, told["topic"], told["consent_id"]) == (202, settings.topic("commands"), "cmp-1")
        wait_drained(settings)
        assert after_opt_outs(settings) == {}
        wait_until(lambda: check(DANA) == (True, {}), 30, "a check to see the consent")

        options = (
            "--email",
            DANA["email"],
            "--channel",
            "email",
            "--purpose",
            "offer",
            "--by",
            "j.kay",
            "--id",
            "crm-7",
        )
        done = touchstream(settings, "consent", "withdraw", *options)
        assert done.exit_code == 0 and done.stdout.startswith("withdrawn: crm-7 at"), done.output
        wait_drained(settings)
        wait_until(
            lambda: check(DANA, category="offer") == (False, {"consent": "crm-7"}), 30, "a check to see the withdrawal"
        )
        assert check(DANA, category="news") == (True, {})
        with Client.sync(settings=settings) as client:
            client.send(touch("offer", now + MINUTE, DANA, category="offer"))
            recorded = client.consent(LEE, "denied", channel="calls", source="crm", recorded_by="r.lee")
        wait_drained(settings)
        ((ids, found),) = after_opt_outs(settings).items()
        assert ids == ("crm-7", "offer")
        assert "withdrew consent to email about offer (touchstream consent)" in found.reason

        publish(settings, [from_mapping(touch("link", now, LEE | CRM, "opened"))])
        wait_drained(settings)

        def refused() -> bool:  # it may be night, when other rules refuse a call, too
            return check(CRM, channel="calls", department="sales")[1].get("consent") == recorded.consent_id

        wait_until(refused, 30, "the record to go with its customer")
        shown = touchstream(settings, "consent", "show", DANA["email"]).stdout
        assert "email granted since" in shown and "sign-up, version 4, recorded by cmp" in shown
        assert "email for offer withdrawn since" in shown and "opted out" not in shown
        held = json.loads(touchstream(settings, "consent", "show", CRM["crm_id"], "--json").stdout)
        assert [(one["id"], one["status"]) for one in held["records"]] == [(recorded.consent_id, "denied")]
        export = json.loads(touchstream(settings, "customer", "export", DANA["email"]).stdout)
        assert [one["id"] for one in export["timelines"][0]["consents"]] == ["cmp-1", "crm-7"]
        said = [one["consent"]["consent_id"] for one in export["commands"] if "consent" in one]
        assert said == ["cmp-1", "crm-7"]
        gone = touchstream(settings, "customer", "erase", CRM["crm_id"], "--by", "rlee", "--yes")
        assert gone.exit_code == 0, gone.output
        wait_drained(settings)
        shown = touchstream(settings, "consent", "show", CRM["crm_id"]).stdout
        assert "all channels withdrawn since" in shown and "erasure" in shown and len(shown.splitlines()) == 2
        wait_until(lambda: check(CRM, category="news") == (False, {"consent": ""}), 30, "a check to see the erasure")
