"""What the commands share: settings from options, errors for people, progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from streams import settings as settings_module
from streams.core.entry import DamagedError
from streams.core.policy import Policy, PolicyError, parse
from streams.core.published import checked
from streams.edge.topics import changelog
from streams.settings import Settings, SettingsError

F = TypeVar("F", bound=Callable[..., Any])


class CommandError(click.ClickException):
    """A failure that the user can act on: what is wrong, where, and what to do. Exit code 1, no traceback."""


def kafka_options(command: F) -> F:
    """Adds `--bootstrap`, `--topic-prefix`: where Kafka is, when the environment does not say."""
    command = click.option(
        "--bootstrap", metavar="HOST:PORT", help="Kafka brokers; default TOUCHSTREAM_BOOTSTRAP or 127.0.0.1:9092."
    )(command)
    return click.option("--topic-prefix", metavar="TEXT", help="Tenant's prefix of all topic names.")(command)


policy_option = click.option(
    "--policy",
    "policy_path",
    metavar="FILE",
    help="Policy file (TOML); default TOUCHSTREAM_POLICY_PATH or the shipped one.",
)


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and the options given; a mistake in either is a CommandError."""
    try:
        return settings_module.load(**overrides)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def load_policy(path: str | None, settings: Settings) -> Policy:
    """The policy of `--policy`, else of the settings, else the shipped defaults."""
    name = path or settings.policy_path
    if not name:
        return Policy()
    try:
        return checked(parse(Path(name).read_text(encoding="utf-8"), name), name)
    except OSError as error:
        raise CommandError(f"cannot read the policy {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"the policy {name} is not UTF-8 text (byte {error.start})") from None
    except PolicyError as error:
        raise CommandError(str(error)) from None


def needs_report(what: str) -> None:
    """Pages, plots and tables need an extra: workers do without. Raises CommandError."""
    for name in ("duckdb", "jinja2", "matplotlib"):
        if find_spec(name) is None:
            raise CommandError(f"{what} needs the package {name}; install it with pip install 'touchstream[report]'")


def unreadable(error: DamagedError, settings: Settings) -> CommandError:
    """What is to be raised when a timeline of the changelog cannot be read: whose, where, and what to do."""
    return CommandError(
        f"{error}\nIt stands in the topic {changelog(settings)} under this key, and the worker that needs it ends with 70. Nothing"
        " was changed. Use the release that wrote it, or a newer one; or write the key's last good value again, from a backup."
    )


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Says on standard error what is under way and, when done, how long it took."""
    started = time.monotonic()
    click.echo(f"  {what} ...", err=True, nl=not sys.stderr.isatty())
    yield
    done = f"  {what}: done in {time.monotonic() - started:.1f} s"
    click.echo(f"\r{done}" if sys.stderr.isatty() else done, err=True)
