"""`touchstream handoff` with a real worker: sales sees what it was handed, and what it says of it moves the lead."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from streams import Client
from streams.commands import leads
from streams.settings import Settings
from tests.ledger.processes import running, served
from tests.support.commands import buried, objects, touchstream
from tests.support.publishing import put_policy
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

POLICY = """
[touch]
late_after_days = 9000
[[teams]]
name = "iberia"
[[teams.reps]]
id = "ana"
"""
MAIL = ("--channel", "email", "--department", "marketing", "--kind", "sent", "--campaign", "spring")
FORM = ("--channel", "ads", "--department", "marketing", "--direction", "inbound", "--kind", "lead_form")


def state(settings: Settings, customer: str) -> str:
    """Where the customer's lead stands."""
    return asyncio.run(leads.current(settings))[customer].event.state


def test_sales_answers_what_it_was_handed(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Three customers asked. `list` names them with their owner, due time and the campaign's mail; by mail address, lead id
    and customer id they are accepted, rejected with a date, and disqualified; what is not possible is refused with the worker's reason,
    what lacks a reason or has a wrong one never leaves; the SDK can do the same. The ledger's metrics and the
    report's table of the old quarrel tell of it. Who is qualified is won when the CRM's deal is, and a deal of
    nobody is no dead letter; then sales corrects it by hand."""
    policy, began = tmp_path / "policy.toml", time.gmtime().tm_year
    policy.write_text(POLICY, encoding="utf-8")
    settings = make_settings(policy_path=str(policy))
    with Worker(settings):
        for name in ("dana", "bo", "cy"):
            who = ("--email", f"{name}@example.com", "--name", name.title())
            assert touchstream(settings, "send", *MAIL, *who).exit_code == 0
            assert touchstream(settings, "send", *FORM, *who).exit_code == 0

        def listed(*options: str) -> list[dict[str, object]]:
            shown = touchstream(settings, "handoff", "list", "--json", "--policy", str(policy), *options)
            assert shown.exit_code == 0, shown.stderr
            return objects(shown.stdout)

        found = wait_until(lambda: len(got := listed()) == 3 and got, 60, "three leads to be handed off")
        for one in found:
            assert (one["owner"], one["team"], one["state"], one["problems"]) == ("ana", "iberia", "handed_off", [])
            assert one["due_at"] > one["at"]  # type: ignore[operator]
        assert listed("--problem", "orphan") == listed("--owner", "bo") == listed("--state", "won") == []
        assert {one["customer_name"] for one in found} == {"Dana", "Bo", "Cy"}
        text = touchstream(settings, "handoff", "list", "--policy", str(policy)).stdout
        assert text.count("  asked: ") == text.count(" crossing: marketing, ads lead_form  ") == 3, text
        assert text.count("handed_off since ") == text.count(", due ") == text.count("  ana (iberia)  ") == 3
        assert text.count("  points: lead_form x1 = ") == 3, text
        assert text.count("  consent: all channels for request asked since ") == 3, text
        assert text.count(" message: marketing, email sent 'spring'") == text.count("still running: spring") == 3, text

        assert touchstream(settings, "send", *MAIL, "--email", "dana@example.com").exit_code == 0
        (mailed,) = wait_until(lambda: listed("--problem", "contradicted"), 60, "the campaign that goes on to be told")
        assert mailed["problems"] == ["contradicted"]
        text = touchstream(settings, "handoff", "list", "--policy", str(policy)).stdout
        assert text.count(" [CONTRADICTED]  ana (iberia)  ") == 1, text
        past = touchstream(
            settings,
            "handoff",
            "reject",
            "dana@example.com",
            "--reason",
            "bad_timing",
            "--by",
            "ana",
            "--again",
            "2026-01-31",
        )
        assert past.exit_code == 1 and "--again: 2026-01-31 is past; give the day or time at which" in past.stderr
        done = touchstream(settings, "handoff", "accept", "dana@example.com", "--by", "ana")
        assert done.exit_code == 0 and "no rep" not in done.stderr and done.stdout.startswith("accepted: lead "), (
            done.output
        )
        again = touchstream(settings, "handoff", "accept", "dana@example.com", "--by", "ana")
        assert again.exit_code == 1 and "is not possible then" in again.stderr
        (dana,) = listed("--state", "accepted")
        assert dana["customer"] == mailed["customer"]
        second, third = [one for one in found if one["customer"] != dana["customer"]]
        lacking = touchstream(settings, "handoff", "reject", str(second["lead_id"]))
        assert lacking.exit_code == 2 and "--reason" in lacking.stderr
        done = touchstream(
            settings, "handoff", "reject", str(second["lead_id"]), "--reason", "bad_timing", "--again", "2099-05-01",
            "--nurture-with", "webinars",
        )  # fmt: skip
        assert done.exit_code == 0 and done.stdout.startswith("rejected (bad timing): lead "), done.output
        assert done.stdout.rstrip().endswith("is recycled now, to be looked at again on 2099-05-01")
        with Client.sync(settings=settings) as client:
            with pytest.raises(ValueError, match="needs a reason"):
                client.answer_handoff("disqualify", str(third["customer"]), by="ana")
            client.answer_handoff("disqualify", str(third["customer"]), by="ana", reason="competitor")
        wait_until(lambda: state(settings, str(third["customer"])) == "disqualified", 60, "the SDK's answer")
        put_policy(settings, f"{POLICY}[handoff]\nthreshold = 77\n")
        guest = touchstream(settings, "handoff", "accept", str(dana["lead_id"]), "--by", "anna")
        assert "warning: the policy in force has no rep 'anna' (did you mean 'ana'?)" in guest.stderr
        (one,) = listed()
        assert (one["customer"], one["brief"]["threshold"]) == (dana["customer"], 77), "the file says nothing any more"  # type: ignore[index]
        assert [letter.reason for letter in buried(settings)] == ["unroutable"] * 2
        exported = touchstream(settings, "customer", "export", "dana@example.com")
        assert "3 touches as published, 3 on 1 timeline" in exported.stderr, "what was done to the lead is no touch"
        asked = touchstream(settings, "customer", "erase", "dana@example.com", stdin="n\n")
        assert "3 touches on timelines" in asked.stderr, asked.stderr
        export = json.loads(exported.stdout)
        assert [one["kind"] for one in export["leads"]][-1] == "accepted" and export["deals"] == []
        (timeline,) = export["timelines"]
        assert [len(timeline["touches"]), timeline["lead"]["state"]] == [3, "accepted"]
        assert [(one["kind"], one.get("by")) for one in timeline["lead_acts"]] == [
            ("lead_assigned", None),
            ("lead_accepted", "ana"),
        ]
        with running(settings) as process:
            for metric, labels, value in (
                ("open_handoffs", 'problem="contradicted",team="iberia"', "1.0"),
                ("open_handoffs", 'problem="orphan",team="iberia"', "0.0"),
                ("acceptance_ratio", 'team="iberia"', str(1 / 3)), ("recycle_ratio", 'reason="bad_timing"', str(1 / 3)),
                ("contradicted_handoffs", 'team="iberia"', "1.0"), ("facts", 'kind="leads"', ""),
            ):  # fmt: skip
                line = re.compile(rf"^touchstream_ledger_{metric}{{[^}}]*{labels}}} {re.escape(value)}", re.MULTILINE)
                wait_until(lambda line=line: line.search(served(process)), 60, f"the metric {metric}")  # type: ignore[misc]
            assert touchstream(settings, "handoff", "qualify", "dana@example.com").stdout.startswith("qualified: lead ")
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
            sold = {
                "deal_id": "opp-1",
                "stage": "won",
                "amount": {"amount": 9, "currency": "EUR"},
                "opened_at": now,
                "closed_at": now,
            }
            with Client.sync(settings=settings) as client:
                client.deal({**sold, "customer": {"email": "dana@example.com"}})
                client.deal({**sold, "deal_id": "opp-2", "customer": {"email": "nobody@example.com"}})
            wait_until(lambda: state(settings, str(dana["customer"])) == "won", 60, "the deal to end the lead")
        assert listed() == []
        wrong = touchstream(settings, "handoff", "lost", str(dana["lead_id"]), "--deal", "opp-3", "--by", "ana")
        assert wrong.exit_code == 1 and "is won and accepted; lead_deal (lost) is not possible then" in wrong.stderr
        assert touchstream(settings, "handoff", "lost", str(dana["lead_id"]), "--by", "ana").stdout.startswith(
            "lost: lead "
        )
        assert len(buried(settings)) == 3
    answers: Counter[tuple[str, str]] = Counter()
    for year in {began, time.gmtime().tm_year}:  # two when the test runs at the turn of the year
        told = tmp_path / "report.json"
        made = touchstream(settings, "report", "--period", f"{year}", "--from-kafka", "--json", str(told))
        assert made.exit_code == 0, made.stderr
        for one in json.loads(told.read_text(encoding="utf-8"))["handoffs"]:
            answers[one["answer"], one["reason"]] += one["count"]
    assert answers == {("accepted", ""): 1, ("rejected", "bad_timing"): 1, ("disqualified", "competitor"): 1}


def test_a_lead_that_is_not_there(settings: Settings) -> None:
    """An id that no lead and no customer has is an error that says so."""
    result = touchstream(settings, "handoff", "accept", "nobody@example.com", "--by", "ana")
    assert result.exit_code == 1 and "knows nobody by" in result.stderr
