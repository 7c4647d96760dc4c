"""`touchstream backtest`: what the workers would find in a file of touches, without Kafka."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterator, Sized
from typing import BinaryIO

import click

from streams.commands.common import CommandError, load_policy, load_settings, policy_option
from streams.core import backtest as core
from streams.core import finding_json, touch_json
from streams.core.govern.backtest import difference, lines
from streams.core.touch import Touch


@click.command()
@click.argument("file", type=click.File("rb"))
@policy_option
@click.option(
    "--against",
    metavar="FILE",
    help="Policy in force now: print which contacts the rules of --policy would have stopped and those of this one not.",
)
@click.option(
    "--now", metavar="TIME", help="RFC 3339 time that future touches are measured against; default the present."
)
def backtest(file: BinaryIO, policy_path: str | None, against: str | None, now: str | None) -> None:
    """Print the final findings of FILE (touches as JSON lines; "-" is standard input) as JSON lines, sorted by event time, then id.

    The order of the lines and repeated lines change nothing. Broken lines and refused touches are reported on standard error;
    the exit code is 1 when there were any. With --against, the difference of the two policies' [[rules]] is printed instead.
    """
    settings = load_settings()
    policy = load_policy(policy_path, settings)
    broken: list[str] = []
    moment = _moment(now) if now else time.time_ns() // 1_000_000
    result = core.run(
        _touches(file, broken), policy, id_key=settings.id_key, region=settings.default_region, now=moment
    )
    if against is not None:
        current = load_policy(against, settings)
        for line in lines(difference(result.timelines.values(), policy, current)):
            click.echo(line)
    else:
        for finding in result.findings:
            sys.stdout.write(finding_json.line(finding) + "\n")
    broken += [f"touch {refused.touch.touch_id}: {refused.reason}: {refused.detail}" for refused in result.refused]
    for problem in broken:
        click.echo(problem, err=True)
    if broken:
        click.echo(
            f"{_counted(result.findings, 'finding')}; {_counted(broken, 'line or touch', 'lines or touches')} refused",
            err=True,
        )
        sys.exit(1)


def _counted(things: Sized, one: str, many: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"


def _touches(file: BinaryIO, broken: list[str]) -> Iterator[Touch]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            try:
                touch = touch_json.parse(line)
            except touch_json.TouchError as error:
                broken.append(f"line {number}: {error}")
            else:
                yield touch


def _moment(text: str) -> int:
    try:
        time_ = dt.datetime.fromisoformat(text)
    except ValueError:
        time_ = None
    if time_ is None or time_.tzinfo is None:
        raise CommandError(f"--now: {text!r} is not an RFC 3339 time with a zone, such as 2026-03-02T09:12:00Z")
    return int(time_.timestamp() * 1000)
