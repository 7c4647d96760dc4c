"""`touchstream gateway`: checks and reservations over HTTP; `touchstream gateway token` makes a token for it."""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

import click

from streams.commands.common import CommandError, kafka_options, load_policy, load_settings
from streams.commands.worker import LOG_FORMAT


@click.group(invoke_without_command=True)
@kafka_options
@click.option("--redis", "redis_url", metavar="URL", help="Redis-compatible server; default TOUCHSTREAM_REDIS_URL.")
@click.option("--host", "gateway_host", metavar="ADDRESS", help="Address to listen on; any but loopback needs tokens.")
@click.option("--port", "gateway_port", type=int, metavar="PORT", help="Port; 0 takes a free one, which is logged.")
@click.option("--policy", "policy_path", metavar="FILE", help="Policy file (TOML), the workers' one.")
@click.pass_context
def gateway(context: click.Context, /, policy_path: str | None, **options: Any) -> None:
    """Answer checks and hold slots, over HTTP, until told to stop."""
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(policy_path=policy_path, **options)
    policy = load_policy(policy_path, settings)
    logging.basicConfig(level=settings.log_level, format=LOG_FORMAT, stream=sys.stderr, force=True)
    for name in ("aiokafka", "uvicorn.access"):
        logging.getLogger(name).setLevel("WARNING")
    from streams.gateway import server

    try:
        server.run(settings, policy)
    except server.CannotServe as error:
        raise CommandError(str(error)) from None


@gateway.command()
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(["read", "check", "publish", "admin"]),
    help="What it may do; again for more.",
)  # fmt: skip
@click.option("--name", default="tool", show_default=True, help="Stands in the log and in reservations.")
def token(scopes: tuple[str, ...], name: str) -> None:
    """Make a token. It is shown once, on standard error; the lines for the file of tokens go to standard output."""
    from streams.gateway import tokens

    secret, lines = tokens.make(name, cast("tuple[tokens.Scope, ...]", tuple(dict.fromkeys(scopes))))
    click.echo(f"token (keep it, it is not shown again): {secret}", err=True)
    click.echo(lines, nl=False)
