"""Who says what a command asks for."""

from __future__ import annotations

import getpass
from typing import NoReturn

import pytest
from click.testing import CliRunner

from streams.cli import main


def nobody() -> NoReturn:
    """As `getpass.getuser` in a container whose user number has no name."""
    raise KeyError("getpwuid(): uid not found: 10001")


@pytest.mark.parametrize(
    "command",
    [
        ("acknowledge", "some-finding"),
        ("customer", "erase", "dana@example.com"),
        ("identity", "split", "dana@example.com", "lee@example.com"),
        ("handoff", "lost", "dana@example.com"),
    ],
)
def test_where_the_user_has_no_name_it_is_asked_for(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container whose user number has no name, each command says that --by is missing."""
    monkeypatch.setattr(getpass, "getuser", nobody)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and "Missing option '--by'" in done.output, done.output


def test_who_accepts_a_lead_is_named() -> None:
    """The user who runs the command does not become a lead's owner by saying nothing."""
    done = CliRunner().invoke(main, ["handoff", "accept", "dana@example.com"])
    assert done.exit_code == 2 and "Missing option '--by'" in done.output, done.output
