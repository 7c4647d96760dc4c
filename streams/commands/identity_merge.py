"""`touchstream identity merge`: two who are kept apart, or whom nothing links, are one person, as somebody knows."""

from __future__ import annotations

from dataclasses import dataclass

import click

from streams.commands import rendering
from streams.commands.asking import request_options
from streams.commands.common import CommandError, kafka_options, load_settings, progress
from streams.commands.identifiers import Known, look_up, name_of
from streams.commands.identity_asking import HINT, checked, done, people, why
from streams.commands.publishing import run_kafka
from streams.core.identify import is_role_address
from streams.core.identity_facts import Fact
from streams.core.identity_person import Event
from streams.edge.client import Client
from streams.settings import Settings


@dataclass(frozen=True)
class Plan:
    """Whom to join, by an id of each, and the customers that they go by now. `conflicts` keep them apart so far."""

    a: Known
    b: Known
    conflicts: list[Event]

    @property
    def customers(self) -> list[str]:
        return sorted((self.a.person.customer_id, self.b.person.customer_id))

    @property
    def key(self) -> str:
        """That of the fact that it leads to."""
        return Fact(min(self.a.id, self.b.id), max(self.a.id, self.b.id), "joined").key

    @property
    def plain(self) -> dict[str, str]:
        return self.a.plain | self.b.plain


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--reason", default="", metavar="TEXT", help="Why; stands in the log and in the findings that change.")
@request_options("the log")
@kafka_options
def merge(
    a: str,
    b: str,
    reason: str,
    by: str,
    yes: bool,
    wait: bool,
    timeout: float,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Make one person of those who have A and B, whatever keeps them apart: two CRM records, or that no touch showed both.

    A and B are identifiers as a source writes them, or ids. All touches come together under the smaller of the two customer ids; findings
    follow, and an `identity_conflict` of the two ends. It holds until `touchstream identity split A B`, of which the same is true: of what
    was decided of two the last holds. An identifier that many people have says nothing about who is who: name another one.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    reason = checked(reason)
    plan = _planned(a, b, settings)
    click.echo(rendering.clean(_preview(plan)), err=True)
    if not yes:
        click.confirm("Merge?", abort=True, err=True)
    asked = run_kafka(_ask(settings, plan, by, reason))
    if not wait:
        click.echo(f"asked for as {asked}; `touchstream identity show` tells when it is done")
        return
    with progress("waiting for the workers"):
        known = done(settings, a, {plan.key: asked}, timeout)
    person = known.log.person(plan.a.id)
    click.echo(rendering.clean("\n".join(("merged", *people([list(person.ids)], plan.plain)))))


def _planned(a: str, b: str, settings: Settings) -> Plan:
    """Whom to join.

    Raises:
        CommandError: that cannot be, or it is so already; the text says why.
    """
    one = look_up(a, None, settings, hint=HINT)
    other = look_up(b, None, settings, one, HINT)
    if one.id == other.id:
        raise CommandError(f"both are {one.id}: name an identifier of each of the two who are one person")
    for said, known in ((a, one), (b, other)):
        if name_of(known.id) == "email" and is_role_address(
            known.plain.get(known.id, ""), frozenset(known.identity.role_addresses)
        ):
            raise CommandError(
                f"{said!r} is the address of an office, not of one person: name another id of the person who is meant"
            )
        if known.id in known.person.shared:
            raise CommandError(
                f"many people have {said!r} ({known.id}), so it says nothing about who is who: name another id of the person who is meant"
            )
        if known.log.is_erased(known.id):
            raise CommandError(
                f"{said!r} ({known.id}) is of a person who was erased, and no touch has shown it since: there is nothing to merge"
            )
    path = one.log.links().path(one.id, other.id)
    if path is not None:
        raise CommandError(
            f"{one.id} and {other.id} are one person already, customer {one.person.customer_id}: {' - '.join(path)}"
        )
    return Plan(one, other, one.log.conflicts(one.id, other.id))


def _preview(plan: Plan) -> str:
    lines = ["now", *people([list(known.person.ids) for known in (plan.a, plan.b)], plan.plain)]
    if plan.conflicts:
        lines.append("kept apart, which ends")
        lines += [f"  {event.fact.a} - {event.fact.b}: {why(event)}" for event in plan.conflicts]
    lines.append(
        f"afterwards all of them are customer {plan.customers[0]}, until `touchstream identity split {plan.a.id} {plan.b.id}`"
    )
    return "\n".join(lines)


async def _ask(settings: Settings, plan: Plan, by: str, reason: str) -> str:
    """The request's id."""
    async with Client(settings=settings) as client:
        return await client.request(
            "identity_merge", plan.customers[0], by=by, identifiers=(plan.a.id, plan.b.id), because=reason
        )
