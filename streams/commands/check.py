"""`touchstream check`: may this customer be contacted? Asks the gateway."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click
import msgspec

from streams.commands.common import CommandError, load_settings
from streams.core.touch import CHANNELS, DEPARTMENTS
from streams.gateway.remote import Answer, GatewayError, Remote, asked_of
from streams.settings import Settings

_WHO = ("email", "phone", "linkedin_url", "crm_id")


@click.command()
@click.option("--email", help="Who: at least one of these.")
@click.option("--phone")
@click.option("--linkedin-url")
@click.option("--crm-id")
@click.option("--channel", type=click.Choice(CHANNELS), required=True)
@click.option("--department", type=click.Choice(DEPARTMENTS), required=True)
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
@click.option("--at", metavar="TIME", help="When, as 2026-03-02T09:00:00Z; default now.")
@click.option("--gateway", "gateway_url", metavar="URL", help="The gateway; default TOUCHSTREAM_GATEWAY_URL.")
@click.option("--json", "as_json", is_flag=True, help="The gateway's answer as JSON.")
@click.option("--exit-code", is_flag=True, help="End with 3 when the answer is no.")
def check(
    gateway_url: str | None,
    as_json: bool,
    exit_code: bool,
    account: str | None,
    attributes: tuple[str, ...],
    actor_id: str | None,
    **asked: Any,
) -> None:
    """Say whether a contact may be made now: every rule against it with its evidence, and when it may."""
    settings = load_settings(gateway_url=gateway_url)
    who = {name: asked.pop(name) for name in _WHO}
    known = {name: value for name, value in who.items() if value is not None}
    if not known:
        raise CommandError("say whom: --email, --phone, --linkedin-url or --crm-id")
    if wrong := [one for one in attributes if not one.partition("=")[1]]:
        raise CommandError(f"--attribute {wrong[0]}: write NAME=VALUE")
    standing = {"account": account, "attributes": dict(one.split("=", 1) for one in attributes)}
    asked["standing"] = {name: value for name, value in standing.items() if value} or None
    asked |= {"actor_id": actor_id, "actor_kind": "person"} if actor_id else {}
    try:
        answer = asyncio.run(_ask(settings, asked_of(known, **asked)))
    except GatewayError as error:
        raise CommandError(str(error)) from None
    click.echo(msgspec.json.encode(answer).decode() if as_json else told(answer))
    if exit_code and not answer.allowed:
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
    lines += [f"  {one.rule} ({one.action}): {one.text}" for one in answer.violations]
    if answer.degraded is not None:
        how = "so the answer is no" if answer.degraded.answered == "fail_closed" else "so only the rest was asked"
        lines.append(f"  not everything could be seen ({', '.join(answer.degraded.gaps)}), {how}")
    if answer.route_to:
        lines.append(f"  leave it to {answer.route_to}")
    if not answer.allowed or answer.violations:
        lines.append("  earliest: " + ", ".join(f"{name} {at or 'never'}" for name, at in answer.slots.items()))
    return "\n".join(lines)
