"""What the gateways allowed, replayed: it breaks no rule of the policy, but with contacts that arrived without asking."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from streams.commands.common import load_policy
from streams.core.backtest import fold, standing
from streams.core.detect import governed
from streams.core.outcome import Finding
from streams.core.timeline import Timeline
from streams.core.touch import Customer, Touch
from streams.edge.client import Client
from streams.edge.codec import Codec
from streams.edge.history import history
from streams.edge.topics import CONFLICTS
from streams.settings import Settings
from tests.gateway.running import Gateway
from tests.support.commands import stored
from tests.support.drained import wait_drained
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
PROOF = str(Path(__file__).with_name("proof.toml"))
CUSTOMERS = 30
CODEC = Codec()
SENT = {"email": "sent", "calls": "dialed", "linkedin": "message_sent"}


def _touch(id_: str, who: int, channel: str, department: str, at: int) -> Touch:
    own = id_ if channel == "calls" else None
    customer = Customer(email=f"p{who}@example.com")
    return Touch(id_, channel, department, "outbound", SENT[channel], at, customer, interaction_id=own)  # type: ignore[arg-type]


class Run:
    """Tools at work; `outcomes` counts what they were told, `asked` are the ids of the touches that were allowed."""

    def __init__(self, settings: Settings, urls: list[str], seed: int) -> None:
        self.settings, self.urls, self.seed = settings, urls, seed
        self.outcomes: Counter[str] = Counter()
        self.asked: set[str] = set()

    async def all(self) -> None:
        """Twelve tools that ask, half of them ahead; two that do not; and customers who opt out."""
        async with Client(settings=self.settings) as client, aiohttp.ClientSession() as session:
            await asyncio.gather(
                *(self._asks(client, session, tool) for tool in range(12)),
                *(self._does_not(client, tool) for tool in range(2)),
            )

    async def _asks(self, client: Client, session: aiohttp.ClientSession, tool: int) -> None:
        rng = random.Random(f"{self.seed} {tool}")
        department = ("marketing", "sales")[tool % 2]
        for n in range(15):
            id_ = f"asked-{tool}-{n}"
            who, channel = rng.randrange(CUSTOMERS), rng.choice(list(SENT))
            at = _now() + (rng.randrange(3000) if tool % 4 < 2 else 0)
            body = {
                "customer": {"email": f"p{who}@example.com"}, "channel": channel, "department": department, "touch_id": id_,
                "at": _text(at),
            }  # fmt: skip
            url = rng.choice(self.urls)
            async with session.post(f"{url}/v1/reservations", json=body) as answer:
                told = await answer.json(content_type=None)
                assert answer.status in (200, 201), told
            held = told["reservation"]
            if held is None:
                self.outcomes["degraded" if told["check"]["degraded"] else "refused"] += 1
                await asyncio.sleep(rng.random() / 5)
                continue
            at = _ms(held["at"])
            await asyncio.sleep(max(0, (at - _now()) / 1000))
            path = f"{rng.choice(self.urls)}/v1/reservations/{held['reservation_id']}"
            if rng.random() < 0.2:
                async with session.delete(path) as answer:
                    assert answer.status == 200
                self.outcomes["released"] += 1
                continue
            async with session.post(f"{path}/commit") as answer:
                assert answer.status == 200
            await client.send(_touch(id_, who, channel, department, at))
            self.asked.add(id_)
            self.outcomes["made"] += 1

    async def _does_not(self, client: Client, tool: int) -> None:
        rng = random.Random(f"{self.seed} rude {tool}")
        for n in range(25):
            who = rng.randrange(CUSTOMERS // 3)  # so that most customers have only what was asked for
            await client.send(_touch(f"rude-{tool}-{n}", who, rng.choice(list(SENT)), "service", _now()))
            await asyncio.sleep(rng.random() / 3)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _text(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC).isoformat()


def _ms(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def test_what_was_allowed_breaks_no_rule_but_with_what_did_not_ask(make_settings: Callable[..., Settings]) -> None:
    """Twelve tools ask two gateways about thirty customers, hold, commit, give back and contact; two more contact without asking. On the
    timelines that a real worker has made of it, those that asked break no rule among themselves; whatever rule is broken, one that did not
    ask is part of it; and these are the findings that the worker has published."""
    settings = make_settings(policy_path=PROOF)
    policy = load_policy(PROOF, settings)
    with Worker(settings), Gateway(settings) as a, Gateway(settings) as b:
        probe = {"customer": {"email": "x@example.com"}, "channel": "email", "department": "sales"}
        for gateway in (a, b):
            wait_until(
                lambda url=gateway: url.call("POST", "/v1/checks", probe)[1]["degraded"] is None, 60, "a fresh view"
            )
        run = Run(settings, [a.url, b.url], seed=7)
        asyncio.run(run.all())
        wait_drained(settings)
        timelines = dict(asyncio.run(history(settings)))
        published = [CODEC.decode_finding(one.value or b"") for one in stored(settings, CONFLICTS)]

    def broken(timeline: Timeline, customer: str) -> list[Finding]:
        return governed.RULE.find(timeline, 0, len(timeline.entries), policy, customer)

    assert sum(len(timeline.entries) for timeline in timelines.values()) == len(run.asked) + 50
    for customer, timeline in timelines.items():
        polite = replace(timeline, entries=tuple(one for one in timeline.entries if one.id in run.asked))
        assert not polite.entries or [one.reason for one in broken(polite, customer)] == []
        for finding in broken(timeline, customer):
            assert any(id_.startswith("rude-") for id_ in finding.touch_ids), finding
    found = {one.finding_id for customer, timeline in timelines.items() for one in broken(timeline, customer)}
    assert found, "those that did not ask were in the way of nobody: the test proves nothing"
    known: dict[str, Finding] = {}
    fold(known, published)
    assert found == {one.finding_id for one in standing(known) if ":" in one.rule}
    assert min(run.outcomes[name] for name in ("made", "refused", "released")) > 10, run.outcomes
