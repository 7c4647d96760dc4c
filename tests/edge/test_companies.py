"""Who belongs to which company: what a micro-batch tells of it, and what that costs. No servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.entry import DELETED, Entry, encode_entry
from streams.core.identify import account_node
from streams.core.plans import PLANNED
from streams.core.policy import DAY_MS
from streams.core.timeline import Timeline, encode
from streams.edge import companies
from tests.edge.test_policy_stages import stage
from tests.edge.test_stages import MINUTE, SETTINGS, T0, A, command_record

ACME = account_node("acme.example", SETTINGS.id_key)
SOON = T0 + 60 * MINUTE
PLAN = Entry(SOON, "p", "email", "marketing", "outbound", "sent", T0, account="acme.example")


class Following:
    """A view that only takes."""

    by_company = True

    def __init__(self) -> None:
        self.members: companies.Members = {}

    async def take(self, partition: int, changelog: Any, members: companies.Members) -> None:
        """As `View.take`."""
        self.members = members


def told(*batches: tuple[Entry, ...], held: Timeline | None = None) -> companies.Members:
    """What the view is told of the last micro-batch, each of plans for one customer."""
    timelines, store = stage()
    timelines._view = view = Following()  # type: ignore[assignment]
    if held is not None:
        store.write(1, {A.encode(): encode(held)})

    async def run() -> None:
        for n, plans in enumerate(batches):
            commands = [
                Command(f"{n}-{plan.id}", A, PLANNED, T0, "a tool", entries=(encode_entry(plan),)) for plan in plans
            ]
            write = await timelines.run(1, [command_record(command) for command in commands])
            assert write.done is not None
            await write.done()

    asyncio.run(run())
    return view.members


def test_a_plan_says_when_the_next_one_is() -> None:
    """Of several plans the soonest counts, beside and not among the touches; once it is withdrawn the next one, and none when all are."""
    later = replace(PLAN, id="q", at=SOON + DAY_MS)
    gone = [replace(plan, kind=DELETED, version=2) for plan in (PLAN, later)]
    assert told((later, PLAN)) == {("planned", ACME, A): SOON}
    assert told((later, PLAN), (gone[0],)) == {("planned", ACME, A): SOON + DAY_MS}
    assert told((later, PLAN), (gone[0],), (gone[1],)) == {("planned", ACME, A): None}


def test_a_plan_costs_no_walk_through_the_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer with 1,000 touches of Acme and 100 plans for its people: their company is looked up once a micro-batch with a plan."""
    seen: list[str] = []

    def counted(account: str, key: str) -> str:
        seen.append(account)
        return account_node(account, key)

    monkeypatch.setattr(companies, "account_node", counted)
    touches = tuple(replace(PLAN, id=f"t-{n}", at=T0 - DAY_MS + n) for n in range(1_000))
    plans = tuple(replace(PLAN, id=f"p-{n}", at=SOON + n) for n in range(100))
    held = Timeline(entries=touches)
    assert told(plans, held=held) == {("planned", ACME, A): SOON}
    assert len(seen) == 1
    assert companies.of_entries(A, held, SETTINGS.id_key) == {("company", ACME, A): touches[-1].at}
    assert len(seen) == 2
