"""`touchstream forecast`: what planned touches will collide with."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, BinaryIO

import click
import msgspec

from streams.commands import rendering
from streams.commands.backtest import moment_of
from streams.commands.common import CommandError, kafka_options, load_policy, load_settings, policy_option, progress
from streams.commands.files import touch_lines
from streams.commands.identifiers import read_log
from streams.commands.publishing import run_kafka
from streams.core.entry import DamagedError
from streams.core.govern.forecast import Outlook, sentence
from streams.core.govern.forecast import forecast as foresee
from streams.core.govern.planning import Planned, planned
from streams.core.identify import nodes
from streams.core.identity_person import IdentityLog
from streams.core.policy import DAY_MS, Policy
from streams.core.touch import Touch
from streams.edge.history import History, history
from streams.settings import Settings


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=366), default=14.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON lines, one for each plan.")
@click.option("--now", metavar="TIME", help="RFC 3339 time from which on is looked; default the present.")
@policy_option
@kafka_options
def forecast(
    file: BinaryIO,
    days: float,
    as_json: bool,
    now: str | None,
    policy_path: str | None,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Print what the planned touches of FILE will collide with in the next days: each other, what was sent, and opt-outs.

    FILE has touches as JSON lines ("-" is standard input), as `touchstream send` will take them, with their times to come: campaign
    sends, sequences, call lists, of all tools together. Customers and their timelines are read from Kafka; nothing is published. A
    plan is a campaign, sequence or list of one department on one day (UTC); the next one comes first. The exit code is 1 when a line was
    broken or had no usable identifier.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    policy = load_policy(policy_path, settings)
    start = moment_of(now, "--now") if now else time.time_ns() // 1_000_000
    broken: list[str] = []
    touches = _touches(file, broken)
    with progress("reading identities and timelines"):
        log, timelines = run_kafka(_read(settings, policy))
    try:
        plan = planned(touches, _people(settings, policy, log), timelines, policy, start, start + int(days * DAY_MS))
        outlooks = foresee(plan.plans, plan.known, policy, start)
    except DamagedError as error:
        raise CommandError(f"a timeline cannot be read: {error}") from None
    for outlook in outlooks:
        click.echo(json.dumps(_plain(outlook)) if as_json else rendering.clean(sentence(outlook)))
    click.echo(_left_out(plan), err=True)
    for problem in broken:
        click.echo(rendering.clean(problem), err=True)
    if broken or plan.nobody:
        sys.exit(1)


async def _read(settings: Settings, policy: Policy) -> tuple[IdentityLog, History]:
    return await read_log(settings, policy.identity.shared_after), await history(settings)


def _people(settings: Settings, policy: Policy, log: IdentityLog) -> Any:
    roles = frozenset(policy.identity.role_addresses)

    def people(touch: Touch) -> tuple[str, ...]:
        ids = nodes(touch.customer, settings.id_key, settings.default_region, roles, policy.identity.same_mailbox)
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
