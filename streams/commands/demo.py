"""`touchstream demo`: a day at a company whose departments do not talk, end to end on real Kafka, told at the end."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

import click
import msgspec
from msgspec.structs import replace

from streams.commands import rendering
from streams.commands.common import CommandError, load_settings, progress
from streams.commands.import_ import candidates
from streams.commands.publishing import Candidate, Counts, Item, publish, quiet_kafka
from streams.commands.up import Running, Stop, running, say
from streams.core import backtest
from streams.core.ingest import NO_DEFAULTS
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.touch import Touch
from streams.edge import reader
from streams.edge.client import Client
from streams.settings import Settings

FEEDS = (
    ("sendgrid.json", "sendgrid", "SendGrid's webhook log"),
    ("mailgun.jsonl", "mailgun", "Mailgun's webhook log"),
    ("twilio.txt", "twilio", "Twilio's call status callbacks"),
    ("linkedin-messages.json", "linkedin-leads", "a rep's LinkedIn messages, as HubSpot wrote them back"),
    ("linkedin-leads.json", "linkedin-leads", "LinkedIn lead forms"),
    ("google-ads-leads.jsonl", "google-ads-leads", "Google Ads lead forms"),
    ("crm.jsonl", "json", "the CRM's calls and messages, as JSON touches"),
)
"""The story's files in `streams/demo`, each in the format of its provider, and what to call it."""

DEADLINE = 120.0
"""Seconds until the findings must be there; a slow machine needs ten."""

LIVE_PAUSE = 1.0


@click.command()
@click.option("--once", is_flag=True, help="End after the summary instead of going on until Ctrl-C.")
@click.option("--workers", "count", type=click.IntRange(1, 16), default=1, show_default=True, help="Worker processes.")
def demo(once: bool, count: int) -> None:
    """Start everything here, publish a day of touches in the providers' own formats, and show what was found.

    Runs on free ports and on a data directory of its own, which is removed at the end. Goes on with a touch a second
    until Ctrl-C, unless --once is given.
    """
    quiet_kafka()
    with tempfile.TemporaryDirectory(prefix="touchstream-demo-") as directory:
        policy = str(files("streams").joinpath("demo", "policy.toml"))
        settings = replace(load_settings(), data_dir=directory, metrics_port=0, id_key="demo", policy_path=policy)
        with running(settings, count, kafka_port=0, redis_port=0) as stack:
            story = _publish_story(stack.settings)
            found = _await_findings(stack, story)
            click.echo(_summary(story, found))
            if not once:
                click.echo(_where(stack))
                _live(stack, found)


class Story(msgspec.Struct):
    """What was published: touches, and by feed the counts of what became of its records."""

    touches: list[Touch]
    feeds: list[tuple[str, Counts]]


def _publish_story(settings: Settings) -> Story:
    story = Story([], [])

    async def run() -> None:
        async with Client(settings=settings) as client:
            for name, source, title in FEEDS:
                data = files("streams").joinpath("demo", name).read_bytes()
                counts = Counts()
                await publish(client, _noting(candidates(source, data, NO_DEFAULTS, len(data)), story.touches), counts)
                story.feeds.append((title, counts))

    with progress("publishing the day's touches"):
        asyncio.run(run())
    return story


def _noting(items: Iterator[Item], touches: list[Touch]) -> Iterator[Item]:
    for item in items:
        if isinstance(item, Candidate):
            touches.append(item.touch)
        yield item


def _await_findings(stack: Running, story: Story) -> list[Finding]:
    """The findings in Kafka, once they are what the same core finds in the same touches without Kafka."""
    now = time.time_ns() // 1_000_000
    settings = stack.settings
    wanted = backtest.run(
        story.touches, Policy(), id_key=settings.id_key, region=settings.default_region, now=now
    ).findings
    with progress("waiting for the workers' findings"):
        deadline = time.monotonic() + DEADLINE
        while _ids(found := _findings(settings)) != _ids(wanted):
            stack.step()
            if time.monotonic() > deadline:
                missing = len(set(_ids(wanted)) - set(_ids(found)))
                raise CommandError(
                    f"after {DEADLINE:.0f} s {missing} of {len(wanted)} findings are missing; see {stack.logs}"
                )
            time.sleep(0.3)
    return found


