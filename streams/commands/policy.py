"""`touchstream policy`: publish one, and see which is in force; its language, for editors and for people who read findings."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click
import redis

from streams.commands import rendering
from streams.commands.asking import answered, request_options
from streams.commands.common import CommandError, kafka_options, load_policy, load_settings
from streams.commands.publishing import run_kafka
from streams.core import published as publishing
from streams.core.govern.reasons import MEANING
from streams.core.govern.schema import policy_schema
from streams.core.policy import Policy, PolicyError, fingerprint
from streams.core.policy_difference import differences
from streams.core.published import Published
from streams.core.touch_json import rfc3339
from streams.edge import policies, view
from streams.edge.client import Client
from streams.settings import Settings

NONE = (
    "none was published: each worker and gateway goes by its file (TOUCHSTREAM_POLICY_PATH), else by the shipped policy"
)


def schema_text() -> str:
    """The text of `schemas/policy.schema.json`."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


@click.group()
def policy() -> None:
    """Publish a policy, see which is in force, and what a policy file may say."""


@policy.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors. The first line `#:schema <path>` of a policy points Taplo to it."""
    click.echo(schema_text(), nl=False)


@policy.command()
def reasons() -> None:
    """List the reasons of conflicts and of refused checks."""
    for reason, meaning in MEANING.items():
        click.echo(f"{reason:22} {meaning}")


@policy.command()
@click.argument("file", metavar="FILE")
@click.option("--check", "only_check", is_flag=True, help="Only say what would change.")
@request_options("the topic `policies`")
@kafka_options
def publish(
    file: str,
    only_check: bool,
    by: str,
    yes: bool,
    wait: bool,
    timeout: float,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Put a policy FILE (TOML) in force everywhere, without a restart.

    Each partition of touches switches at one point of its own order, and the gateways within a second. From then on policy files of
    workers and gateways say nothing. What was found before stays as it is; what comes later to the same customer is decided by the
    new policy. Planned touches (`touchstream plan`) are judged by it anew, a thousand customers a second.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    new = load_policy(file, settings)
    before = run_kafka(policies.newest(settings))
    _tell_change(before, new)
    if only_check:
        return
    if before is not None and before.fingerprint == fingerprint(new):
        click.echo("it is in force already: nothing to publish")
        return
    if not yes:
        click.confirm("Publish it?", abort=True, err=True)
    try:
        text = Path(file).read_text(encoding="utf-8")
        published = publishing.made(text, file, by, time.time_ns() // 1_000_000, before)
    except (OSError, PolicyError) as error:
        raise CommandError(str(error)) from None
    run_kafka(_ask(settings, published))
    if not wait:
        click.echo(f"asked for: policy {_name(published)}")
        return

    def look() -> Published | None:
        now = run_kafka(policies.newest(settings))
        return now if now is not None and not publishing.holds_over(published, now) else None

    told = answered(look, timeout)
    if told is None:
        raise CommandError(
            f"no worker put it in force within {timeout:g} s. If workers run, `touchstream dead-letter list` says why; else it is stored,"
            " and comes into force when they start"
        )
    if told.publication_id != published.publication_id:
        raise CommandError(f"{told.published_by} published another policy meanwhile, which holds: {_name(told)}")
    click.echo(f"in force: policy {_name(told)}")


@policy.command()
@click.option("--text", "as_text", is_flag=True, help="Print the policy file that was published.")
@click.option("--redis", "redis_url", metavar="URL", help="Redis-compatible server; default TOUCHSTREAM_REDIS_URL.")
@kafka_options
def show(as_text: bool, redis_url: str | None, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Say which policy is in force, and in which partitions another one still is."""
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix, redis_url=redis_url)
    latest = run_kafka(policies.newest(settings))
    if latest is None:
        click.echo(NONE)
        return
    if as_text:
        click.echo(latest.text, nl=False)
        return
    click.echo(f"in force: policy {_name(latest)}")
    for partition, fact in enumerate(_by_partition(settings)):
        if fact is None:
            click.echo(f"  partition {partition}: the worker's own file; it has not come to the marker")
        elif fact.publication_id != latest.publication_id:
            click.echo(f"  partition {partition}: {_name(fact)}; it has not come to the marker")


@policy.command()
@kafka_options
def history(bootstrap: str | None, topic_prefix: str | None) -> None:
    """List all policies that were published, oldest first."""
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    published = run_kafka(policies.history(settings))
    if not published:
        click.echo(NONE, err=True)
    for one in published:
        click.echo(_name(one))


def _tell_change(before: Published | None, new: Policy) -> None:
    """The difference to the policy in force, or to the shipped one."""
    try:
        old = Policy() if before is None else publishing.policy_of(before)
    except PolicyError as error:
        raise CommandError(f"the policy in force needs another release of touchstream: {error}") from None
    changes = differences(old, new)
    than = "the shipped policy (none was published yet)" if before is None else _name(before)
    differ = f"{rendering.counted(len(changes), 'value')} {'differs' if len(changes) == 1 else 'differ'}"
    click.echo(f"{differ} from {than}" + (":" if changes else ""))
    for change in changes:
        click.echo(rendering.clean(f"  {change}"))


def _name(one: Published) -> str:
    return rendering.clean(
        f"{one.version}@{one.fingerprint}, {one.name}, by {one.published_by} at {rfc3339(one.published_at)}"
    )


async def _ask(settings: Settings, published: Published) -> None:
    async with Client(settings=settings) as client:
        await policies.ask(client, published)


def _by_partition(settings: Settings) -> Sequence[Published | None]:
    """What the timelines of each partition are decided by, as the view in Redis has it; nothing when there is no view."""
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
            pipe = client.pipeline(transaction=False)
            for partition in range(settings.partitions):
                pipe.hmget(f"{view.prefix(settings)}{partition}", [view.WHOLE.decode(), publishing.KEY])
            answers = pipe.execute()
    except redis.RedisError as error:
        click.echo(f"  partitions are not shown: Redis is away ({type(error).__name__})", err=True)
        return []
    if not all(whole for whole, _ in answers):
        click.echo("  partitions are not shown: the view in Redis is not complete", err=True)
        return []
    return [None if value is None else publishing.decode(value) for _, value in answers]
