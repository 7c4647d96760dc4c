"""Checks over HTTP: a real gateway, a real Redis, the view as workers write it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import redis

from streams.core.touch import Customer
from streams.edge import view
from streams.settings import Settings
from tests.gateway.running import HOUR, Gateway, id_of, now_ms, show
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
Ask = dict[str, Any]


def ask(email: str = "dana@example.com", **more: Any) -> Ask:
    """A marketing mail that is planned for now."""
    return {"customer": {"email": email}, "channel": "email", "department": "marketing", **more}


def test_a_check_names_every_rule_with_its_evidence_and_when_it_passes(gateway: Gateway, settings: Settings) -> None:
    """Who was contacted by sales an hour ago, and is on the do-not-contact list, breaks two rules; each is told, with the touch."""
    listed = {"scope": "person", "at": "2026-01-01T00:00:00Z"}
    status, answer, _ = gateway.call("POST", "/v1/checks", ask(standing={"do_not_contact": [listed]}, ref="row 7"))
    assert status == 200 and not answer["allowed"] and answer["ref"] == "row 7" and answer["degraded"] is None
    assert [one["reason"] for one in answer["violations"]] == ["do_not_contact", "department_overlap"]
    (proof,) = answer["violations"][1]["evidence"]
    assert (proof["id"], proof["department"]) == (f"dana@example.com-{HOUR}", "sales")
    assert answer["slots"]["email"] is None
    assert answer["customer_id"] == id_of(settings, Customer(email="dana@example.com"))
    version, fingerprint = answer["policy"]["version"], answer["policy"]["fingerprint"]
    assert fingerprint in version and answer["view"]["lag_records"] == 0


def test_the_slot_is_when_the_rule_lets_go(gateway: Gateway) -> None:
    """Delayed by the touch of an hour ago, the mail is free 24 hours after it, and a check for that moment says yes."""
    _, answer, _ = gateway.call("POST", "/v1/checks", ask())
    slot = dt.datetime.fromisoformat(answer["slots"]["email"])
    assert 22.9 < (slot - dt.datetime.fromisoformat(answer["at"])).total_seconds() / 3600 <= 23
    _, later, _ = gateway.call("POST", "/v1/checks", ask(at=answer["slots"]["email"]))
    assert later["allowed"] and later["at"] == answer["slots"]["email"]


def test_a_batch_is_answered_line_by_line(gateway: Gateway) -> None:
    """2,000 customers in one request: an answer a line in their order; a line that is wrong, and one of nobody, cost only themselves."""
    asks = [ask(f"p{n}@example.com", ref=str(n)) for n in range(2000)]
    asks[3] = ask("dana@example.com", ref="3")
    lines = [json.dumps(one).encode() for one in asks]
    lines[5] = b'{"customer": {"email": "x@example.com"}, "chanel": "email"}'
    lines[6] = json.dumps(ask("nobody")).encode()
    status, answer, _ = gateway.call(
        "POST", "/v1/checks/batch", b"\n".join(lines), {"Content-Type": "application/x-ndjson"}
    )
    told = [json.loads(line) for line in answer.splitlines()]
    assert status == 200 and len(told) == 2000
    assert [one["problem"]["type"].rsplit(":", 1)[1] for one in told[5:7]] == ["invalid-request", "no-identifier"]
    good = [one for n, one in enumerate(told) if n not in (5, 6)]
    assert [one["ref"] for one in good] == [str(n) for n in range(2000) if n not in (5, 6)]
    assert [one["ref"] for one in good if not one["allowed"]] == ["3"]


def test_a_batch_that_is_too_long_is_answered_up_to_there(gateway: Gateway) -> None:
    """The 10,001st line is a problem, not an answer, and ends the batch; the 10,000 before it have their answers."""
    line = b'{"a":1}\n'
    _, answer, _ = gateway.call("POST", "/v1/checks/batch", line * 10_001, {"Content-Type": "application/x-ndjson"})
    told = [json.loads(one)["problem"]["status"] for one in answer.splitlines()]
    assert len(told) == 10_001 and set(told[:-1]) == {422} and told[-1] == 413


def test_a_view_that_is_behind_or_gone_makes_the_answer_degraded(gateway: Gateway, settings: Settings) -> None:
    """With no view the answer is no, names what is missing, and still tells the rules that it can; readiness says so too."""
    assert gateway.call("GET", "/readyz")[0] == 200
    with redis.Redis.from_url(settings.redis_url) as client:
        client.delete(f"{view.prefix(settings)}beats")
    wait_until(lambda: gateway.call("GET", "/readyz")[0] == 503, 20, "readiness to notice")
    _, answer, _ = gateway.call("POST", "/v1/checks", ask("new@example.com"))
    assert not answer["allowed"] and answer["view"] is None
    assert answer["degraded"] == {"gaps": ["view_behind"], "answered": "fail_closed"}
    show(settings, behind_ms=7_200_000)
    wait_until(lambda: gateway.call("POST", "/v1/checks", ask("new@example.com"))[1]["view"], 20, "the view")
    _, answer, _ = gateway.call("POST", "/v1/checks", ask("new@example.com"))
    assert answer["degraded"]["gaps"] == ["view_behind"] and answer["view"]["age_seconds"] > 7000
    show(settings)
    wait_until(lambda: gateway.call("POST", "/v1/checks", ask("new@example.com"))[1]["allowed"], 20, "the view")


def test_every_error_is_a_problem_with_the_requests_id(gateway: Gateway) -> None:
    """Unknown path, wrong method, wrong JSON, wrong value, too large: RFC 9457, with the id that came in, or a new one if it is unfit."""
    mine = {"X-Request-Id": "job-17.a"}
    wanted = [
        (gateway.call("GET", "/v2/nothing", headers=mine), 404),
        (gateway.call("GET", "/v1/checks", headers=mine), 405),
        (gateway.call("POST", "/v1/checks", b"{not json", mine), 422),
        (gateway.call("POST", "/v1/checks", ask(channel="pigeon"), mine), 422),
        (gateway.call("POST", "/v1/checks", ask("x" * 70_000), mine), 413),
        (gateway.call("GET", "/v1/reservations/0000", headers=mine), 404),
    ]
    for (status, problem, headers), expected in wanted:
        assert status == problem["status"] == expected, problem
        assert headers["Content-Type"] == "application/problem+json"
        assert headers["X-Request-Id"] == problem["request_id"] == "job-17.a"
    assert wanted[3][0][1]["errors"] == [
        {"pointer": "/body/channel", "detail": "Input should be 'email', 'ads', 'linkedin' or 'calls'"}
    ]
    unfit = gateway.call("GET", "/healthz", headers={"X-Request-Id": "a b\tc"})[2]["X-Request-Id"]
    assert len(unfit) == 32
    wait_until(lambda: any("job-17.a" in line for line in gateway.log), 20, "the log to have the id")
    assert not any("example.com" in line for line in gateway.log)


def test_a_touch_is_published(gateway: Gateway, settings: Settings) -> None:
    """POST /v1/touches answers with the touch's place in Kafka, and refuses what is no touch."""
    values = {
        "touch_id": "t-1", "channel": "calls", "department": "sales", "direction": "outbound", "kind": "dialed",
        "occurred_at": dt.datetime.fromtimestamp(now_ms() / 1000, dt.UTC).isoformat(), "customer": {"phone": "+14155550100"},
    }  # fmt: skip
    status, sent, _ = gateway.call("POST", "/v1/touches", values)
    assert (status, sent["topic"], sent["touch_id"]) == (202, settings.topic("touches.calls"), "t-1")
    status, problem, _ = gateway.call("POST", "/v1/touches", {**values, "kind": "sung"})
    assert status == 422 and problem["reason"] == "not_a_touch"
    served = gateway.call("GET", "/metrics")[1]
    assert b"touchstream_gateway_requests_total" in served and b"process_start_time_seconds" in served


def test_without_redis_the_answer_follows_the_policy(settings: Settings, tmp_path: Path) -> None:
    """With Redis away a check is answered all the same: no when it fails closed, yes when it fails open; nothing is held."""
    away = {"TOUCHSTREAM_REDIS_URL": "redis://127.0.0.1:9/0"}
    with Gateway(settings, **away) as closed:
        status, answer, _ = closed.call("POST", "/v1/checks", ask())
        assert status == 200 and not answer["allowed"] and answer["degraded"]["gaps"] == ["redis_away"]
        status, problem, headers = closed.call("POST", "/v1/reservations", ask())
        assert status == 503 and headers["Content-Type"] == "application/problem+json" and headers["Retry-After"]
        assert problem["type"] == "urn:touchstream:problem:unavailable"
    policy = tmp_path / "open.toml"
    policy.write_text('[governance]\nversion = "open"\ndegraded = "fail_open"\n', encoding="utf-8")
    with Gateway(settings, TOUCHSTREAM_POLICY_PATH=str(policy), **away) as opened:
        answer = opened.call("POST", "/v1/checks", ask())[1]
        assert answer["allowed"] and answer["degraded"] == {"gaps": ["redis_away"], "answered": "fail_open"}
        assert opened.stop() == 0
