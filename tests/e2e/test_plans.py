"""Plans through real workers: from the command line and the SDK to findings, the forecast, and their end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams import Client
from streams.core import backtest
from streams.core.touch_json import from_mapping, rfc3339
from streams.edge import reader
from streams.edge.codec import Codec
from streams.edge.topics import CONFLICTS
from streams.settings import Settings
from tests.support.commands import stored, touchstream
from tests.support.drained import wait_drained
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker, environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MINUTE = 60_000
PEOPLE = [{"email": f"p{n}@example.com"} for n in range(4)]
CRM = {"crm_id": "C-1"}


def touch(id_: str, at: int, customer: dict[str, str], **values: Any) -> dict[str, Any]:
    """A mail of marketing. Mails only: calls have quiet hours, and it may be night."""
    values = {"direction": "outbound", "department": "marketing", "kind": "sent", "campaign": "spring"} | values
    return {"touch_id": id_, "channel": "email", "occurred_at": rfc3339(at), "customer": customer, **values}


def standing(settings: Settings) -> dict[str, str]:
    """Plans with a finding that holds, and the customer."""
    found = backtest.standing(asyncio.run(reader.findings(settings)))
    return {one.touch_ids[0]: one.customer for one in found if one.rule == "planned_conflict"}


@contextmanager
def following(settings: Settings) -> Iterator[list[str]]:
    """`touchstream forecast --follow` as a child, and what it has printed."""
    command = [sys.executable, "-m", "streams", "forecast", "--follow", "--days", "1"]
    lines: list[str] = []
    with subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        reading = threading.Thread(target=lines.extend, args=(child.stdout,), daemon=True)
        reading.start()
        try:
            yield lines
        finally:
            child.terminate()
            child.wait(90)
            reading.join(90)


def test_plans_become_findings_and_end(settings: Settings) -> None:
    """Two workers. Campaign and sales plan mails for the same people, one of them by an identifier that only a touch links, and a mail for
    who opted out: findings before anything is sent, and the forecast sums up what is in Kafka. A withdrawal, and a touch that is made, end
    theirs; of who is erased no plan is left."""
    now = time.time_ns() // 1_000_000
    soon = now + 40 * MINUTE
    mails = [touch(f"m{n}", soon, PEOPLE[n]) for n in range(4)]
    sales = [
        touch(f"s{n}", soon + MINUTE, who, department="sales", campaign="demo")
        for n, who in enumerate((PEOPLE[0], CRM))
    ]
    opt_out = touch("o", now - MINUTE, PEOPLE[3], kind="unsubscribed", direction="inbound")
    with Worker(settings), Worker(settings):
        publish(settings, [from_mapping(opt_out)])
        planned = touchstream(settings, "plan", "-", stdin="\n".join(map(json.dumps, [*mails, *sales])))
        assert (planned.exit_code, planned.stdout) == (0, "planned 6, broken 0\n"), planned.stderr
        wait_drained(settings)
        assert standing(settings).keys() == {"m0", "s0", "m3"}
        publish(settings, [from_mapping(touch("link", now, PEOPLE[1] | CRM, direction="inbound", kind="opened"))])
        wait_drained(settings)
        found = standing(settings)
        assert found.keys() == {"m0", "s0", "m1", "s1", "m3"} and found["m1"] == found["s1"]
        text = touchstream(settings, "forecast", "--days", "1").stdout
        assert "2 with planned emails of sales inside 24 h" in text and "1 on opted-out contacts" in text
        tried = json.dumps(touch("n0", soon, PEOPLE[1], department="sales", campaign="trial"))
        text = touchstream(settings, "forecast", "-", "--days", "1", stdin=tried).stdout
        assert "trial campaign" in text and "1 with planned emails of marketing inside 24 h" in text
        assert text.count("\n") == 1, "what others plan counts, and is not what was asked about"
        assert "with nothing" in touchstream(settings, "forecast", "-", "--days", "1", "--alone", stdin=tried).stdout
        with following(settings) as lines:
            wait_until(
                lambda: any("2 with planned emails of sales" in line for line in lines), 60, "the plans as they are"
            )
            touchstream(settings, "plan", "-", "--withdraw", stdin=json.dumps(sales[0]))
            wait_until(
                lambda: any("1 with planned emails of sales" in line for line in lines), 60, "the plans as they change"
            )
        with Client.sync(settings=settings) as client:
            client.send(mails[3])
            client.plan(sales[1] | {"version": 2, "deleted": True})
        done = touchstream(settings, "customer", "erase", PEOPLE[2]["email"], "--by", "rlee", "--yes")
        assert done.exit_code == 0, done.output
        wait_drained(settings)
        assert standing(settings) == {}
    held = touchstream(settings, "forecast", "--days", "1", "--json").stdout
    assert [json.loads(line)["contacts"] for line in held.splitlines()] == [2]  # m0 and m1


def test_timers_of_plans(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Two plans further ahead than the policy looks, and nobody writes to the customer any more. The worker is killed; another one judges
    them when they come near, once. Then a policy comes into force that has nothing against them, and their findings end."""
    path = tmp_path / "policy.toml"
    path.write_text(f"[planned]\nhorizon_days = {10 * MINUTE / 86_400_000}\n", encoding="utf-8")
    settings = make_settings(policy_path=str(path), commit_interval=0.3, session_timeout=6.0)
    with Worker(settings) as worker:
        near = time.time_ns() // 1_000_000 + 12_000
        at = near + 10 * MINUTE
        mails = [touch("m", at, PEOPLE[0]), touch("s", at + 1_000, PEOPLE[0], department="sales", campaign="demo")]
        planned = touchstream(settings, "plan", "-", stdin="\n".join(map(json.dumps, mails)))
        assert planned.exit_code == 0, planned.stderr
        wait_drained(settings)
        found = standing(settings)
        assert found == {} or time.time_ns() // 1_000_000 > near, "still too far ahead"
        worker.stop(signal.SIGKILL)
    with Worker(settings) as again:
        wait_until(lambda: standing(settings).keys() == {"m", "s"}, 60, "the plans to be judged")
        path.write_text('[[rules]]\nname = "departments-apart"\nenabled = false\n', encoding="utf-8")
        done = touchstream(settings, "policy", "publish", str(path), "--yes")
        assert done.exit_code == 0, done.output
        wait_until(lambda: standing(settings) == {}, 60, "the plans to be judged by the other policy")
        wait_drained(settings)
        assert again.stop() == 0, "".join(again.log[-30:])
    published = [Codec().decode_finding(record.value or b"") for record in stored(settings, CONFLICTS)]
    steps = (("detected", 1), ("retracted", 2))
    told = {(one.touch_ids[0], one.state, one.revision) for one in published}
    assert told == {(id_, *step) for id_ in ("m", "s") for step in steps}
