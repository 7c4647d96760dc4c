"""`touchstream settings`, `metrics`, `check-policy`: the catalogues and the policy check, for people and for files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import click
import msgspec

from streams.commands.common import load_policy
from streams.core.policy import fingerprint
from streams.edge.ledger_catalogue import CATALOGUE as OF_LEDGER
from streams.edge.metrics import CATALOGUE
from streams.settings import PREFIX, Settings

_ENV_HEAD = """\
# Every setting of touchstream with its default. Made by `touchstream settings --format env`; do not edit by hand.
# Put _FILE behind a name to read the value from a file (for secrets): TOUCHSTREAM_ID_KEY_FILE=/run/secrets/id_key
"""


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting: its environment variable, its default as text, what is allowed (empty: any text), its meaning."""

    variable: str
    default: str
    allowed: str
    meaning: str


def setting_specs() -> list[SettingSpec]:
    """Every field of `Settings`, in the order of the class."""
    schema: dict[str, Any] = msgspec.json.schema(Settings)
    properties: dict[str, Any] = schema["$defs"]["Settings"]["properties"]
    return [
        SettingSpec(PREFIX + name.upper(), str(prop["default"]), _allowed(prop), prop["description"])
        for name, prop in properties.items()
    ]


def env_file() -> str:
    """The text of `deploy/reference.env`: a comment with the meaning, then the variable with its default."""
    blocks = []
    for spec in setting_specs():
        allowed = f" Allowed: {spec.allowed}." if spec.allowed else ""
        blocks.append(f"# {spec.meaning}{allowed}\n{spec.variable}={spec.default}\n")
    return "\n".join([_ENV_HEAD, *blocks])


@click.command()
@click.option("--format", "form", type=click.Choice(["table", "env"]), default="table", help="A table, or an env file.")
def settings(form: str) -> None:
    """List every setting with its default and meaning."""
    if form == "env":
        click.echo(env_file(), nl=False)
        return
    for spec in setting_specs():
        click.echo(f"{spec.variable}={spec.default}")
        _detail(spec.meaning)
        if spec.allowed:
            _detail(f"Allowed: {spec.allowed}.")


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="A list of objects: name, type, labels, meaning, remedy, buckets."
)
def metrics(as_json: bool) -> None:
    """List every metric with its meaning and remedy."""
    if as_json:
        click.echo(json.dumps([asdict(spec) for spec in (*CATALOGUE, *OF_LEDGER)], indent=2))
        return
    for spec in (*CATALOGUE, *OF_LEDGER):
        labels = f"{{{', '.join(spec.labels)}}}" if spec.labels else ""
        click.echo(f"{spec.name}{labels} ({spec.type})")
        _detail(spec.meaning)
        _detail(f"What to do: {spec.remedy}")


@click.command("check-policy")
@click.argument("file", metavar="FILE")
def check_policy(file: str) -> None:
    """Validate a policy FILE (TOML). Exit code 1 with the place and the reason when it cannot be used."""
    policy = load_policy(file, Settings())
    click.echo(f"{file}: ok (fingerprint {fingerprint(policy)})")


def _detail(text: str) -> None:
    click.echo(click.wrap_text(text, width=110, initial_indent="    ", subsequent_indent="    "))


def _allowed(prop: dict[str, Any]) -> str:
    if "enum" in prop:
        return ", ".join(sorted(prop["enum"]))
    low, high = prop.get("minimum"), prop.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f"at least {low}"
    if "exclusiveMinimum" in prop:
        above = f"more than {prop['exclusiveMinimum']}"
        return f"{above}, at most {high}" if high is not None else above
    if prop.get("minLength"):
        return "not empty"
    return str(prop.get("pattern", ""))
