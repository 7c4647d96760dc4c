"""`touchstream forecast`: what planned touches will collide with, of a file or those that tools have published."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO

import click
import msgspec

from streams.commands import rendering
from streams.commands.backtest import moment_of
from streams.commands.common import (
    kafka_options,
    load_policy,
    load_settings,
    policy_option,
    progress,
    unreadable,
)
from streams.commands.files import touch_lines
from streams.commands.identifiers import read_log
from streams.commands.policy_in_force import in_force, policy_in_force
from streams.commands.publishing import run_kafka
from streams.core.entry import DamagedError
from streams.core.govern.awaited import awaited
from streams.core.govern.forecast import Outlook, Plan, sentence
from streams.core.govern.forecast import forecast as foresee
from streams.core.govern.planning import Given, Planned, announced, planned
from streams.core.identify import nodes
from streams.core.identity_person import IdentityLog
from streams.core.policy import DAY_MS, Policy
from streams.core.reservation import Reservation
from streams.core.touch import Customer, Touch
from streams.edge.history import History, history
from streams.edge.reader import open_codec, read
from streams.edge.reserved import Reserved
from streams.edge.topics import changelog
from streams.settings import Settings

PAUSE = 2.0
"""Seconds between two looks at plans that change."""

AGAIN = 60.0
"""Seconds after which is looked again at the latest: time alone ends reservations, and makes plans past."""

OVERLAP_MS = 300_000
"""What was written shortly before the timelines were read is read again: clocks differ, and to take a record twice changes nothing."""


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--follow", is_flag=True, help="Without FILE: go on, and print each plan again when it changes.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=366), default=14.0, show_default=True)
@click.option(
    "--standing",
    type=click.File("rb"),
    metavar="FILE",
    help="JSON lines of what the CRM knows: customer (or none: for the whole account) and standing, as POST /v1/checks has them.",
)
@click.option(
    "--alone", is_flag=True, help="Count only what is asked about: neither other published plans nor reservations."
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines, one for each plan.")
@click.option("--now", metavar="TIME", help="RFC 3339 time from which on is looked; default the present.")
@policy_option
@kafka_options
def forecast(
    file: BinaryIO | None,
    follow: bool,
    days: float,
    standing: BinaryIO | None,
    alone: bool,
    as_json: bool,
    now: str | None,
    policy_path: str | None,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Print what planned touches will collide with in the next days: each other, what was sent, and opt-outs.

    Without FILE these are the plans that tools have published (`touchstream plan`). FILE has touches as JSON lines ("-" is standard input),
    as `touchstream send` will take them, with their times to come: campaign sends, sequences, call lists. Customers and their timelines are
    read from Kafka; nothing is published. Plans that tools have published count, too, unless FILE has their ids, and so do contacts that
    tools have reserved. A plan is a campaign, sequence or list of one department on one day
    (UTC); the next one comes first. By the published policy, as the workers judge; `--policy` tries another one out. The exit code is 1
    when a line was broken or had no usable identifier.
    """
    if follow and (file is not None or now or standing is not None):
        raise click.UsageError("--follow is for published plans, as they change: without FILE, --now and --standing")
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    policy = load_policy(policy_path, settings) if policy_path else policy_in_force(None, settings)
    start = moment_of(now, "--now") if now else time.time_ns() // 1_000_000
    shown = Shown(settings, policy, days, as_json)
    if follow:
        with suppress(KeyboardInterrupt):  # Ctrl-C is how this ends
            run_kafka(_follow(settings, shown, None if policy_path else policy, alone))
        return
    broken: list[str] = []
    if file is None:
        with progress("reading timelines"):
            held = run_kafka(history(settings))
            reserved = [] if alone else run_kafka(_reserved(settings))
        if standing is not None:
            shown.given = _given(
                settings, policy, standing, run_kafka(read_log(settings, policy.identity.shared_after)), broken
            )
        click.echo(_left_out(shown.published(held, reserved, start)), err=True)
        _end(broken)
        return
    touches = _touches(file, broken)
    with progress("reading identities and timelines"):
        log, timelines = run_kafka(_read(settings, policy))
        reserved = [] if alone else run_kafka(_reserved(settings))
    given = None if standing is None else _given(settings, policy, standing, log, broken)
    people = _people(settings, policy, log)
    try:
        others = awaited(() if alone else timelines.planned(), reserved, timelines, start)
        plan = planned(
            touches,
            lambda touch: people(touch.customer),
            timelines,
            timelines.belongings,
            policy,
            start,
            shown.end(start),
            given,
            others,
        )
        shown.show(plan, start)
    except DamagedError as error:
        raise unreadable(error, settings) from None
    click.echo(_left_out(plan), err=True)
    _end(broken, plan.nobody)


def _end(broken: list[str], nobody: int = 0) -> None:
    for problem in broken:
        click.echo(rendering.clean(problem), err=True)
    if broken or nobody:
        sys.exit(1)


