"""The policy of commands that read what workers published: the newest publication, as theirs is; a file only until there is one."""

from __future__ import annotations

import click

from streams.commands.common import CommandError, load_policy
from streams.commands.publishing import run_kafka
from streams.commands.rendering import clean
from streams.core.policy import Policy, PolicyError
from streams.core.published import Published, policy_of
from streams.edge import policies
from streams.settings import Settings


def policy_in_force(path: str | None, settings: Settings) -> Policy:
    """The newest published policy; `load_policy`'s when none was published. A file that was asked for and says nothing is told of.

    Raises:
        CommandError: Kafka cannot be read, or the policy cannot.
    """
    policy, published = run_kafka(in_force(settings, load_policy(path, settings)))
    if path and published is not None:
        name = f"{published.version}@{published.fingerprint} of {published.published_by}"
        click.echo(clean(f"{path} says nothing: policy {name} was published and is in force"), err=True)
    return policy


async def in_force(settings: Settings, own: Policy) -> tuple[Policy, Published | None]:
    """The newest published policy with its publication; `own` and None when none was published.

    Raises:
        ReadError: Kafka cannot be read.
        CommandError: this release cannot read the policy.
    """
    published = await policies.newest(settings)
    if published is None:
        return own, None
    try:
        return policy_of(published), published
    except PolicyError as error:
        raise CommandError(f"the policy in force needs another release of touchstream: {error}") from None