def _ids(findings: list[Finding]) -> list[str]:
    return sorted(finding.finding_id for finding in findings)


def _findings(settings: Settings) -> list[Finding]:
    """Findings that hold now."""
    return backtest.standing(asyncio.run(reader.findings(settings)))


def _summary(story: Story, found: list[Finding]) -> str:
    channels = Counter(touch.channel for touch in story.touches)
    conflicts = [finding for finding in found if finding.finding == "conflict"]
    handoffs = [finding for finding in found if finding.finding == "handoff"]
    listed = ", ".join(f"{count} {channel}" for channel, count in channels.most_common())
    lines = ["", f"Published {len(story.touches)} touches ({listed}) from {len(story.feeds)} sources:"]
    lines += [f"  {title}: {counts.text()}" for title, counts in story.feeds]
    lines += ["", f"Conflicts found ({len(conflicts)}):"]
    lines += [rendering.indented(rendering.finding(finding)) for finding in conflicts]
    lines += ["", f"Hand-offs from marketing to sales ({len(handoffs)}):"]
    lines += [rendering.indented(rendering.finding(finding)) for finding in handoffs]
    lines += ["", "The same touches without Kafka (`touchstream backtest`) give the same findings."]
    return "\n".join(lines)


def _where(stack: Running) -> str:
    """Where to look while it goes on; nothing of it is left afterwards."""
    lines = ["", "Where to look:"]
    lines += [f"  metrics   {address}" for address in stack.metrics]
    lines += [
        f"  Kafka     {stack.settings.bootstrap}: {sys.argv[0]} tail conflicts --from-beginning --bootstrap {stack.settings.bootstrap}",
        f"  rejected  {sys.argv[0]} dead-letter list --bootstrap {stack.settings.bootstrap}",
        f"  logs      {stack.logs}",
    ]
    return "\n".join(lines)


def _live(stack: Running, found: list[Finding]) -> None:
    """A touch a second, and each finding as it comes, until Ctrl-C; then what that made in all."""
    known = {finding.finding_id for finding in found}
    rng, sent = random.Random(7), 0  # noqa: S311 - a story, not a secret
    click.echo("\nNow a touch a second, and what is found because of it. Ctrl-C ends it.")
    try:
        with Client.sync(settings=stack.settings) as client:
            while True:
                client.send(_invented(rng, sent))
                sent += 1
                stack.step()
                for finding in _findings(stack.settings):
                    if finding.finding_id not in known:
                        known.add(finding.finding_id)
                        click.echo(f"  {finding.rule}: {finding.reason}")
                time.sleep(LIVE_PAUSE)
    except Stop:
        say(f"stopping: {sent} touches more, {len(known)} findings in all")


_PEOPLE = (
    ("dana.reyes", "Dana Reyes"),
    ("lee.chang", "Lee Chang"),
    ("mara.lindt", "Mara Lindt"),
    ("nils.holm", "Nils Holm"),
)


def _invented(rng: random.Random, number: int) -> Touch:
    """A touch of now, by one of the two departments."""
    address, name = rng.choice(_PEOPLE)
    now = time.time_ns() // 1_000_000
    customer = {"email": f"{address}@example.com", "name": name}
    common = {"touch_id": f"live-{now}-{number}", "direction": "outbound", "occurred_at": now, "customer": customer}
    if rng.random() < 0.5:
        told = {"subject": "Webinar invitation"}
        values = common | {"channel": "email", "department": "marketing", "kind": "sent", "message": told}
    else:
        actor = {"id": "jokafor", "name": "J. Okafor"}
        values = common | {"channel": "calls", "department": "sales", "kind": "dialed", "actor": actor}
    return msgspec.convert(values, Touch)
