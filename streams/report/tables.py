"""The ledger as flat tables, for spreadsheets (CSV) and for databases (Parquet, typed). Amounts are decimals in their currency's unit.

========  ==================================================================================================
figures   every sum: month, measure, currency, department, channel, campaign, rep, value
roi       spend, income by every model, and (income - spend) / spend by department, channel, campaign, rep and month
credits   every won deal, touch by touch, with what each model gives the touch
handoffs  how sales answered the hand-offs of each campaign, and what became of them
funnel    customers by step and department
stages    deals opened, by stage and department
changes   what `--against` found
========  ==================================================================================================
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from streams.core.ledger import money
from streams.core.ledger.attribution import State, credits
from streams.core.ledger.policy import MODELS
from streams.core.ledger.result import CONTACTS, CREDIT, SPEND, TOUCHES, Ledger, roi
from streams.core.ledger.trace import Change
from streams.core.ledger.types import DIMENSIONS, NO_TOUCH, JourneyTouch
from streams.core.touch_json import rfc3339

TEXT, WHOLE, AMOUNT, RATIO, TIME = "VARCHAR", "BIGINT", "DECIMAL(38, 4)", "DOUBLE", "TIMESTAMPTZ"
"""Types of columns, as DuckDB and Parquet have them. No currency has more than four decimals."""


class Table(NamedTuple):
    """`columns` are (name, type); rows have a value for each, None when there is none."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: Iterable[tuple[Any, ...]]


def of(ledger: Ledger, changes: tuple[Change, ...]) -> Iterator[Table]:
    """All tables; that of changes only when something was compared."""
    cells = tuple((name, TEXT) for name in DIMENSIONS)
    models = tuple((model, AMOUNT) for model in MODELS)
    yield Table(
        "figures", (("month", TEXT), ("measure", TEXT), ("currency", TEXT), *cells, ("value", AMOUNT)),
        (
            (f.month, f.measure, f.currency or None, *f.cell, money.text(f.value, f.currency) if f.currency else f.value)
            for f in ledger.figures
        ),
    )  # fmt: skip
    yield Table(
        "roi", (("currency", TEXT), ("dimension", TEXT), ("key", TEXT), ("touches", WHOLE), ("contacts", WHOLE), ("spend", AMOUNT),
                *models, ("roi", RATIO)),
        _roi(ledger),
    )  # fmt: skip
    yield Table(
        "credits", (("deal_id", TEXT), ("closed_at", TIME), ("currency", TEXT), ("amount", AMOUNT), ("owner", TEXT), ("customer", TEXT),
                    ("touch_id", TEXT), ("occurred_at", TIME), *cells, *models),
        _credits(ledger),
    )  # fmt: skip
    yield Table(
        "handoffs", (("campaign", TEXT), ("answer", TEXT), ("reason", TEXT), ("handoffs", WHOLE), ("touched", WHOLE),
                     ("opportunities", WHOLE), ("won", WHOLE), ("currency", TEXT), ("revenue", AMOUNT)),
        _handoffs(ledger),
    )  # fmt: skip
    yield Table("funnel", (("department", TEXT), ("step", TEXT), ("customers", WHOLE)),
                ((step.department, step.step, step.customers) for step in ledger.funnel))  # fmt: skip
    yield Table(
        "stages", (("department", TEXT), ("stage", TEXT), ("currency", TEXT), ("deals", WHOLE), ("amount", AMOUNT)),
        ((s.department, s.stage, s.currency or None, s.deals, money.text(s.amount, s.currency) if s.currency else None)
         for s in ledger.stages),
    )  # fmt: skip
    if changes:
        yield Table(
            "changes", (("month", TEXT), ("currency", TEXT), ("measure", TEXT), ("dimension", TEXT), ("key", TEXT), ("before", AMOUNT),
                        ("after", AMOUNT), ("cause", TEXT), ("record", TEXT), ("touches", TEXT), ("delta", AMOUNT)),
            _changes(changes),
        )  # fmt: skip