def _given(settings: Settings, policy: Policy, lines: BinaryIO, log: IdentityLog, broken: list[str]) -> Given:
    from streams.commands.standing import Told  # pydantic, which nobody else here needs

    return Told(lines, _people(settings, policy, log), broken).of


class Shown:
    """Prints outlooks, each once until it changes."""

    def __init__(self, settings: Settings, policy: Policy, days: float, as_json: bool) -> None:
        self._settings, self._policy, self._days, self._as_json = settings, policy, days, as_json
        self._before: dict[Plan, Outlook] = {}
        self.given: Given | None = None

    def use(self, policy: Policy) -> None:
        """From now on by this policy."""
        self._policy = policy

    def end(self, start: int) -> int:
        """Until when is looked."""
        return start + int(self._days * DAY_MS)

    def published(self, held: History, reserved: Iterable[Reservation], start: int) -> Planned:
        """Show the plans that timelines hold, beside what is reserved. Raises CommandError."""
        try:
            others = awaited((), reserved, held, start)
            plan = announced(
                held.planned(), held, held.belongings, self._policy, start, self.end(start), self.given, others
            )
            self.show(plan, start)
        except DamagedError as error:
            raise unreadable(error, self._settings) from None
        return plan

    def show(self, planned: Planned, start: int) -> None:
        """The outlooks that are not as they were; of a plan that is no more, that nothing is planned."""
        now = {
            one.plan: one
            for one in foresee(planned.plans, planned.known, self._policy, start, planned.companies, planned.published)
        }
        gone = [Outlook(plan, 0, 0, ()) for plan in self._before if plan not in now]
        changed = [one for one in now.values() if self._before.get(one.plan) != one]
        for outlook in sorted([*gone, *changed], key=lambda one: one.plan):
            click.echo(json.dumps(_plain(outlook)) if self._as_json else rendering.clean(sentence(outlook)))
        self._before = now


async def _follow(settings: Settings, shown: Shown, own: Policy | None, alone: bool) -> None:
    """Shows plans as they are, and again whenever timelines or reservations have changed, at most every `PAUSE` seconds, or may have ended;
    by the published policy as it changes, and `own` while there is none, unless that is None: then by what `shown` has."""
    since = time.time_ns() // 1_000_000 - OVERLAP_MS
    held = await history(settings)
    async with open_codec(settings) as codec:
        reserved = Reserved(settings, codec)
        topics = [changelog(settings)]
        if not alone:
            await reserved.read()
            topics.append(reserved.topic)
        changed = asyncio.Event()

        async def take() -> None:
            async for stored in read(settings, topics, start=since, follow=True):
                if stored.topic == reserved.topic:
                    await reserved.take(stored.key or b"", stored.value)
                else:
                    held.take(stored.key or b"", stored.value)
                changed.set()

        taking = asyncio.create_task(take())
        try:
            while not taking.done():
                if own is not None:  # another one has the workers judge plans anew, hence changes timelines
                    shown.use((await in_force(settings, own))[0])
                shown.published(held, reserved.all(), time.time_ns() // 1_000_000)
                changed.clear()
                await asyncio.sleep(PAUSE)
                waiting = asyncio.create_task(changed.wait())
                await asyncio.wait({waiting, taking}, timeout=AGAIN, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            await taking
        finally:
            taking.cancel()


async def _reserved(settings: Settings) -> list[Reservation]:
    async with open_codec(settings) as codec:
        return (await Reserved(settings, codec).read()).all()


async def _read(settings: Settings, policy: Policy) -> tuple[IdentityLog, History]:
    return await read_log(settings, policy.identity.shared_after), await history(settings)


def _people(settings: Settings, policy: Policy, log: IdentityLog) -> Any:
    roles = frozenset(policy.identity.role_addresses)

    def people(customer: Customer) -> tuple[str, ...]:
        ids = nodes(customer, settings.id_key, settings.default_region, roles, policy.identity.same_mailbox)
        return tuple(dict.fromkeys(map(log.customer, ids)))

    return people


def _touches(file: BinaryIO, broken: list[str]) -> list[Touch]:
    touches = []
    for number, touch in touch_lines(file, broken):
        if touch.direction == "outbound":
            touches.append(touch)
        else:
            broken.append(f"line {number}: direction: a planned touch is outbound")
    return touches


def _left_out(plan: Planned) -> str:
    parts = {
        "made already": plan.made,
        "at another time": plan.elsewhen,
        "taken back": plan.withdrawn,
        "without a usable identifier": plan.nobody,
    }
    left = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{len(plan.plans)} planned touches{f'; left out: {left}' if left else ''}"


def _plain(outlook: Outlook) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(outlook)
    return {**values.pop("plan"), **values, "text": sentence(outlook)}
