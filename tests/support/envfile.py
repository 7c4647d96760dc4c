"""Env files as Docker and systemd read them: NAME=value lines, comments, no quotes."""

from __future__ import annotations

from pathlib import Path


def parse(path: Path) -> dict[str, str]:
    """The variables of an env file, in order.

    Raises:
        ValueError: a line is neither empty, a comment nor NAME=value, or a name comes twice.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name != name.strip() or name in variables:
            raise ValueError(f"{path}:{number}: {line}")
        variables[name] = value
    return variables
