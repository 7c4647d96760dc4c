"""`touchstream backtest`: what a policy would find, or would have stopped, on touches of a file or on the history in Kafka."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import click

from streams.commands.common import (
    CommandError,
    kafka_options,
    load_policy,
    load_settings,
    needs_report,
    policy_option,
    progress,
    unreadable,
)
from streams.commands.files import replace_file, touch_lines
from streams.commands.publishing import run_kafka
from streams.commands.rendering import counted
from streams.core import backtest as core
from streams.core import detect, finding_json, wording
from streams.core.entry import DamagedError
from streams.core.govern.backtest import difference, lines
from streams.core.outcome import Finding
from streams.core.policy import DAY_MS, Policy
from streams.core.timeline import Timeline
from streams.edge.history import history
from streams.settings import Settings


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option(
    "--from-kafka", is_flag=True, help="Instead of FILE, take all customers' timelines as Kafka holds them now."
)
@click.option("--since", metavar="TIME", help="Only what came since: RFC 3339 time, day, or days back, such as 30d.")
@policy_option
@click.option(
    "--against",
    metavar="FILE",
    help="Policy in force now: print which contacts the rules of --policy would have stopped and those of this one not.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="With --against: a page with plots."
)
@click.option(
    "--now", metavar="TIME", help="RFC 3339 time that future touches are measured against; default the present."
)
@kafka_options
def backtest(
    file: BinaryIO | None,
    from_kafka: bool,
    since: str | None,
    policy_path: str | None,
    against: str | None,
    html: Path | None,
    now: str | None,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Print the final findings of FILE (touches as JSON lines; "-" is standard input) as JSON lines, sorted by event time, then id.

    The order of the lines and repeated lines change nothing. Broken lines and refused touches are reported on standard error;
    the exit code is 1 when there were any. With --against, the difference of the two policies' [[rules]] is printed instead.

    --from-kafka takes the real history, with its corrections, merges, splits and erasures; the workers are not disturbed. It is what was
    sent: what was only planned, or reserved and given back, stops nobody in it. Rules that rest on what no timeline holds are
    named, not judged.

    \b
    touchstream backtest --from-kafka --since 30d --policy new.toml --against current.toml --html difference.html
    """
    if (file is None) != from_kafka:
        raise click.UsageError("give either FILE or --from-kafka")
    if html is not None and against is None:
        raise click.UsageError("--html shows the difference of two policies: give the one in force by --against")
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    policy = load_policy(policy_path, settings)
    current = None if against is None else load_policy(against, settings)
    if html is not None:
        needs_report("--html")
    moment = moment_of(now, "--now") if now else time.time_ns() // 1_000_000
    start = _since(since, moment) if since else 0
    broken: list[str] = []
    if file is not None:
        result = core.run(
            (touch for _, touch in touch_lines(file, broken)),
            policy,
            id_key=settings.id_key,
            region=settings.default_region,
            now=moment,
        )
        broken += [f"touch {refused.touch.touch_id}: {refused.reason}: {refused.detail}" for refused in result.refused]
        timelines: Mapping[str, Timeline] = result.timelines
        findings = result.findings
    else:
        timelines = _history(settings)
        findings = _findings(timelines, policy, settings) if current is None else []
    findings = [finding for finding in findings if finding.event_time >= start]
    if current is not None:
        try:
            _compare(timelines, policy, current, start, html)
        except DamagedError as error:
            raise unreadable(error, settings) from None
    else:
        for finding in findings:
            sys.stdout.write(finding_json.line(finding) + "\n")
    for problem in broken:
        click.echo(problem, err=True)
    if broken:
        click.echo(
            f"{counted(len(findings), 'finding')}; {counted(len(broken), 'line or touch', 'lines or touches')} refused",
            err=True,
        )
        sys.exit(1)


def _compare(timelines: Mapping[str, Timeline], new: Policy, current: Policy, since: int, html: Path | None) -> None:
    with progress("comparing"):
        found = difference(timelines, new, current, since)
    if since and found.first_at is not None and found.first_at - since > DAY_MS:
        click.echo(
            f"the first contact that counts is of {wording.date(found.first_at)}, not of {wording.date(since)}: the timelines hold none"
            " from before, or it came too late to count (touch.late_after_days, as when a source brings its history along)",
            err=True,
        )
    for line in lines(found):
        click.echo(line)
    if html is not None:
        from streams.report.policies import render

        replace_file(html, render(found, new, current, since).encode())


def _history(settings: Settings) -> Mapping[str, Timeline]:
    with progress("reading the timelines"):
        found = run_kafka(history(settings))
    if not len(found):
        raise CommandError(
            f"no customer has a timeline at {settings.bootstrap} yet: have workers run there, and touches come? (TOUCHSTREAM_APP_ID"
            f" is {settings.app_id!r} and the topic prefix {settings.topic_prefix!r}; both must be the workers')"
        )
    return found


def _findings(timelines: Mapping[str, Timeline], policy: Policy, settings: Settings) -> list[Finding]:
    """What holds on the timelines, sorted as ever."""
    found: list[Finding] = []
    for customer in timelines:
        try:
            found += detect.everything(timelines[customer], policy, customer)
        except DamagedError as error:
            raise unreadable(error.of(customer), settings) from None
    return sorted(found, key=lambda finding: (finding.event_time, finding.finding_id))


def _since(text: str, now: int) -> int:
    """UTC ms of a time, a day, or so many days before now."""
    if text.endswith("d") and text[:-1].isdecimal():
        return now - int(text[:-1]) * DAY_MS
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return moment_of(text, "--since")
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() * 1000)


def moment_of(text: str, option: str) -> int:
    try:
        time_ = dt.datetime.fromisoformat(text)
    except ValueError:
        time_ = None
    if time_ is None or time_.tzinfo is None:
        raise CommandError(f"{option}: {text!r} is not an RFC 3339 time with a zone, such as 2026-03-02T09:12:00Z")
    return int(time_.timestamp() * 1000)
