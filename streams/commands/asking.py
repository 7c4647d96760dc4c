"""What the commands share that ask the workers for something, by a command in Kafka, and wait for what they say."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

EVERY = 0.5
"""Seconds between two looks; more when a look takes long, since each reads a topic from its beginning."""


def you() -> str:
    """The user who runs the command. UsageError where nobody has a name for its number, as in some containers."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        raise click.UsageError("Missing option '--by': the system does not know who runs this command") from None


def by_option(says: str) -> Callable[[F], F]:
    """Adds `--by`, which must be given where the system does not know who runs the command."""
    option: Callable[[F], F] = click.option("--by", default=you, show_default="you", help=says)
    return option


def request_options(stands_in: str) -> Callable[[F], F]:
    """Adds `--by`, `--yes`, `--wait/--no-wait`, `--timeout`. `stands_in` is where the name of who asks can be read later."""

    def added(command: F) -> F:
        for option in (
            click.option(
                "--timeout", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds to wait."
            ),
            click.option(
                "--wait/--no-wait",
                default=True,
                help="Wait until it is done and print it (default), or only ask for it.",
            ),
            click.option("--yes", is_flag=True, help="Do not ask."),
            by_option(f"Who asks; stands in {stands_in}."),
        ):
            command = option(command)
        return command

    return added


def answered(look: Callable[[], T | None], timeout: float) -> T | None:
    """What a look finds, or None when none found anything within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = EVERY
    while time.monotonic() < deadline:
        time.sleep(pause)
        started = time.monotonic()
        found = look()
        if found is not None:
            return found
        pause = max(EVERY, time.monotonic() - started)
    return None
