"""`touchstream check`: may this customer be contacted? Asks the gateway."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, BinaryIO

import click
import msgspec

from streams.commands.backtest import moment_of
from streams.commands.check_file import ask_all, questions
from streams.commands.common import CommandError, load_settings
from streams.commands.rendering import clean
from streams.core.touch import CHANNELS, DEPARTMENTS
from streams.gateway.remote import Answer, GatewayError, Proof, Remote, Said, asked_of
from streams.settings import Settings

_WHO = ("email", "phone", "linkedin_url", "crm_id")


@click.command()
@click.option("--email", help="Who: at least one of these.")
@click.option("--phone")
@click.option("--linkedin-url")
@click.option("--crm-id")
@click.option(
    "--file",
    type=click.File("rb"),
    metavar="FILE",
    help="Many: JSON lines (- is stdin), or a .csv with a head line. A line has the fields of POST /v1/checks, and email, account,"
    " owner, time_zone, country, attributes.NAME; options stand in for what it leaves open. actor_id is a rep's, unless actor_kind says"
    " otherwise.",
)
@click.option("--channel", type=click.Choice(CHANNELS))
@click.option("--department", type=click.Choice(DEPARTMENTS))
@click.option("--campaign")
@click.option("--category")
@click.option("--sequence")
@click.option("--actor-id", metavar="ID", help="The rep who would contact, where a person does.")
@click.option("--priority", type=click.IntRange(0, 100), help="For rules that exempt what is important.")
@click.option(
    "--account", help="The customer's company, as touches give its id or domain: for rules about the whole company."
)
@click.option(
    "--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="For segments, such as plan=enterprise."
)
@click.option("--touch-id", metavar="ID", help="The touch's id, so that its own plan or reservation is not in its way.")
@click.option("--at", metavar="TIME", help="When, as 2026-03-02T09:00:00Z; default, and what is past counts as: now.")
@click.option("--gateway", "gateway_url", metavar="URL", help="The gateway; default TOUCHSTREAM_GATEWAY_URL.")
@click.option("--json", "as_json", is_flag=True, help="The gateway's answer as JSON.")
@click.option("--exit-code", is_flag=True, help="End with 3 when the answer is no.")
def check(
    file: BinaryIO | None,
    gateway_url: str | None,
    as_json: bool,
    exit_code: bool,
    account: str | None,
    attributes: tuple[str, ...],
    actor_id: str | None,
    **asked: Any,
) -> None:
    """Say whether a contact may be made now: every rule against it with its evidence, and when it may.

    With --file of all customers of a campaign: a line for each who may not be contacted (with --json for each), and a summary at the end.
    What cannot be asked about is named by its line on standard error, and the exit code is 1.

    \b
    touchstream check --file customers.csv --channel email --department marketing
    """
    settings = load_settings(gateway_url=gateway_url)
    who = {name: asked.pop(name) for name in _WHO}
    known = {name: value for name, value in who.items() if value is not None}
    if file is None:
        for name in ("channel", "department"):
            if asked[name] is None:
                raise click.UsageError(f"Missing option '--{name}'.")
    elif known:
        raise click.UsageError(f"--file says whom: leave out --{next(iter(known)).replace('_', '-')}")
    if not known and file is None:
        raise CommandError("say whom: --email, --phone, --linkedin-url or --crm-id")
    if wrong := [one for one in attributes if not one.partition("=")[1]]:
        raise CommandError(f"--attribute {wrong[0]}: write NAME=VALUE")
    if asked["at"] is not None:
        moment_of(asked["at"], "--at")
    standing = {"account": account, "attributes": dict(one.split("=", 1) for one in attributes)}
    asked["standing"] = {name: value for name, value in standing.items() if value} or None
    asked |= {"actor_id": actor_id, "actor_kind": "person"} if actor_id else {}
    if file is not None:
        _all(settings, file, {name: value for name, value in asked.items() if value is not None}, as_json, exit_code)
        return
    try:
        answer = asyncio.run(_ask(settings, asked_of(known, **asked)))
    except GatewayError as error:
        raise CommandError(str(error)) from None
    click.echo(msgspec.json.encode(answer).decode() if as_json else told(answer))
    if exit_code and not answer.allowed:
        sys.exit(3)


def _all(settings: Settings, file: BinaryIO, common: dict[str, Any], as_json: bool, exit_code: bool) -> None:
    broken: list[str] = []
    outcome = asyncio.run(ask_all(settings, questions(file, common, broken), broken, as_json))
    click.echo(outcome.text(), err=as_json)
    if outcome.mistakes.count:
        sys.exit(1)
    if exit_code and outcome.refused:
        sys.exit(3)


async def _ask(settings: Settings, asked: dict[str, Any]) -> Answer:
    remote = Remote(settings)
    try:
        return await remote.check(asked)
    finally:
        await remote.close()


def told(answer: Answer) -> str:
    """The answer for people."""
    lines = [
        f"{'yes' if answer.allowed else 'NO'}, at {answer.at} ({answer.customer_id}, policy {answer.policy.version})"
    ]
    for one in answer.violations:
        lines.append(f"  {one.rule} ({one.action}): {one.text}")
        lines += [f"    {_record(proof, proof.said)}" for proof in one.evidence if proof.said]
    if answer.degraded is not None:
        how = "so the answer is no" if answer.degraded.answered == "fail_closed" else "so only the rest was asked"
        lines.append(f"  not everything could be seen ({', '.join(answer.degraded.gaps)}), {how}")
    if answer.route_to:
        lines.append(f"  leave it to {answer.route_to}")
    if not answer.allowed or answer.violations:
        lines.append("  earliest: " + ", ".join(f"{name} {at or 'never'}" for name, at in answer.slots.items()))
    return clean("\n".join(lines))


def _record(proof: Proof, said: Said) -> str:
    """ "withdrawn at 2026-03-12T10:00:00Z: email, for offer, preference centre, recorded by p.ito, record cmp-88123"."""
    parts = (
        proof.channel or "all channels", f"for {said.purpose}" if said.purpose else "", said.source, said.form,
        said.recorded_by and f"recorded by {said.recorded_by}", proof.id and f"record {proof.id}",
    )  # fmt: skip
    return f"{said.status} at {proof.at}: {', '.join(filter(None, parts))}"
