"""`touchstream topics create|check|list`: the topics of an installation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

import schemas
from streams.commands.common import CommandError, kafka_options, load_settings
from streams.edge import schema_check, topic_admin
from streams.edge.topics import DAY_MS, TopicSpec, catalogue
from streams.settings import SettingsError

T = TypeVar("T")


def ask_kafka(question: Coroutine[Any, Any, T]) -> T:
    """Runs one call of `topic_admin`; what it raises becomes a CommandError."""
    client_log = logging.getLogger("aiokafka")
    before = client_log.level
    client_log.setLevel(logging.CRITICAL)  # its warnings about each attempt would hide the one error that says it all
    try:
        return asyncio.run(question)
    except (topic_admin.TopicAdminError, SettingsError) as error:
        raise CommandError(str(error)) from None
    finally:
        client_log.setLevel(before)


@click.group()
def topics() -> None:
    """Create, check and list the topics."""


@topics.command()
@kafka_options
@click.option(
    "--partitions", type=int, metavar="N", help="Partitions of each topic; default TOUCHSTREAM_PARTITIONS or 4."
)
@click.option(
    "--replication", type=int, metavar="N", help="Copies of each topic; default TOUCHSTREAM_REPLICATION or 1."
)
def create(**options: Any) -> None:
    """Create the topics that are missing. Existing ones are left as they are."""
    settings = load_settings(**options)
    created = ask_kafka(topic_admin.create_missing(settings))
    for name in created:
        click.echo(f"created {name}")
    click.echo(f"{len(created)} topics created, {len(catalogue(settings)) - len(created)} were there.")


@topics.command()
@kafka_options
@click.option("--partitions", type=int, metavar="N", help="Wanted partitions; default TOUCHSTREAM_PARTITIONS or 4.")
@click.option("--replication", type=int, metavar="N", help="Wanted copies; default TOUCHSTREAM_REPLICATION or 1.")
def check(**options: Any) -> None:
    """Compare the topics with what they should be, and prove that all versions of our schemas can read each other.

    Exit 1 and all differences when there are any.
    """
    settings = load_settings(**options)
    problems = [*ask_kafka(topic_admin.check(settings)), *schema_check.problems(schemas.SUBJECTS)]
    if problems:
        raise CommandError(
            "\n  ".join((f"{len(problems)} problems with the topics at {settings.bootstrap}:", *problems))
        )
    click.echo(
        f"{len(catalogue(settings))} topics at {settings.bootstrap} and {len(schemas.SUBJECTS)} schemas are as they should be."
    )


@topics.command("list")
@kafka_options
def list_(**options: Any) -> None:
    """Print the catalogue: every topic with key, schema, retention, who writes and reads it, and its meaning."""
    settings = load_settings(**options)
    head = ("topic", "key", "schema", "partitions", "retention", "written by", "read by", "meaning")
    rows = [
        (
            spec.name, spec.key, spec.schema or "-", str(settings.partitions), retention(spec),
            spec.written_by, spec.read_by, spec.meaning,
        )
        for spec in catalogue(settings)
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def retention(spec: TopicSpec) -> str:
    """`30 days`, or `latest per key` for a compacted topic."""
    if spec.config.get("cleanup.policy") == "compact":
        return "latest per key"
    return f"{int(spec.config['retention.ms']) / DAY_MS:g} days"
