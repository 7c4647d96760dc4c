"""`touchstream congruence`: does a salesperson's profile say what the web page says?"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
import time
from pathlib import Path

import click
import msgspec

from streams.commands.common import CommandError
from streams.core import congruence as core

CONTRADICTION_EXIT = 3
_LOOKS_LIKE_FILE = re.compile(r"\S+\.(?:html?|txt|md|xhtml)|[^\s<>]*[/\\][^\s<>]*", re.IGNORECASE)
_URL = re.compile(r"https?://\S+", re.IGNORECASE)


@click.command()
@click.option(
    "--site", required=True, metavar="FILE_OR_TEXT", help='The web page: a file (HTML or text), "-", or text.'
)
@click.option("--profile", required=True, metavar="FILE_OR_TEXT", help='The LinkedIn profile: a file, "-", or text.')
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON list of {kind, site_quote, profile_quote, explanation}."
)
@click.option(
    "--today", metavar="DATE", help='Date (YYYY-MM-DD) that "Friday" and "31 March" are read from; default today, UTC.'
)
@click.option("--fail", is_flag=True, help=f"Exit with {CONTRADICTION_EXIT} when there are contradictions.")
def congruence(site: str, profile: str, as_json: bool, today: str | None, fail: bool) -> None:
    """Compare a web page with a salesperson's profile and print each contradiction with both quotes.

    A value that names an existing file is read as UTF-8, "-" is standard input, anything else is the text itself. The exit code is
    0 also when there are contradictions, unless --fail is given.
    """
    if site == profile == "-":
        raise CommandError('only one of --site and --profile can be "-" (standard input)')
    found = core.compare(_read("--site", site), _read("--profile", profile), today=_date(today))
    if as_json:
        click.echo(json.dumps([msgspec.structs.asdict(mismatch) for mismatch in found], ensure_ascii=False, indent=2))
    else:
        click.echo(_for_people(found))
    if found and fail:
        sys.exit(CONTRADICTION_EXIT)


def _for_people(found: tuple[core.Mismatch, ...]) -> str:
    if not found:
        return "No contradictions found."
    blocks = [
        f"{i}. {mismatch.explanation}\n   site:    “{mismatch.site_quote}”\n   profile: “{mismatch.profile_quote}”"
        for i, mismatch in enumerate(found, 1)
    ]
    count = "1 contradiction" if len(found) == 1 else f"{len(found)} contradictions"
    return "\n".join([f"{count} between the site and the profile:", *blocks])


def _read(option: str, value: str) -> str:
    if value == "-":
        return _decode(option, "standard input", click.get_binary_stream("stdin").read())
    if _URL.fullmatch(value.strip()):
        raise CommandError(f"{option} {value}: addresses are not fetched; save the page to a file and give its path")
    path = Path(value)
    try:
        exists = path.is_file()
        if not exists and value and path.is_dir():
            raise CommandError(f"{option} {value} is a directory; give a file or the text itself")
    except (OSError, ValueError):  # too long, or with a NUL, for a path: then it is text
        exists = False
    if exists:
        try:
            return _decode(option, value, path.read_bytes())
        except OSError as error:
            raise CommandError(f"cannot read {option} {value}: {error.strerror}") from None
    if _LOOKS_LIKE_FILE.fullmatch(value.strip()):
        raise CommandError(f"{option} {value}: no such file; give an existing file, or the text itself in quotes")
    if not value.strip():
        raise CommandError(f'{option} is empty; give a file, "-" for standard input, or the text itself')
    return value


def _decode(option: str, name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{option} {name} is not UTF-8 text (byte {error.start}); save it as UTF-8 and try again"
        ) from None


def _date(text: str | None) -> dt.date:
    if text is None:
        return dt.datetime.fromtimestamp(time.time(), dt.UTC).date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--today {text!r} is not a date; write it like 2026-03-31") from None
