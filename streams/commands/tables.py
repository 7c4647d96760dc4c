"""Files with a head line that names the columns, a customer a line: CSV as spreadsheets write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from streams.commands.common import CommandError
from streams.core.touch_check import IDENTIFIERS

WHO = IDENTIFIERS
"""Columns that say who."""


class Columns(NamedTuple):
    """The names that columns may have, of which one of `WHO` must be there. Any that begin with `free` are known, too, if it is not "".
    `unknown` says what to do about others."""

    known: tuple[str, ...]
    free: str = ""
    unknown: str = "leave them out"


def is_table(file: BinaryIO) -> bool:
    """Whether a file is one, by its name."""
    return str(getattr(file, "name", "")).lower().endswith(".csv")


def rows(file: BinaryIO, columns: Columns, broken: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines by their number, each as its values by column; what is no line of the table is named in `broken`. Raises CommandError for a
    file that is none, or whose columns mean nothing."""
    table = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), restkey=None, strict=True)
    try:
        names = [name.strip() for name in table.fieldnames or ()]
        if (wrong := _head(names, columns)) is not None:
            raise CommandError(f"line 1: {wrong}")
        table.fieldnames = names
        for row in table:
            more: dict[Any, Any] = row
            if None in more:
                broken.append(f"line {table.line_num}: more values than the {len(names)} columns")
            else:
                yield table.line_num, {name: value.strip() for name, value in row.items() if value is not None}
    except UnicodeDecodeError as error:
        raise CommandError(
            f"line {table.line_num + 1} or later: not UTF-8 text ({error.reason}); save the file as UTF-8"
        ) from None
    except csv.Error as error:
        raise CommandError(f"line {table.line_num + 1}: {error}; what is quoted must end") from None


def _head(names: list[str], columns: Columns) -> str | None:
    """What is wrong with the names of a table's columns, and what to do; None when nothing is. A column without a name is empty."""
    if not names:
        return f"the file is empty; its first line names the columns: {', '.join(WHO)}, ..."
    if not set(names) & set(WHO):
        return (
            f"no column is called {', '.join(WHO[:-1])} or {WHO[-1]}; the first line names the columns, in small letters and with commas"
            f" between them, and is {','.join(names)[:200]!r}"
        )
    free = columns.free
    unknown = [name for name in names if name and name not in columns.known and not (free and name.startswith(free))]
    if unknown:
        return f"unknown columns: {', '.join(unknown)}; {columns.unknown}. Known are {', '.join(columns.known)}"
    twice = sorted({name for name in names if name and names.count(name) > 1})
    return f"several columns are called {twice[0]}; which one is meant?" if twice else None
