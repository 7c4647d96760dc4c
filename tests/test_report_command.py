"""`touchstream report`: the ledger of a period from files, as page, tables and JSON; what changed since; errors by file and line."""

from __future__ import annotations

import csv
import html
import json
import re
import subprocess
import sys
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.report import words
from tests.ledger.command import BOARD, files, report

TABLES = ("figures", "roi", "credits", "handoffs", "funnel", "stages")


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file as dicts."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def done(*options: str | Path, **more: Any) -> str:
    """Standard error of a run without refusals."""
    result = report(*options, **more)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    return result.stderr


def test_the_boards_story(tmp_path: Path) -> None:
    """Ads for 20,000 and half a year's pay brought 230,000.01 euros; who gets it depends on the model, its sum does not."""
    done(*files(), "--csv", tmp_path)
    departments = {
        row["key"]: row
        for row in rows(tmp_path / "roi.csv")
        if (row["currency"], row["dimension"]) == ("EUR", "department")
    }
    assert {key: (row["spend"], row["first"], row["last"]) for key, row in departments.items()} == {
        "marketing": ("20000.00", "230000.01", "30000.01"),
        "sales": ("18000.01", "0.00", "200000.00"),
    }
    for model in ("first", "last", "linear", "time_decay", "position", "shapley", "markov"):
        assert sum(Decimal(row[model]) for row in departments.values()) == Decimal("230000.01")
    months = {
        row["key"]: row for row in rows(tmp_path / "roi.csv") if (row["currency"], row["dimension"]) == ("EUR", "month")
    }
    # Of 92 and of 184 days, each month from what was due up to its end; in August a mail for 0.0079 besides.
    assert {key: (row["spend"], row["markov"], row["contacts"]) for key, row in months.items()} == {
        "2026-07": ("12804.34", "0.00", "3"),
        "2026-08": ("12804.36", "200000.00", "2"),
        "2026-09": ("12391.31", "30000.01", "1"),
    }
    # By position: Dana's ad and meeting 80,000 each; mail, form and call share 40,000, the odd cent to the first of them.
    assert departments["marketing"]["position"] == "136666.68"
    assert float(departments["marketing"]["roi"]) == pytest.approx((136_666.68 - 20_000) / 20_000)


def test_the_quarrel_of_the_board(tmp_path: Path) -> None:
    """Sales accepted Dana and Chen but never touched Chen, and rejected Bela, who bought."""
    done(*files(), "--csv", tmp_path)
    told = [
        (row["campaign"], row["answer"], row["reason"], row["handoffs"], row["touched"], row["won"])
        for row in rows(tmp_path / "handoffs.csv")
        if row["currency"] == ""
    ]
    assert told == [
        ("=webinar", "accepted", "", "1", "0", "0"),
        ("summer-2026", "accepted", "", "1", "1", "1"),
        ("summer-2026", "rejected", "not_icp", "1", "0", "1"),
    ]


def test_conflicts_come_from_a_file(tmp_path: Path) -> None:
    """What `touchstream backtest` finds in the touches, given by --conflicts, is counted by the department whose contact made it, on the
    page and in the tables; hand-offs among it are passed over, a broken line is told, and of two revisions the later counts."""
    lines = (BOARD / "touches.jsonl").read_text(encoding="utf-8").splitlines()
    mail = next(one for one in map(json.loads, lines) if one["kind"] == "sent" and one["department"] == "marketing")
    call = {name: mail[name] for name in ("direction", "customer")} | {
        "touch_id": "hasty", "channel": "calls", "department": "sales", "kind": "dialed",
        "occurred_at": mail["occurred_at"].replace(":00Z", ":59Z"),
    }  # fmt: skip
    (tmp_path / "touches.jsonl").write_text("\n".join([*lines, json.dumps(call)]), encoding="utf-8")
    command = ["backtest", str(tmp_path / "touches.jsonl")]
    found = CliRunner(env={"TOUCHSTREAM_ID_KEY": "k"}).invoke(main, command).stdout.splitlines()
    (conflict,) = [one for one in map(json.loads, found) if one["finding"] == "conflict"]
    assert len(found) > 1
    given = [
        *files(),
        "--touches",
        tmp_path / "touches.jsonl",
        "--conflicts",
        tmp_path / "found.jsonl",
        "--csv",
        tmp_path,
    ]

    def counted() -> list[tuple[str, str, str]]:
        figures = [row for row in rows(tmp_path / "figures.csv") if row["measure"] == "conflicts"]
        return [(row["department"], row["channel"], row["value"]) for row in figures]

    (tmp_path / "found.jsonl").write_text("\n".join(found), encoding="utf-8")
    done(*given, "--out", tmp_path / "r.html")
    assert counted() == [("sales", "calls", "1")]
    assert "Per 1,000 contacts" in (tmp_path / "r.html").read_text(encoding="utf-8")

    retracted = json.dumps(conflict | {"revision": 2, "state": "retracted"})
    (tmp_path / "found.jsonl").write_text("\n".join([retracted, "{}", *found]), encoding="utf-8")
    result = report(*given)
    assert result.exit_code == 1 and counted() == []
    assert "found.jsonl line 2: not a finding: Object missing required field `finding`" in result.stderr


