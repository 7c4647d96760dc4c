"""Rules about a whole company, with a real worker and a real gateway: what its other people got counts, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from streams.core.identify import account_node
from streams.core.touch import Account, Customer, Touch
from streams.core.touch_json import rfc3339, to_json
from streams.edge import companies
from streams.settings import Settings
from tests.gateway.running import HOUR, Gateway, now_ms, show, touch
from tests.support.commands import touchstream
from tests.support.drained import wait_drained
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
CAPPED = str(Path(__file__).with_name("capped.toml"))


def mail(email: str, ago_ms: int, account: Account) -> Touch:
    """A marketing mail to somebody of a company."""
    return replace(touch(email, ago_ms), account=account)


def refused_by(gateway: Gateway, email: str, account: str | None) -> tuple[str, ...] | None:
    """Names of the rules that a mail to this person of this company would break; None while the gateway cannot see enough."""
    body: dict[str, Any] = {"customer": {"email": email}, "channel": "email", "department": "marketing"}
    status, answer, _ = gateway.call("POST", "/v1/checks", body | {"standing": {"account": account} if account else {}})
    assert status == 200, answer
    return None if answer["degraded"] else tuple(one["rule"] for one in answer["violations"])


def test_contacts_with_colleagues_count(make_settings: Callable[..., Settings]) -> None:
    """Two people of Acme got a mail, so a third may not, nor after a flush of Redis. Somebody of another company may. Once one of the two
    is erased, the third may, and nothing in Redis says that the erased one was of Acme."""
    settings = make_settings(policy_path=CAPPED, view_max_age=3600.0)
    acme = Account(domain="acme.example")
    publish(
        settings,
        [
            mail("ann@acme.example", HOUR, acme),
            mail("bo@acme.example", 2 * HOUR, acme),
            mail("cy@acme.example", 9 * 24 * HOUR, acme),
            mail("dee@other.example", HOUR, Account(domain="other.example")),
        ],
    )
    with Worker(settings), Gateway(settings) as gateway, redis.Redis.from_url(settings.redis_url) as client:
        wait_drained(settings)

        def refused(email: str, account: str, *rules: str) -> None:
            wait_until(lambda: refused_by(gateway, email, account) == rules, 60, f"{email} of {account}: {rules}")

        refused("eve@acme.example", " Acme.example", "two-people-a-week")
        refused("cy@acme.example", "acme.example", "two-people-a-week")
        refused("ann@acme.example", "acme.example")  # one of the two
        refused("fay@other.example", "other.example")
        client.flushdb()
        refused("eve@acme.example", "acme.example", "two-people-a-week")
        touchstream(settings, "customer", "erase", "bo@acme.example", "--by", "p.ito", "--yes")
        refused("eve@acme.example", "acme.example")
        name = companies.key(settings, account_node("acme.example", settings.id_key))
        wait_until(lambda: client.zcard(name) == 2, 30, "Bo to be gone from the company")


def test_the_company_is_that_of_the_newest_touch(make_settings: Callable[..., Settings]) -> None:
    """Ann of Acme got a mail; Cy and Eve opened older ones. A slot for Cy, reserved by a tool that names no company, counts for Acme:
    Eve may not be written to, if who asks names no company; whoever names another one is believed."""
    settings = make_settings(policy_path=CAPPED, view_max_age=3600.0)
    acme = Account(domain="acme.example")
    opened = replace(mail("cy@acme.example", HOUR, acme), direction="inbound", kind="opened")
    show(
        settings,
        [
            mail("ann@acme.example", 2 * HOUR, acme),
            opened,
            replace(opened, touch_id="eve", customer=Customer(email="eve@acme.example")),
        ],
    )
    body = {"customer": {"email": "cy@acme.example"}, "channel": "email", "department": "marketing", "touch_id": "slot"}
    with Gateway(settings) as gateway:
        wait_until(lambda: refused_by(gateway, "cy@acme.example", None) == (), 60, "the view")
        status, made, _ = gateway.call("POST", "/v1/reservations", body)
        assert status == 201, made
        assert refused_by(gateway, "eve@acme.example", None) == ("two-people-a-week",)
        assert refused_by(gateway, "eve@acme.example", "other.example") == ()
        assert refused_by(gateway, "cy@acme.example", None) == ()


def test_plans_for_colleagues_are_told(make_settings: Callable[..., Settings]) -> None:
    """One person of the company got a mail, and a mail to another, who never got one, is planned in an hour: a third may be written to in
    two hours, and whoever asks hears of the plan. Once it is withdrawn they do not."""
    settings = make_settings(policy_path=CAPPED, view_max_age=3600.0)
    acme = Account(domain="acme.example")
    plan = replace(mail("gus@acme.example", -HOUR, acme), touch_id="plan-1")
    body: dict[str, Any] = {
        "customer": {"email": "eve@acme.example"}, "channel": "email", "department": "marketing",
        "at": rfc3339(now_ms() + 2 * HOUR), "standing": {"account": "acme.example"},
    }  # fmt: skip
    publish(settings, [mail("ann@acme.example", HOUR, acme)])
    with Worker(settings), Gateway(settings) as gateway:
        wait_drained(settings)

        def told() -> list[tuple[str, list[bool]]] | None:
            _, answer, _ = gateway.call("POST", "/v1/checks", body)
            assert answer["allowed"] or answer["degraded"], answer
            found = [(one["rule"], [proof["planned"] for proof in one["evidence"]]) for one in answer["violations"]]
            return None if answer["degraded"] else found

        wait_until(lambda: told() == [], 60, "the view")
        assert gateway.call("POST", "/v1/plans", to_json(plan))[0] == 202
        wait_until(lambda: told() == [("two-people-a-week", [False, True])], 60, "the plan to be told")
        assert gateway.call("POST", "/v1/plans", to_json(replace(plan, version=2, deleted=True)))[0] == 202
        wait_until(lambda: told() == [], 60, "its withdrawal")


def test_many_plans_do_not_hide_who_was_in_touch(make_settings: Callable[..., Settings]) -> None:
    """A newsletter is planned for 250 people of Acme, and two others got a mail this week: one more may not be written to. And a plan for
    the same evening is heard of beside them."""
    settings = make_settings(policy_path=CAPPED, view_max_age=3600.0)
    acme = Account(domain="acme.example")
    plans = [mail(f"n{n}@acme.example", -200 * HOUR, acme) for n in range(250)]
    first = mail("ann@acme.example", HOUR, acme)
    show(settings, [first, mail("bo@acme.example", 2 * HOUR, acme)], plans=plans)
    with Gateway(settings) as gateway:
        wait_until(
            lambda: refused_by(gateway, "eve@acme.example", "acme.example") == ("two-people-a-week",), 60, "the rule"
        )
    other = make_settings(policy_path=CAPPED, view_max_age=3600.0)
    show(other, [first], plans=[*plans, mail("gus@acme.example", -1, acme)])
    with Gateway(other) as gateway:
        wait_until(
            lambda: refused_by(gateway, "eve@acme.example", "acme.example") == ("two-people-a-week",), 60, "the plan"
        )


def test_a_published_rule_about_companies_finds_who_belongs_to_which(make_settings: Callable[..., Settings]) -> None:
    """A worker and a gateway whose policy looks at no company; then one is published that does: the touches from before count, since the
    view is copied once more."""
    settings = make_settings(view_max_age=3600.0)
    acme = Account(domain="acme.example")
    publish(settings, [mail("ann@acme.example", HOUR, acme), mail("bo@acme.example", 2 * HOUR, acme)])
    with Worker(settings), Gateway(settings) as gateway:
        wait_drained(settings)
        wait_until(lambda: refused_by(gateway, "eve@acme.example", "acme.example") == (), 60, "the view")
        done = touchstream(settings, "policy", "publish", CAPPED, "--by", "p.ito", "--yes")
        assert done.exit_code == 0, done.output
        wait_until(
            lambda: refused_by(gateway, "eve@acme.example", "acme.example") == ("two-people-a-week",), 60, "the rule"
        )
