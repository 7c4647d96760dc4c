"""`touchstream handoff`: the leads that sales has, and what sales says of them."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from streams.commands import leads, rendering
from streams.commands.asking import answered, by_option
from streams.commands.backtest import moment_of
from streams.commands.common import CommandError, kafka_options, load_settings, policy_option, progress
from streams.commands.policy_in_force import policy_in_force
from streams.commands.publishing import run_kafka
from streams.core.leads.events import LeadEvent
from streams.core.leads.problems import PROBLEMS
from streams.core.leads.states import STATES, WITH_SALES
from streams.core.ledger.types import LeadReason
from streams.core.policy import DAY_MS, Policy
from streams.edge.client import Client, HandoffAnswer

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def handoff() -> None:
    """Show the leads that marketing has handed to sales, and answer them.

    Accepting stops no clock: only a call, a mail or a meeting by a person of sales does. LEAD is a lead's id as `list` prints it, or its
    customer: an identifier as a source writes it, or a customer id.
    """


@handoff.command("list")
@click.option("--owner", help="Only those of this rep.")
@click.option("--team", help="Only those of this team.")
@click.option(
    "--state", type=click.Choice(STATES), multiple=True, help="Only those in these states; default: with sales."
)
@click.option(
    "--problem",
    type=click.Choice(PROBLEMS),
    help="Only those that nobody owns or has taken up, past their due time, or reached by a campaign in the last 7 days.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines, with all that sales is told of each.")
@policy_option
@kafka_options
def list_(
    owner: str | None, team: str | None, state: tuple[str, ...], problem: str | None, as_json: bool, policy_path: str | None,
    bootstrap: str | None, topic_prefix: str | None,
) -> None:  # fmt: skip
    """Print leads: whose they are, until when somebody must get in touch, and what the customer was told last. Due ones come first."""
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    policy = policy_in_force(policy_path, settings)
    now = time.time_ns() // 1_000_000
    states = frozenset(state) or WITH_SALES
    with progress("reading leads and timelines"):
        found = run_kafka(leads.current(settings))
        wanted = [
            lead for lead in found.values()
            if lead.event.state in states and (owner is None or lead.event.owner == owner) and (team is None or lead.event.team == team)
        ]  # fmt: skip
        briefs = run_kafka(leads.briefs(settings, wanted, policy, now))
        # Of somebody who was erased, or goes by another id since, the topic has what was told before; it is nobody's lead now.
        wanted = [lead for lead in wanted if lead.event.customer in briefs]
        if problem is not None:
            wanted = [lead for lead in wanted if problem in lead.problems(now, briefs.get(lead.event.customer))]
    for lead in sorted(wanted, key=lambda lead: (lead.due_at is None, lead.due_at or 0, lead.event.customer)):
        told = briefs.get(lead.event.customer)
        if as_json:
            click.echo(json.dumps(leads.as_dict(lead, told, now), ensure_ascii=False))
        else:
            click.echo(rendering.clean(leads.text(lead, told, now)))
    click.echo(rendering.counted(len(wanted), "lead"), err=True)


def _answer_options(
    *, reason: bool = False, again: bool = False, deal: bool = False, takes: bool = False
) -> Callable[[F], F]:
    """Options of an answer: with a reason; with what happens to the lead next; with a deal; of who takes the lead, and must be named: the
    user who runs the command is not always a rep."""

    def added(command: F) -> F:
        options: list[Any] = [
            kafka_options,
            click.option(
                "--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait; 0: not at all."
            ),
            click.option("--by", required=True, help="The rep, as the policy's teams name them.")
            if takes
            else by_option("Who of sales says so."),
        ]  # fmt: skip
        if again:
            options += [
                click.option(
                    "--nurture-with", metavar="TEXT", help="What marketing should nurture with, in a sentence."
                ),
                click.option(
                    "--again", metavar="DATE", help="Day or RFC 3339 time to look at it again; default by policy."
                ),
            ]
        if reason:
            options.append(
                click.option("--reason", type=click.Choice(get_args(LeadReason)), required=True, help="Why.")
            )
        if deal:
            options.append(click.option("--deal", metavar="ID", help="The deal's id in the CRM."))
        options.append(click.argument("lead", metavar="LEAD"))
        for option in options:
            command = option(command)
        return command

    return added


@handoff.command()
@_answer_options(takes=True)
def accept(**options: Any) -> None:
    """Say that you take the lead."""
    _answer("accept", **options)


@handoff.command()
@_answer_options(reason=True, again=True)
def reject(**options: Any) -> None:
    """Turn the lead down; whether it goes back to marketing, to another rep, or ends, the policy says by the reason."""
    _answer("reject", **options)


@handoff.command()
@_answer_options(reason=True, again=True)
def recycle(**options: Any) -> None:
    """Give a lead that you have worked on back to marketing."""
    _answer("recycle", **options)


@handoff.command()
@_answer_options(reason=True)
def disqualify(**options: Any) -> None:
    """Say that nobody need work on the lead any more."""
    _answer("disqualify", **options)


@handoff.command()
@_answer_options()
def qualify(**options: Any) -> None:
    """Say that the lead is worth a deal; a meeting with a person of sales says so, too."""
    _answer("qualify", **options)


@handoff.command()
@_answer_options(deal=True)
def won(**options: Any) -> None:
    """Say that the customer has bought: marketing may write again. `touchstream ledger` says so by itself of deals in the topic `deals`."""
    _answer("won", **options)


@handoff.command()
@_answer_options(deal=True)
def lost(**options: Any) -> None:
    """Say that nothing came of it: marketing may write again."""
    _answer("lost", **options)


def _answer(
    answer: HandoffAnswer, lead: str, by: str, wait: float, bootstrap: str | None, topic_prefix: str | None,
    reason: LeadReason | None = None, again: str | None = None, nurture_with: str | None = None, deal: str | None = None,
) -> None:  # fmt: skip
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    since = time.time_ns() // 1_000_000
    recycle_at = None if again is None else _moment(again, since)
    event = leads.find(settings, lead).event
    unknown = _unknown(by, policy_in_force(None, settings)) if answer == "accept" else None
    if unknown is not None:
        click.echo(rendering.clean(unknown), err=True)

    async def publish() -> str:
        async with Client(settings=settings) as client:
            return await client.answer_handoff(
                answer, event.customer, by=by, lead_id=event.lead_id, reason=reason, recycle_at=recycle_at,
                nurture_with=nurture_with, deal_id=deal,
            )  # fmt: skip

    try:
        command_id = run_kafka(publish())
    except ValueError as error:
        raise CommandError(str(error)) from None
    if not wait:
        click.echo("asked for; the workers will publish what comes of it to the topic `leads`")
        return

    def look() -> tuple[LeadEvent | str] | None:
        found = run_kafka(leads.outcome(settings, command_id, since))
        return None if found is None else (found,)

    told = answered(look, wait)
    if told is None:
        raise CommandError(
            f"no worker answered within {wait:g} s; the command is stored and will be done. Are workers running?"
        )
    (said,) = told
    if isinstance(said, str):
        raise CommandError(said)
    click.echo(rendering.clean(leads.sentence(said)))


def _unknown(by: str, policy: Policy) -> str | None:
    """That no rep has this name, as far as the policy knows any: a calendar, capacity and SLA of theirs are then nobody's."""
    reps = sorted({rep.id for team in policy.teams for rep in team.reps} | set(policy.leads.owners.values()))
    if not reps or by in reps:
        return None
    near = difflib.get_close_matches(by, reps, 1)
    whom = (
        f"did you mean {near[0]!r}?"
        if near
        else f"it has {', '.join(reps[:10])}{' and others' if len(reps) > 10 else ''}"
    )
    return f"warning: the policy in force has no rep {by!r} ({whom}): no calendar, capacity or SLA is theirs"


def _moment(text: str, now: int) -> int:
    """UTC ms of a day's beginning (UTC) or of an RFC 3339 time. Raises CommandError, also of what is past; today is not."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        if ":" not in text:
            raise CommandError(
                f"--again: {text!r} is no day such as 2027-03-01, nor a time such as 2027-03-01T09:00:00Z"
            ) from None
        at = earliest = moment_of(text, "--again")
    else:
        at = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp() * 1000)
        earliest = at + DAY_MS
    if earliest <= now:
        raise CommandError(
            f"--again: {text} is past; give the day or time at which marketing should look at the lead again"
        )
    return at
