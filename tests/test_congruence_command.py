"""`touchstream congruence`, as called from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main

SET = Path(__file__).parent / "core" / "congruence_set"


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["congruence", *arguments], input=stdin)


def test_files_as_json() -> None:
    """Two files give a JSON list of objects with kind, both quotes and an explanation, and exit code 0."""
    result = run(
        "--site", str(SET / "page.html"), "--profile", str(SET / "profile.txt"), "--json", "--today", "2026-03-02"
    )
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [mismatch["kind"] for mismatch in found] == ["price", "discount", "deadline", "free_trial", "guarantee"]
    assert set(found[0]) == {"kind", "site_quote", "profile_quote", "explanation"}
    assert found[1]["site_quote"] == "Get a fifth off your first year with our Spring Launch offer."
    assert "30% off" in found[1]["profile_quote"]


def test_text_that_agrees_as_json() -> None:
    """Texts that agree give an empty JSON list, and exit code 0 even with --fail."""
    result = run("--site", "<p>A fifth off and/or more</p>", "--profile", "20% off", "--json", "--fail")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_for_people() -> None:
    """A person reads a count, one sentence a contradiction, and both quotes."""
    result = run("--site", "Pro is €49/month", "--profile", "Pro is €39/month")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "1 contradiction between the site and the profile:",
        "1. The price of pro is 49 EUR per month on the site, but 39 EUR per month in the profile.",
        "   site:    “Pro is €49/month”",
        "   profile: “Pro is €39/month”",
    ]
    assert run("--site", "Pro is €49/month", "--profile", "Hello").stdout == "No contradictions found.\n"


def test_fail() -> None:
    """With --fail a contradiction exits with 3, for scripts."""
    assert run("--site", "20% off", "--profile", "30% off", "--fail").exit_code == 3


def test_standard_input() -> None:
    """A dash reads standard input, UTF-8 with or without byte order mark; two dashes are refused."""
    result = run("--site", "-", "--profile", "Pro is €39/month", "--json", stdin="\ufeffPro is €49/month".encode())
    assert [mismatch["site_quote"] for mismatch in json.loads(result.stdout)] == ["Pro is €49/month"]
    both = run("--site", "-", "--profile", "-")
    assert both.exit_code == 1
    assert "only one of --site and --profile" in both.stderr


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ("pricing.html", "no such file"),
        ("pages/pricing", "no such file"),
        ("./Profile.TXT", "no such file"),
        ("https://example.com/pricing", "addresses are not fetched"),
        ("  ", "is empty"),
    ],
)
def test_what_is_no_text(site: str, words: str) -> None:
    """What looks like a missing file, an address, or nothing is an error that names the option, not a text to compare."""
    result = run("--site", site, "--profile", "20% off")
    assert result.exit_code == 1
    assert words in result.stderr
    assert "--site" in result.stderr


@pytest.mark.parametrize("text", ["24/7 support for 20% off", "<p>20% off</p>", "20% off. " * 3000, "20% off\x00"])
def test_what_is_text(text: str) -> None:
    """Slashes in sentences, markup, very long text and NUL are text, not paths."""
    result = run("--site", text, "--profile", "30% off", "--json")
    assert result.exit_code == 0, result.output
    assert [mismatch["kind"] for mismatch in json.loads(result.stdout)] == ["discount"]


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is not UTF-8 and a directory are errors with the place and the remedy."""
    (tmp_path / "page.html").write_bytes(b"caf\xe9 20% off")
    result = run("--site", str(tmp_path / "page.html"), "--profile", "20% off")
    assert result.exit_code == 1
    assert "is not UTF-8 text (byte 3)" in result.stderr
    assert "is a directory" in run("--site", str(tmp_path), "--profile", "20% off").stderr


def test_bad_date() -> None:
    """A date that is none is refused with the form that is meant."""
    result = run("--site", "20% off", "--profile", "20% off", "--today", "31.3.2026")
    assert result.exit_code == 1
    assert "write it like 2026-03-31" in result.stderr


def test_today_resolves_dates() -> None:
    """The date given decides which day "Friday" is."""
    pair = ("--site", "Sale ends Friday.", "--profile", "Sale ends 6 March 2026.", "--json")
    assert json.loads(run(*pair, "--today", "2026-03-02").stdout) == []
    assert len(json.loads(run(*pair, "--today", "2026-03-09").stdout)) == 1
