"""`touchstream identity split`: two identifiers do not belong to one person after all, or two records are two persons."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import click

from streams.commands import rendering
from streams.commands.asking import answered, request_options
from streams.commands.common import CommandError, kafka_options, load_settings, progress
from streams.commands.identifiers import NAMES, Known, look_up, name_of
from streams.commands.publishing import run_kafka
from streams.core.identity_facts import Fact, decode_cause, decode_request
from streams.core.identity_person import Event, IdentityLog
from streams.core.identity_split import Links, Pair
from streams.core.touch_json import rfc3339
from streams.edge.client import Client
from streams.settings import Settings

LONGEST = 512
"""Characters of a reason."""

_HINT = "give its id, such as `touchstream identity show` prints"


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
    """Cut the link between A and B, which a touch showed together by mistake: a wrong number, a colleague's address.

    A and B are identifiers as a source writes them, or ids. Their link stands for nothing from then on, also when a later touch shows both.
    What hangs on B leaves the customer, with its touches, or what hangs on A, whichever does not hold the customer's id; findings follow.
    It cannot be undone. Two customers whom a guard keeps apart, as an `identity_conflict` says, stay as they are: the conflict is
    decided, and its finding retracted. If no touch showed A and B together, the links between them are printed; if other links hold
    them together all the same, name those with --also.
    """
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    if len(reason) > LONGEST:
        raise CommandError(f"--reason: at most {LONGEST} characters are allowed, and it has {len(reason)}")
    first = look_up(a, None, settings, hint=_HINT)
    others = [look_up(one, None, settings, first, _HINT) for one in (b, *(one for pair in also for one in pair))]
    known = [first, *others]
    pairs = [(one.id, other.id) for one, other in zip(known[::2], known[1::2], strict=True)]
    plain = {id_: value for one in known for id_, value in one.plain.items()}
    plan = _planned(first.log, pairs)
    click.echo(rendering.clean(_preview(plan, plain)), err=True)
    if not yes:
        click.confirm("Split? It cannot be undone", abort=True, err=True)
    asked = run_kafka(_ask(settings, plan, by, reason.strip()))
    if not wait:
        click.echo(f"asked for as {', '.join(asked.values())}; `touchstream identity show` tells when it is done")
        return
    with progress("waiting for the workers"):
        done = _done(settings, a, asked, timeout)
    click.echo(rendering.clean(_result(done, plan, plain)))


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
        event = log.event(Fact(a, b).key) or log.event(Fact(b, a).key)
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
            raise CommandError(f"the link of {a} and {b} was cut already: {_why(before)}")
    if path is None:
        raise CommandError(f"{a} and {b} are two customers already: {log.customer(a)} and {log.customer(b)}")
    raise CommandError(
        f"no touch showed {a} and {b} together; links hold them together: {' - '.join(path)}. Cut the wrong one of these:"
        f" {_choices(path, 'touchstream identity split')}"
    )


def _choices(path: list[str], command: str) -> str:
    return ", or ".join(f"{command} {one} {other}" for one, other in pairwise(path))


def _why(event: Event) -> str:
    request, cause = decode_request(event.fact), decode_cause(event.fact)
    if request is not None:
        reason = f": {request.reason}" if request.reason else ""
        return f"{rfc3339(event.at)}, asked for by {request.requested_by}, request {request.command_id}{reason}"
    if cause is None:
        return f"{rfc3339(event.at)}, cause unknown"
    return f"{rfc3339(event.at)}, {': '.join(rendering.identity_cause(cause))} {cause.origin}".rstrip()


def _preview(plan: Plan, plain: dict[str, str]) -> str:
    if len(plan.customers) == 1:
        lines = [f"customer {plan.customers[0]}", "links to cut"]
    else:
        lines = [f"customers {' and '.join(plan.customers)}", "kept apart, which is decided for good"]
    lines += [f"  {event.fact.a} - {event.fact.b}: {_why(event)}" for event in plan.links]
    lines.append("afterwards")
    return "\n".join((*lines, *_people(plan.after, plain)))


def _people(people: list[list[str]], plain: dict[str, str]) -> list[str]:
    width = max(len(id_) for ids in people for id_ in ids)
    lines = []
    for ids in people:
        lines.append(f"  customer {ids[0]}")
        for id_ in ids:
            lines.append(f"    {id_.ljust(width)}  {NAMES[name_of(id_)].ljust(16)}  {plain.get(id_, '')}".rstrip())
    return lines


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


def _done(settings: Settings, identifier: str, asked: dict[str, str], timeout: float) -> Known:
    """The log once it has all that was asked for."""

    def look() -> Known | None:
        known = look_up(identifier, None, settings, hint=_HINT)
        return known if all(known.log.event(key) is not None for key in asked) else None

    done = answered(look, timeout)
    if done is not None:
        return done
    raise CommandError(
        f"no worker has done it within {timeout:g} s; the request is stored and will be done. Are workers and Redis running? If it was"
        " refused, `touchstream dead-letter list` says why"
    )


def _result(known: Known, plan: Plan, plain: dict[str, str]) -> str:
    """Who is who now."""
    people = {}
    for event in plan.links:
        for id_ in (event.fact.a, event.fact.b):
            person = known.log.person(id_)
            people[person.customer_id] = list(person.ids)
    return "\n".join(("split", *_people([people[name] for name in sorted(people)], plain)))
