"""`touchstream identity split`: two identifiers do not belong to one person after all, or two records are two persons."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import click

from streams.commands import rendering
from streams.commands.asking import request_options
from streams.commands.common import CommandError, kafka_options, load_settings, progress
from streams.commands.identifiers import Known, look_up
from streams.commands.identity_asking import HINT, checked, done, people, why
from streams.commands.publishing import run_kafka
from streams.core.identity_facts import Fact
from streams.core.identity_person import Event, IdentityLog
from streams.core.identity_split import Links, Pair
from streams.edge.client import Client
from streams.settings import Settings


@dataclass(frozen=True)
class Plan:
    """Links to cut, the first one first, and what hangs together afterwards. `customers` are whom they go by now: one, or two if what is
    decided is a conflict."""

    customers: list[str]
    links: list[Event]
    after: list[list[str]]


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--also", nargs=2, multiple=True, metavar="C D", help="Another link to cut with it; may be repeated.")
@click.option("--reason", default="", metavar="TEXT", help="Why; stands in the log and in the findings that change.")
@request_options("the log")
@kafka_options
def split(
    a: str,
    b: str,
    also: tuple[tuple[str, str], ...],
    reason: str,
    by: str,
    yes: bool,
    wait: bool,
    timeout: float,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Cut the link between A and B, which a touch showed together by mistake: a wrong number, a colleague's address; or a merge of them.

    A and B are identifiers as a source writes them, or ids. Their link stands for nothing from then on, also when a later touch shows both.
    What hangs on B leaves the customer, with its touches, or what hangs on A, whichever does not hold the customer's id; findings follow.
    It holds until `touchstream identity merge A B`. Two customers whom a guard keeps apart, as an `identity_conflict` says, stay as they
    are: the conflict is decided, and its finding retracted. If no touch showed A and B together, the links between them are printed; if
    other links hold them together all the same, name those with --also.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    reason = checked(reason)
    first = look_up(a, None, settings, hint=HINT)
    others = [look_up(one, None, settings, first, HINT) for one in (b, *(one for pair in also for one in pair))]
    known = [first, *others]
    pairs = [(one.id, other.id) for one, other in zip(known[::2], known[1::2], strict=True)]
    plain = {id_: value for one in known for id_, value in one.plain.items()}
    plan = _planned(first.log, pairs)
    click.echo(rendering.clean(_preview(plan, plain)), err=True)
    if not yes:
        click.confirm("Split?", abort=True, err=True)
    asked = run_kafka(_ask(settings, plan, by, reason))
    if not wait:
        click.echo(f"asked for as {', '.join(asked.values())}; `touchstream identity show` tells when it is done")
        return
    with progress("waiting for the workers"):
        known_now = done(settings, a, asked, timeout)
    click.echo(rendering.clean(_result(known_now, plan, plain)))


def _planned(log: IdentityLog, pairs: list[Pair]) -> Plan:
    """What to cut.

    Raises:
        CommandError: that would not take the first two apart; the text says what would.
    """
    (a, b), links = pairs[0], log.links()
    customers = sorted({log.customer(a), log.customer(b)})
    cut = [event for one, other in pairs for event in _cut(log, links, one, other)]
    path = links.path(a, b)
    if path is not None:
        raise CommandError(
            f"{a} and {b} would still be one person by other links: {' - '.join(path)}. Name one of these, too: {_choices(path, '--also')}"
        )
    after: dict[str, list[str]] = {}
    for id_ in (one for pair in pairs for one in pair):
        ids = links.person(id_)
        after[ids[0]] = ids
    return Plan(customers, cut, [after[name] for name in sorted(after)])


def _cut(log: IdentityLog, links: Links, a: str, b: str) -> list[Event]:
    """The link of two ids, which is taken out of `links`; or the conflicts that keep them apart."""
    if a == b:
        raise CommandError(f"both are {a}: name two identifiers that a touch showed together")
    path = links.path(a, b)
    if links.cut(a, b):
        event = log.event(Fact(min(a, b), max(a, b), "joined").key)
        event = event or log.event(Fact(a, b).key) or log.event(Fact(b, a).key)
        if event is None:  # the log has the pair only as seen while the index was away
            event = log.event(Fact(a, b, "seen").key) or log.event(Fact(b, a, "seen").key)
        if event is None:
            raise CommandError(f"the log does not say why {a} and {b} are linked; try again")
        return [event]
    conflicts = log.conflicts(a, b)
    if conflicts:
        return conflicts
    for one, other in ((a, b), (b, a)):
        before = log.event(Fact(one, other, "cut").key)
        if before is not None:
            raise CommandError(f"the link of {a} and {b} was cut already: {why(before)}")
    if path is None:
        raise CommandError(f"{a} and {b} are two customers already: {log.customer(a)} and {log.customer(b)}")
    raise CommandError(
        f"no touch showed {a} and {b} together; links hold them together: {' - '.join(path)}. Cut the wrong one of these:"
        f" {_choices(path, 'touchstream identity split')}"
    )


def _choices(path: list[str], command: str) -> str:
    return ", or ".join(f"{command} {one} {other}" for one, other in pairwise(path))


def _preview(plan: Plan, plain: dict[str, str]) -> str:
    if len(plan.customers) == 1:
        lines = [f"customer {plan.customers[0]}", "links to cut"]
    else:
        lines = [f"customers {' and '.join(plan.customers)}", "kept apart, which is decided"]
    lines += [f"  {event.fact.a} - {event.fact.b}: {why(event)}" for event in plan.links]
    lines.append("afterwards")
    return "\n".join((*lines, *people(plan.after, plain)))


async def _ask(settings: Settings, plan: Plan, by: str, reason: str) -> dict[str, str]:
    """Request ids by the key of the fact that each leads to. One customer, so one partition: they are done in this order."""
    asked = {}
    async with Client(settings=settings) as client:
        for event in plan.links:
            pair = (event.fact.a, event.fact.b)
            asked[Fact(*pair, "cut").key] = await client.request(
                "identity_split", plan.customers[0], by=by, identifiers=pair, because=reason
            )
    return asked


def _result(known: Known, plan: Plan, plain: dict[str, str]) -> str:
    """Who is who now."""
    found = {}
    for event in plan.links:
        for id_ in (event.fact.a, event.fact.b):
            person = known.log.person(id_)
            found[person.customer_id] = list(person.ids)
    return "\n".join(("split", *people([found[name] for name in sorted(found)], plain)))
