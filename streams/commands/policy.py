"""`touchstream policy schema` and `policy reasons`: the policy's language, for editors and for people who read findings."""

from __future__ import annotations

import json

import click

from streams.core.govern.reasons import MEANING
from streams.core.govern.schema import policy_schema


def schema_text() -> str:
    """The text of `schemas/policy.schema.json`."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


@click.group()
def policy() -> None:
    """What a policy file may say."""


@policy.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors. The first line `#:schema <path>` of a policy points Taplo to it."""
    click.echo(schema_text(), nl=False)


@policy.command()
def reasons() -> None:
    """List the reasons of conflicts and of refused checks."""
    for reason, meaning in MEANING.items():
        click.echo(f"{reason:22} {meaning}")