def write_csv(tables: Iterable[Table], folder: Path) -> None:
    """One file a table, UTF-8, with a head line; an empty field is no value. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        with (folder / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([name for name, _ in table.columns])
            writer.writerows(table.rows)


def write_parquet(tables: Iterable[Table], folder: Path) -> None:
    """One file a table, zstd; DuckDB makes them from the CSV, with the columns' types. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="touchstream-report-") as name, duckdb.connect() as connection:
        scratch = Path(name)
        for table in tables:
            write_csv([table], scratch)
            source, target = scratch / f"{table.name}.csv", scratch / f"{table.name}.parquet"
            # The columns' names and types are ours; nothing in the statement comes from the data.
            columns = ", ".join(f"'{column}': '{kind}'" for column, kind in table.columns)
            connection.execute(
                f"COPY (SELECT * FROM read_csv('{source}', header=true, auto_detect=false, delim=',', quote='\"', escape='\"',"  # noqa: S608
                f" columns={{{columns}}})) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
            )
            shutil.move(target, folder / target.name)


def _roi(ledger: Ledger) -> Iterator[tuple[Any, ...]]:
    for currency in ledger.currencies:
        for dimension in (*DIMENSIONS, "month"):
            spend = ledger.by(dimension, SPEND, currency)
            income = {model: ledger.by(dimension, CREDIT + model, currency) for model in MODELS}
            touches, contacts = ledger.by(dimension, TOUCHES), ledger.by(dimension, CONTACTS)
            for key in sorted(spend.keys() | set().union(*income.values()) | touches.keys()):
                spent, earned = spend.get(key, 0), [income[model].get(key, 0) for model in MODELS]
                ratio = roi(income[ledger.policy.model].get(key, 0), spent)
                amounts = [money.text(amount, currency) for amount in (spent, *earned)]
                yield (currency, dimension, key, touches.get(key, 0), contacts.get(key, 0), *amounts, ratio)


def _credits(ledger: Ledger) -> Iterator[tuple[Any, ...]]:
    effects: dict[State, int] = {(one.department, one.channel): one.effect for one in ledger.effects}
    for line in ledger.lines:
        deal = (
            line.deal_id,
            rfc3339(line.closed_at),
            line.currency,
            money.text(line.amount, line.currency),
            line.owner,
            line.customer,
        )
        if not line.touches:
            yield (*deal, None, None, *NO_TOUCH, *[money.text(line.amount, line.currency)] * len(MODELS))
            continue
        points = [
            JourneyTouch(t.at, t.touch_id, t.department, t.channel, None, None, None, "", "") for t in line.touches
        ]
        parts = [credits(model, line.amount, points, ledger.policy, effects) for model in MODELS]
        for i, touch in enumerate(line.touches):
            yield (
                *deal,
                touch.touch_id,
                rfc3339(touch.at),
                *touch.cell,
                *[money.text(part[i], line.currency) for part in parts],
            )


def _handoffs(ledger: Ledger) -> Iterator[tuple[Any, ...]]:
    for row in ledger.handoffs:
        counts = (row.campaign, row.answer, row.reason or None, row.count, row.touched, row.opportunities, row.won)
        yield (*counts, None, None)
        for currency, amount in row.revenue:
            yield (row.campaign, row.answer, row.reason or None, 0, 0, 0, 0, currency, money.text(amount, currency))


def _changes(changes: tuple[Change, ...]) -> Iterator[tuple[Any, ...]]:
    for change in changes:
        amounts = [money.text(amount, change.currency) for amount in (change.before, change.after)]
        for cause in change.causes:
            yield (change.month, change.currency, change.measure, change.dimension, change.key, *amounts, cause.kind,
                   cause.record or None, " ".join(cause.touches) or None, money.text(cause.delta, change.currency))  # fmt: skip
