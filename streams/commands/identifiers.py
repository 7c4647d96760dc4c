"""Whom an ID on the command line means: a customer id, or an identifier as a source writes it. Read from the identity log in Kafka."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from streams.commands import rendering
from streams.commands.common import CommandError, load_policy
from streams.commands.policy_in_force import in_force
from streams.commands.publishing import run_kafka
from streams.core.identify import RANKS, WORDS, identifiers, kind_of, node
from streams.core.identity_facts import decode
from streams.core.identity_person import IdentityLog, Person
from streams.core.policy import IdentityPolicy
from streams.core.touch import Customer
from streams.edge.reader import read
from streams.edge.topics import IDENTITIES
from streams.settings import PREFIX, Settings

F = TypeVar("F")

CUSTOMER_ID = "customer_id"
KINDS = (CUSTOMER_ID, *(name for name, _ in RANKS))
NAMES = WORDS | {CUSTOMER_ID: "customer id"}
"""The kinds of ids as people call them."""

_NODE = re.compile(r"c[1-9]-\S+")


@dataclass(frozen=True)
class Known:
    """A person whom an ID means. `id` is the ID as a pseudonymous id, `plain` has the normal form of what was given by its id, `identity`
    is how the policy in force has identifiers told."""

    id: str
    person: Person
    plain: dict[str, str]
    log: IdentityLog
    identity: IdentityPolicy


def kind_option(command: F) -> F:
    """Adds `--kind`."""
    option: Any = click.option("--kind", type=click.Choice(KINDS), help="What ID is, if it is ambiguous.")
    chosen: F = option(command)
    return chosen


def name_of(node_id: str) -> str:
    """What kind of id it is."""
    return kind_of(node_id) or CUSTOMER_ID


def forms(identity: IdentityPolicy) -> tuple[bool, ...]:
    """The ways in which the installation may have told mail addresses, that of the policy in force first: with `same_mailbox`, or, before
    that was asked for, as they are written."""
    return (True, False) if identity.same_mailbox else (False,)


def meanings(
    raw: str, kind: str | None, settings: Settings, same_mailbox: bool = False
) -> dict[str, tuple[str, str | None]]:
    """What the text may stand for: node id -> (kind, normal form; None when it is an id already)."""
    found: dict[str, tuple[str, str | None]] = {}
    one: dict[str, Any]
    if kind in (None, CUSTOMER_ID) and _NODE.fullmatch(raw.strip()):
        found[raw.strip()] = (CUSTOMER_ID, None)
    for name, _ in RANKS:
        if kind in (None, name):
            one = {name: raw}
            for digit, value in identifiers(Customer(**one), settings.default_region, same_mailbox=same_mailbox):
                found[node(digit, value, settings.id_key)] = (name, value)
    return found


def look_up(
    identifier: str,
    kind: str | None,
    settings: Settings,
    beside: Known | None = None,
    hint: str = "say which with --kind",
) -> Known:
    """The person who has this ID, by the log as it was read for the one `beside`, if there is one; `hint` is for one that is ambiguous.

    Raises:
        CommandError: it is none, nobody has it, or several have; or Kafka cannot be read.
    """
    may_mean = meanings(identifier, kind, settings)
    if not may_mean:
        raise CommandError(f"{identifier!r} is no usable {NAMES[kind] if kind else 'identifier'}")
    log, identity = (beside.log, beside.identity) if beside else run_kafka(_log(settings))
    found: list[str] = []
    for same_mailbox in forms(identity):
        may_mean = meanings(identifier, kind, settings, same_mailbox)
        if found := log.known(may_mean):
            break
    else:
        tried = ", ".join(dict.fromkeys(NAMES[name] for name, _ in may_mean.values()))
        raise CommandError(
            f"the identity log at {settings.bootstrap} knows nobody by {identifier!r} (tried as {tried}); are --topic-prefix,"
            f" {PREFIX}ID_KEY and {PREFIX}DEFAULT_REGION those of the workers?"
        )
    if len({log.customer(node_id) for node_id in found}) > 1:
        named = ", ".join(f"{may_mean[node_id][0]} of {log.customer(node_id)}" for node_id in found)
        raise CommandError(f"{identifier!r} is ambiguous: {named}; {hint}")
    plain = {node_id: value for node_id in found if (value := may_mean[node_id][1])}
    return Known(found[0], log.person(found[0]), plain, log, identity)


async def _log(settings: Settings) -> tuple[IdentityLog, IdentityPolicy]:
    """As the workers read it: by the policy in force."""
    policy, _ = await in_force(settings, load_policy(None, settings))
    return await read_log(settings, policy.identity.shared_after), policy.identity


async def read_log(settings: Settings, limit: int) -> IdentityLog:
    """The identity log as it stands; `limit` is `identity.shared_after`. Raises `streams.edge.reader.ReadError`."""
    log = IdentityLog(limit)
    async for stored in read(settings, [settings.topic(IDENTITIES)], start="beginning", follow=False):
        try:
            if stored.value is None:
                log.remove((stored.key or b"").decode())
            else:
                log.put(decode(stored.key or b"", stored.value), stored.timestamp)
        except ValueError as error:  # the workers skip it, too
            click.echo(rendering.clean(f"skipped {stored.address}: {error}"), err=True)
    return log
