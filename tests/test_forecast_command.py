"""`touchstream forecast`: planned touches against what the workers hold in Kafka."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from streams.core import touch_json
from streams.core.policy import DAY_MS, HOUR_MS
from streams.core.touch_json import rfc3339
from streams.settings import Settings
from tests.support.commands import touchstream
from tests.support.drained import wait_drained
from tests.support.publishing import publish, put_policy
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
NOW = "2026-03-27T00:00:00Z"


def touch(id_: str, at: str, channel: str, kind: str, **values: Any) -> dict[str, Any]:
    """A touch as JSON for people."""
    department = "sales" if channel == "calls" else "marketing"
    values = {"direction": "outbound", "department": department} | values
    return {"touch_id": id_, "channel": channel, "kind": kind, "occurred_at": at, **values}


def test_a_campaign_meets_calls_and_opt_outs(settings: Settings, tmp_path: Path) -> None:
    """With two workers and a merge: a customer who opted out by mail and is planned by phone's CRM record is one person; the figures are
    those of the plan, twice the same, and the next day comes first. A policy that was published decides, unless a file is tried out."""
    people = [{"email": f"p{n}@example.com"} for n in range(6)]
    past = [
        touch("o", "2026-03-20T09:00:00Z", "email", "unsubscribed", direction="inbound", customer=people[5]),
        touch("m", "2026-03-21T09:00:00Z", "email", "opened", direction="inbound", customer=people[5] | {"crm_id": "C-5"}),
        touch("p", "2026-03-21T09:00:00Z", "calls", "dialed", customer={"crm_id": "C-5"}),
    ]  # fmt: skip
    planned = [
        *(touch(f"m{n}", "2026-03-31T10:00:00Z", "email", "sent", customer=people[n], campaign="spring") for n in range(5)),
        touch("m5", "2026-03-31T10:00:00Z", "email", "sent", customer={"crm_id": "C-5"}, campaign="spring"),
        *(touch(f"c{n}", "2026-03-31T15:00:00Z", "calls", "dialed", customer=people[n]) for n in range(3)),
        touch("c5", "2026-03-29T15:00:00Z", "calls", "dialed", customer=people[5]),
        touch("far", "2026-04-30T15:00:00Z", "calls", "dialed", customer=people[5]),
    ]  # fmt: skip
    with Worker(settings), Worker(settings):
        publish(settings, [touch_json.from_mapping(one) for one in past])
        wait_drained(settings)
    text = "\n".join(map(json.dumps, planned))
    first, again = (touchstream(settings, "forecast", "-", "--now", NOW, stdin=text) for _ in range(2))
    assert first.exit_code == 0, first.stderr
    assert first.stdout == again.stdout
    assert first.stdout.splitlines() == [
        "Sunday's calls of sales (29 March 2026, sales, 1 call) collide with nothing.",
        "Tuesday's calls of sales (31 March 2026, sales, 3 calls) collide 3 times: 3 with planned emails of marketing inside 24 h;"
        " 3 of 3 may not be made.",
        "Tuesday's spring campaign (31 March 2026, marketing, 6 emails) collides 4 times: 3 with planned calls of sales inside 24 h,"
        " 1 on opted-out contacts; 4 of 6 may not be made.",
    ]
    assert "10 planned touches; left out: 1 at another time" in first.stderr
    values = json.loads(
        touchstream(settings, "forecast", "-", "--json", "--now", NOW, stdin=text).stdout.splitlines()[2]
    )
    assert (values["day"], values["label"], values["contacts"], values["stopped"]) == ("2026-03-31", "spring", 6, 4)
    own = str(tmp_path / "own.toml")
    Path(own).write_text("", encoding="utf-8")
    put_policy(settings, '[[rules]]\nname = "departments-apart"\nenabled = false\n')
    by_published = touchstream(settings, "forecast", "-", "--now", NOW, stdin=text).stdout.splitlines()
    assert by_published[1] == "Tuesday's calls of sales (31 March 2026, sales, 3 calls) collide with nothing."
    assert touchstream(settings, "forecast", "-", "--now", NOW, "--policy", own, stdin=text).stdout == first.stdout


def test_broken_lines_are_named(settings: Settings) -> None:
    """A line that is no touch, a reaction, and a plan for nobody: the first two are named by number, and the command ends with 1."""
    lines = [
        '{"channel": "fax"}',
        json.dumps(touch("r", "2026-03-31T10:00:00Z", "email", "replied", direction="inbound", customer={"email": "a@example.com"})),
        json.dumps(touch("n", "2026-03-31T10:00:00Z", "email", "sent", customer={"email": "nobody"})),
    ]  # fmt: skip
    result = touchstream(settings, "forecast", "-", "--now", NOW, stdin="\n".join(lines))
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        "line 1: channel: 'fax'" in result.stderr and "line 2: direction: a planned touch is outbound" in result.stderr
    )
    assert "left out: 1 without a usable identifier" in result.stderr


CAPPED = """
[[rules]]
name = "two-people-a-week"
kind = "account_cap"
window = "7d"
limit = 2
[[rules]]
name = "hands-off-open-deals"
enabled = true
"""


def test_a_company_is_looked_at_as_a_whole(settings: Settings, tmp_path: Path) -> None:
    """Somebody of Acme was called, and mails to three colleagues are planned: the first may get one, the next two are too many, in whatever
    case a tool writes the company; whom nobody knows to be of Acme is free. Plans of a file and published ones, there with the next
    touch, are told alike."""
    policy = tmp_path / "capped.toml"
    policy.write_text(CAPPED, encoding="utf-8")
    known_of = tmp_path / "standing.jsonl"
    acme = {"domain": "acme.example"}
    today = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS

    def at(hours: int) -> str:
        return rfc3339(today + hours * HOUR_MS)

    def mail(name: str, hours: int, **values: Any) -> dict[str, Any]:
        customer = {"email": f"{name}@acme.example"}
        return touch(name, at(hours), "email", "sent", customer=customer, campaign="spring") | values

    past = touch("call", at(-1), "calls", "dialed", customer={"email": "ann@acme.example"}, account=acme)
    known = touch(
        "open", at(-2), "email", "opened", direction="inbound", customer={"email": "cy@acme.example"}, account=acme
    )
    plans = [
        mail("bo", 34, account={"domain": "Acme.example"}), mail("cy", 35), mail("dee", 36, account=acme), mail("eve", 37)
    ]  # fmt: skip
    told = "collides 2 times: 2 over the company's cap 'two-people-a-week' with contacts already made or reserved and planned emails"
    with Worker(settings):
        publish(settings, [touch_json.from_mapping(one) for one in (past, known)])
        wait_drained(settings)
        text = "\n".join(map(json.dumps, plans))
        from_file = touchstream(settings, "forecast", "-", "--policy", str(policy), stdin=text)
        assert from_file.exit_code == 0, from_file.stderr
        lines = [
            {"standing": {"account": "ACME.example", "do_not_contact": [{"scope": "account", "at": "2020-01-01T00:00:00Z"}]}},
            {"customer": {"email": "eve@acme.example"}, "standing": {"open_deals": [{"id": "d", "since": "2020-01-01T00:00:00Z"}]}},
            {"standing": {"owner": "kim"}}, {"customer": {"email": "nobody"}, "standing": {}}, {"customer": {}, "standng": {}},
        ]  # fmt: skip
        known_of.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        listed = touchstream(
            settings, "forecast", "-", "--policy", str(policy), "--standing", str(known_of), stdin=text
        )
        assert "3 on the do-not-contact list" in listed.stdout and "1 on customers with an open deal" in listed.stdout
        assert "; 4 of 4 may not be made" in listed.stdout and listed.exit_code == 1
        problems = [one for one in listed.stderr.splitlines() if one.startswith("--standing")]
        assert [one.split(":")[0] for one in problems] == [f"--standing, line {n}" for n in (3, 4, 5)]
        assert told in from_file.stdout and "2 of 4 may not be made" in from_file.stdout
        assert touchstream(settings, "plan", "-", stdin=text).exit_code == 0
        wait_drained(settings)
        assert touchstream(settings, "forecast", "--policy", str(policy)).stdout == from_file.stdout
        published = touchstream(settings, "forecast", "--policy", str(policy), "--standing", str(known_of))
        assert (published.exit_code, published.stdout) == (1, listed.stdout)
    assert "with nothing" in touchstream(settings, "forecast").stdout
