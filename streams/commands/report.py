"""`touchstream report`: the ledger of both departments over a period, as a page for the board, as tables, and as JSON."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from streams.commands.common import (
    CommandError,
    kafka_options,
    load_policy,
    load_settings,
    needs_report,
    policy_option,
    progress,
)
from streams.commands.files import replace_file
from streams.core.ledger import period as periods
from streams.core.ledger import records, touch_lines
from streams.core.ledger.book import Book, Resolved
from streams.core.ledger.money import MoneyError
from streams.core.ledger.policy import LedgerPolicy
from streams.core.policy import Policy
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.core.ledger.result import Ledger
    from streams.core.ledger.trace import Change

T = TypeVar("T")
Names = tuple[str, ...]

MAX_PROBLEMS = 20

_path = click.Path(dir_okay=False, path_type=Path)
_folder = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--period", "period_text", required=True, metavar="PERIOD",
    help="2026, 2026-Q3, 2026-07, 2026-07-01 or 2026-07-01..2026-09-30; days in UTC.",
)  # fmt: skip
@click.option(
    "--from-kafka", is_flag=True, help="Read the topics instead of files: touches with their customers, deals, costs."
)
@click.option(
    "--touches",
    multiple=True,
    metavar="FILE",
    help='Touches as JSON lines; may be repeated; "-" is standard input.',
)
@click.option("--deals", multiple=True, metavar="FILE", help="Deals as JSON lines.")
@click.option("--costs", multiple=True, metavar="FILE", help="Costs as JSON lines.")
@click.option("--leads", multiple=True, metavar="FILE", help="Changes of leads' states as JSON lines.")
@click.option(
    "--conflicts",
    multiple=True,
    metavar="FILE",
    help="Conflicts as `touchstream backtest` or `touchstream tail conflicts --json` prints them.",
)
@policy_option
@click.option("--out", type=_path, metavar="FILE", help="Write the page (HTML, self-contained).")
@click.option("--csv", "csv_folder", type=_folder, metavar="DIR", help="Write every table as CSV.")
@click.option("--parquet", "parquet_folder", type=_folder, metavar="DIR", help="Write every table as Parquet.")
@click.option("--json", "json_path", type=_path, metavar="FILE", help="Write the ledger for a later --against.")
@click.option(
    "--against",
    type=_path,
    metavar="FILE",
    help="A ledger that --json wrote: tell which of its figures changed, and why.",
)
@kafka_options
def report(
    period_text: str,
    from_kafka: bool,
    touches: tuple[str, ...],
    deals: tuple[str, ...],
    costs: tuple[str, ...],
    leads: tuple[str, ...],
    conflicts: tuple[str, ...],
    policy_path: str | None,
    out: Path | None,
    csv_folder: Path | None,
    parquet_folder: Path | None,
    json_path: Path | None,
    against: Path | None,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Tell what a period cost, what it brought, and whose work that was.

    Records may come in any order and more than once. Broken lines are named by file and line on standard error and left out; the exit
    code is then 1, the report is there. `streams/core/ledger/records.py` shows the form of deals, costs and lead events.

    \b
    touchstream report --period 2026-Q3 --touches touches.jsonl --deals deals.jsonl --costs costs.jsonl --out report.html
    touchstream report --period 2026-Q3 --from-kafka --out report.html
    """
    files = (touches, deals, costs, leads, conflicts)
    if from_kafka and any(files):
        raise click.UsageError(
            "--from-kafka reads the topics: leave --touches, --deals, --costs, --leads and --conflicts out"
        )
    if not from_kafka and not (touches and deals):
        raise click.UsageError("give --touches and --deals, or --from-kafka")
    if sum(names.count("-") for names in files) > 1:
        raise click.UsageError('only one FILE can be "-" (standard input)')
    if not any((out, csv_folder, parquet_folder, json_path)):
        raise click.UsageError("nothing to write: give at least one of --out, --csv, --parquet, --json")
    try:
        period = periods.parse(period_text)
    except periods.PeriodError as error:
        raise CommandError(f"--period: {error}") from None
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    needs_report("the report")
    policy = _published_policy(policy_path, settings) if from_kafka else load_policy(policy_path, settings)
    earlier = None if against is None else _earlier(against)

    problems: list[str] = []
    with progress("reading"), _no_collector():
        read = _from_kafka if from_kafka else partial(_from_files, *files)
        resolve = read(settings, policy, problems)
    with progress("reckoning"), _no_collector():
        resolved = resolve()
        try:
            ledger, changes = _reckon(resolved, period, policy.ledger, earlier, len(problems))
        except MoneyError as error:
            raise CommandError(str(error)) from None
    with progress("writing"):
        _write(ledger, earlier, changes, out, csv_folder, parquet_folder, json_path)
    _tell(problems)