def test_the_example_of_the_seed_on_the_page(tmp_path: Path) -> None:
    """Twenty thousand paid, two hundred thousand brought in: the page says 900 per cent, and ten back for each one."""
    for name, record in (
        ("touches", {"touch_id": "ad", "channel": "ads", "department": "marketing", "direction": "inbound", "kind": "ad_click",
                     "occurred_at": "2026-07-02T09:00:00Z", "customer": {"email": "dana@example.com"}, "campaign": "summer"}),
        ("deals", {"deal_id": "opp", "customer": {"email": "dana@example.com"}, "stage": "won", "opened_at": "2026-07-20T15:00:00Z",
                   "closed_at": "2026-08-25T12:00:00Z", "amount": {"amount": 200000, "currency": "EUR"}}),
        ("costs", {"cost_id": "ads", "department": "marketing", "kind": "ad_spend", "channel": "ads", "campaign": "summer",
                   "first_day": "2026-07-01", "last_day": "2026-09-30", "amount": {"amount": 20000, "currency": "EUR"}}),
    ):  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record), encoding="utf-8")
    given = [part for name in ("touches", "deals", "costs") for part in (f"--{name}", tmp_path / f"{name}.jsonl")]
    done(*given, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<b>900 %</b><span>return on investment: 10\.00 back for each 1\.00", page)
    for dimension in ("department", "channel", "campaign"):  # and by month only August has income
        table = re.search(rf'<table class="roi {dimension}">(.*?)</table>', page, re.DOTALL)
        assert table is not None and table[1].count("900 %") == 2, "the one row, and the sum"


def test_money_that_came_back_on_the_page(tmp_path: Path) -> None:
    """A refund that is larger than what was sold, and a credit note: the page has no plot of shares and no return, and says how many deals
    were won and how many paid back."""
    deal = json.loads((BOARD / "deals.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (tmp_path / "d.jsonl").write_text(
        json.dumps(
            deal | {"deal_id": "back", "amount": {"amount": "-900000.00", "currency": deal["amount"]["currency"]}}
        )
    )
    (tmp_path / "c.jsonl").write_text(
        json.dumps({"cost_id": "note", "department": "sales", "kind": "tool", "first_day": "2026-07-01", "last_day": "2026-07-31",
                    "amount": {"amount": -500000, "currency": "EUR"}})
    )  # fmt: skip
    done(
        *files(),
        "--deals",
        tmp_path / "d.jsonl",
        "--costs",
        tmp_path / "c.jsonl",
        "--out",
        tmp_path / "r.html",
        "--csv",
        tmp_path,
    )
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.search(r"<b>−669,999\.99</b><span>EUR brought in, 2 deals won, 1 paid back</span>", page)
    assert (
        "<b>–</b><span>return on investment</span>" in page
        and "Shares of the closed revenue by department under each model, EUR" not in page
    )
    assert {row["roi"] for row in rows(tmp_path / "roi.csv") if (row["currency"], row["key"]) == ("EUR", "sales")} == {
        ""
    }


def test_how_a_return_is_written() -> None:
    """In whole per cent with a minus sign that is one; a little less than nothing is nothing; a dash where nothing was spent."""
    values = (9.0, 14.667, -0.44, -0.004, 0.0, 2000.0, None)
    assert [words.ratio(one) for one in values] == ["900 %", "1,467 %", "−44 %", "0 %", "0 %", "over 100,000 %", "–"]


class Strict(HTMLParser):
    """Notes ids, addresses that a browser would fetch, and tags left open."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An opening tag."""
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.fetched += [value for name, value in attrs if name.endswith(("src", "href")) and value and value[0] != "#"]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag without content."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """A closing tag: of what was opened last."""
        if tag != "meta":
            assert self.open.pop() == tag


def test_what_belongs_to_nobody_stands_last(tmp_path: Path) -> None:
    """Departments are in the order of the plots; behind all campaigns comes what names none, then what no touch led to, and a sentence
    says that its spending is in no campaign's return. What each won deal took stands on top."""
    assert report(*files(), "--out", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")

    def labels(dimension: str) -> list[str]:
        table = re.search(rf'<table class="roi {dimension}">(.*?)</table>', page, re.DOTALL)
        assert table is not None
        return re.findall(r'<td title="([^"]*)">', table[1])

    assert labels("department") == ["Marketing", "Sales", "Sum"]
    assert labels("campaign")[-2:] == ["No campaign", "Sum"] and labels("campaign").count("No campaign") == 1
    assert "stands under “No campaign”" in page and "<span>EUR spent, 19,000.00 for each deal won</span>" in page


def test_a_period_that_is_not_over_says_so(tmp_path: Path) -> None:
    """The report on a year to come says that what will be sold is not in it; that on a quarter that is over does not."""
    for period, told in (("2026-Q3", 0), ("2999", 1)):
        assert report(*files(), "--out", tmp_path / "r.html", period=period).exit_code == 0
        assert (tmp_path / "r.html").read_text(encoding="utf-8").count("This period is not over") == told


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """The page is well-formed, names nothing to fetch, runs no script, and its plots' ids do not clash."""
    done(*files(), "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    parser = Strict()
    parser.feed(page)
    assert parser.open == [] and parser.fetched == []
    assert len(parser.ids) == len(set(parser.ids)) > 50
    assert "<script" not in page and "@import" not in page
    assert page.count("<svg") == 8, "EUR and USD: spend, months, models; hand-offs; funnel"


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """A campaign that is called like a script is shown as that text."""
    evil = "<script>alert('x')</script> & \"more\""
    touch = json.loads((BOARD / "touches.jsonl").read_text(encoding="utf-8").splitlines()[0]) | {
        "campaign": evil,
        "touch_id": "evil",
    }
    (tmp_path / "evil.jsonl").write_text(json.dumps(touch), encoding="utf-8")
    done(*files(), "--touches", tmp_path / "evil.jsonl", "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and html.escape(evil, quote=False).split("(")[0] in page


def test_parquet_has_the_csvs_rows_with_types(tmp_path: Path) -> None:
    """Every table is there in both forms with the same rows; amounts are decimals, times are times, nothing is a missing value."""
    done(*files(), "--csv", tmp_path / "c", "--parquet", tmp_path / "p")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == sorted(f"{name}.csv" for name in TABLES)
    for name in TABLES:
        read = duckdb.execute(f"SELECT * FROM read_parquet('{tmp_path / 'p' / name}.parquet')")
        columns = [column[0] for column in read.description]
        found = read.fetchall()
        expected = rows(tmp_path / "c" / f"{name}.csv")
        assert len(found) == len(expected) > 0 and columns == list(expected[0])
        for row, line in zip(found, expected, strict=True):
            for value, text in zip(row, line.values(), strict=True):
                assert (value is None) == (text == "")
                if isinstance(value, Decimal):
                    assert value == Decimal(text)
    types = dict(
        duckdb.execute(f"SELECT name, type FROM parquet_schema('{tmp_path / 'p' / 'credits'}.parquet')").fetchall()
    )
    kinds = dict(
        duckdb.execute(
            f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '{tmp_path / 'p' / 'credits'}.parquet')"
        ).fetchall()
    )
    assert types and (kinds["amount"], kinds["closed_at"], kinds["deal_id"]) == (
        "DECIMAL(38,4)",
        "TIMESTAMP WITH TIME ZONE",
        "VARCHAR",
    )


def test_what_changed_since_the_last_report(tmp_path: Path) -> None:
    """A late touch, a merge, a corrected deal and a corrected cost: the next report tells each, and each to the cent."""
    done(*files(), "--json", tmp_path / "before.json")
    done(
        *files(later=True), "--against", tmp_path / "before.json", "--csv", tmp_path, "--out", tmp_path / "report.html"
    )
    changes = rows(tmp_path / "changes.csv")
    assert {(row["cause"], row["record"], row["touches"]) for row in changes} == {
        ("late_touch", "deal opp-dana", "li-1"),
        ("customers_merged", "deal opp-bela", "li-2"),
        ("deal_corrected", "deal opp-ines", ""),
        ("cost_corrected", "cost ads-q3", ""),
    }
    spend = {row["month"]: row["delta"] for row in changes if (row["measure"], row["dimension"]) == ("spend", "all")}
    assert spend == {"2026-07": "620.00", "2026-08": "620.00", "2026-09": "600.00"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "two customers turned out to be one: deal opp-bela (touch li-2)" in page


def test_an_earlier_period_is_reckoned_again(tmp_path: Path) -> None:
    """The report of the fourth quarter tells what has changed in the third since that was reported; and when nothing has, says so."""
    done(*files(), "--json", tmp_path / "q3.json")
    done(*files(later=True), "--against", tmp_path / "q3.json", "--csv", tmp_path, period="2026-Q4")
    assert {row["month"] for row in rows(tmp_path / "changes.csv")} == {"2026-07", "2026-08", "2026-09"}
    done(*files(), "--against", tmp_path / "q3.json", "--out", tmp_path / "same.html", period="2026-Q4")
    assert "Not one figure is different." in (tmp_path / "same.html").read_text(encoding="utf-8")


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Two runs, one with its lines in reverse, write the same page, tables and JSON."""
    backwards = []
    for name in ("touches", "deals", "costs", "leads"):
        lines = (BOARD / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*reversed(lines), "", lines[0]]), encoding="utf-8")
        backwards += [f"--{name}", str(tmp_path / f"{name}.jsonl")]
    written = []
    for given, folder in ((files(), tmp_path / "a"), (backwards, tmp_path / "b")):
        folder.mkdir()
        done(*given, "--out", folder / "r.html", "--json", folder / "l.json", "--csv", folder)
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1] and len(written[0]) == 8


def test_broken_lines_are_told_and_the_rest_is_reported(tmp_path: Path) -> None:
    """Each broken line is named by file and line on standard error; the page says how many are missing; the exit code is 1."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{\n\n{"channel": "fax"}\n', encoding="utf-8")
    deals = tmp_path / "deals.jsonl"
    deals.write_text(
        '{"deal_id": "x", "customer": {"email": "null"}, "stage": "open", "opened_at": "2026-07-01T00:00:00Z"}\n{"deal_id": 1}',
        encoding="utf-8",
    )
    result = report(*files(), "--touches", bad, "--deals", deals, "--out", tmp_path / "r.html", "--csv", tmp_path)
    assert result.exit_code == 1
    told = [line for line in result.stderr.splitlines() if not line.startswith("  ")]
    assert told[0].startswith(f"{bad} line 1: not JSON: ")
    assert told[1].startswith(f"{bad} line 3: ")
    assert told[2] == f"{deals} line 2: deal_id: Expected `str`, got `int`"
    assert told[3:] == [
        "deal x: the customer has no usable identifier",
        "4 lines or records refused; the report is without them",
    ]
    assert "4 records could not be read, or have no rate, and are not in these figures" in (
        tmp_path / "r.html"
    ).read_text(encoding="utf-8")
    assert rows(tmp_path / "roi.csv")


def test_one_currency_by_policy(tmp_path: Path) -> None:
    """With a currency and rates in the policy there is one table; without the rate the error names where to add it."""
    policy = tmp_path / "policy.toml"
    policy.write_text('[ledger]\ncurrency = "EUR"\n', encoding="utf-8")
    result = report(*files(), "--csv", tmp_path, "--policy", policy)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        "Error: no rate from USD to EUR; add USD to [ledger.rates] of the policy",
    )
    policy.write_text('[ledger]\ncurrency = "EUR"\n[ledger.rates]\nUSD = 0.5\n', encoding="utf-8")
    done(*files(), "--csv", tmp_path, "--policy", policy)
    found = rows(tmp_path / "roi.csv")
    assert {row["currency"] for row in found} == {"EUR"}
    assert sum(Decimal(row["linear"]) for row in found if row["dimension"] == "department") == Decimal("236000.01")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the command names the package and how to get it."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = report(*files(), "--json", "l.json")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: the report needs the package duckdb; install it with pip install 'touchstream[report]'\n"
    )


def test_other_commands_load_nothing_of_it() -> None:
    """Workers and the other commands do not load what only the report needs."""
    code = "import sys, streams.commands.worker, streams.core.ledger.credit; print(sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=180)
    assert "'streams.core.ledger.credit'" in told.stdout
    assert [name for name in ("numpy", "duckdb", "matplotlib", "jinja2") if f"'{name}'" in told.stdout] == []