def _from_files(
    touches: Names, deals: Names, costs: Names, leads: Names, conflicts: Names, settings: Settings, policy: Policy,
    problems: list[str],
) -> Callable[[], Resolved]:  # fmt: skip
    book = Book(policy.identity, settings.id_key, settings.default_region)
    _read(touches, touch_lines.parse, book.add_touch, problems)
    _read(deals, records.deal, book.add_deal, problems)
    _read(costs, records.cost, book.add_cost, problems)
    _read(leads, records.lead_event, book.add_lead, problems)
    _read(conflicts, records.finding, book.add_conflict, problems)
    problems += book.problems
    return book.resolve


def _published_policy(policy_path: str | None, settings: Settings) -> Policy:
    from streams.commands.policy_in_force import policy_in_force

    return policy_in_force(policy_path, settings)


def _from_kafka(settings: Settings, policy: Policy, problems: list[str]) -> Callable[[], Resolved]:
    from streams.commands.publishing import run_kafka
    from streams.core.ledger import books
    from streams.core.ledger.spend import with_rates
    from streams.edge.ledger_input import Damaged
    from streams.edge.ledger_reading import read_all

    try:
        known = run_kafka(read_all(settings, policy, problems))
    except Damaged as error:
        raise CommandError(str(error)) from None

    def resolve() -> Resolved:
        resolved, left = with_rates(books.resolve(known), policy.ledger)
        problems.extend(text if count == 1 else f"{text} ({count:,} of them)" for text, count in left.items())
        return resolved

    return resolve


@contextmanager
def _no_collector() -> Iterator[None]:
    """Millions of records that hold no cycle: the garbage collector would only walk them, again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _reckon(
    resolved: Resolved, period: periods.Period, policy: LedgerPolicy, earlier: Ledger | None, refused: int
) -> tuple[Ledger, tuple[Change, ...]]:
    """The ledger, and what changed in the earlier one's period since."""
    from streams.core.ledger.figures import compute
    from streams.core.ledger.trace import compare

    ledger = compute(resolved, period, policy, refused)
    if earlier is None:
        return ledger, ()
    same = (earlier.period.first, earlier.period.last) == (period.first, period.last)
    again = ledger if same else compute(resolved, earlier.period, policy)
    return ledger, compare(earlier, again)


def _read(names: tuple[str, ...], parse: Callable[[bytes], T], add: Callable[[T], None], problems: list[str]) -> None:
    for name in names:
        for number, line in enumerate(_lines(name), start=1):
            if line.strip():
                try:
                    add(parse(line))
                except (touch_lines.TouchError, records.RecordError) as error:
                    problems.append(f"{name} line {number}: {error}")


def _lines(name: str) -> Iterator[bytes]:
    if name == "-":
        yield from sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield from file
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from None


def _earlier(path: Path) -> Ledger:
    from streams.core.ledger.result import LedgerError, decode

    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise CommandError(f"cannot read --against {path}: {error.strerror}") from None
    except LedgerError as error:
        raise CommandError(f"--against {path}: {error}") from None


def _write(
    ledger: Ledger,
    earlier: Ledger | None,
    changes: tuple[Change, ...],
    out: Path | None,
    csv_folder: Path | None,
    parquet_folder: Path | None,
    json_path: Path | None,
) -> None:
    from streams.core.ledger.result import encode
    from streams.report import page, tables

    try:
        if json_path is not None:
            replace_file(json_path, encode(ledger))
        if csv_folder is not None:
            tables.write_csv(tables.of(ledger, changes), csv_folder)
        if parquet_folder is not None:
            tables.write_parquet(tables.of(ledger, changes), parquet_folder)
        if out is not None:
            replace_file(out, page.render(ledger, earlier, changes, ledger.period.end_ms > time.time() * 1000).encode())
    except OSError as error:
        raise CommandError(f"cannot write {error.filename or ''}: {error.strerror}") from None


def _tell(problems: list[str]) -> None:
    for problem in problems[:MAX_PROBLEMS]:
        click.echo(problem, err=True)
    if problems:
        more = f", {len(problems) - MAX_PROBLEMS} of them not shown" if len(problems) > MAX_PROBLEMS else ""
        click.echo(f"{len(problems)} lines or records refused{more}; the report is without them", err=True)
        sys.exit(1)
