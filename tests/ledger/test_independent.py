"""The ledger against an independent one: DuckDB, with SQL of its own, on 100,000 touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from streams.core.ledger import markov, records, touch_lines
from streams.core.ledger import period as periods
from streams.core.ledger.book import Book
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import CONTACTS, CREDIT, REVENUE, SPEND, TOUCHES, Ledger
from streams.core.ledger.types import DIMENSIONS, UNATTRIBUTED
from streams.core.policy import IdentityPolicy
from tests.ledger import made_up
from tests.ledger.books import ID_KEY, REGION

SQL = Path(__file__).with_name("independent.sql")
FIRST, LAST = "2026-04-01", "2026-06-30"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a company with 10,000 customers."""
    path = tmp_path_factory.mktemp("company")
    made_up.write(path, 100_000)
    return path


@pytest.fixture(scope="module")
def ledger(folder: Path) -> Ledger:
    """Ours."""
    book = Book(IdentityPolicy(), ID_KEY, REGION)
    for name, parse, add in (
        ("touches", touch_lines.parse, book.add_touch),
        ("deals", records.deal, book.add_deal),
        ("costs", records.cost, book.add_cost),
    ):
        for line in (folder / f"{name}.jsonl").read_bytes().splitlines():
            add(parse(line))  # type: ignore[operator]
    assert book.problems == []
    return compute(book.resolve(), periods.parse(f"{FIRST}..{LAST}"), LedgerPolicy())


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB's, with all its tables made."""
    values = {name: str(folder / f"{name}.jsonl") for name in ("touches", "deals", "costs")} | {
        "first": FIRST,
        "last": LAST,
    }
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
        for statement in SQL.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                for name, value in values.items():
                    statement = statement.replace(f"${name}", f"'{value}'")
                connection.execute(statement)
        yield connection


def test_the_history_is_what_the_sql_takes_it_for(theirs: duckdb.DuckDBPyConnection) -> None:
    """There are deals enough, calls in two phases, and customers of whom half is known by their CRM id."""
    two = theirs.execute("SELECT count(*) FROM phase WHERE joins").fetchall()
    apart = theirs.execute("SELECT count(DISTINCT customer) FROM touch WHERE customer LIKE '%by CRM id'").fetchall()
    assert two[0][0] > 500 and apart[0][0] > 500
    assert theirs.execute("SELECT count(*) > 300, count(DISTINCT currency) FROM won").fetchall() == [(True, 3)]


def test_touches_and_contacts(ledger: Ledger, theirs: duckdb.DuckDBPyConnection) -> None:
    """Touches and contacts by month, department, channel, campaign and rep are the same numbers."""
    for measure, table in ((TOUCHES, "touch"), (CONTACTS, "contact")):
        rows = theirs.execute(
            f"SELECT strftime(epoch_ms(ms), '%Y-%m') AS month, department, channel, campaign, rep, count(*) FROM {table}"
            f" WHERE CAST(epoch_ms(ms) AS DATE) BETWEEN '{FIRST}' AND '{LAST}' GROUP BY ALL"
        ).fetchall()
        ours = {(f.month, *f.cell): f.value for f in ledger.figures if f.measure == measure}
        assert ours == {tuple(row[:5]): row[5] for row in rows}


def test_closed_revenue(ledger: Ledger, theirs: duckdb.DuckDBPyConnection) -> None:
    """The revenue of the deals won, by month, owner and currency, is the same to the cent; so is its sum under every model."""
    rows = theirs.execute("SELECT month, currency, owner, sum(amount) FROM won GROUP BY ALL").fetchall()
    ours = {(f.month, f.currency, f.rep): f.value for f in ledger.figures if f.measure == REVENUE}
    assert ours == {tuple(row[:3]): row[3] for row in rows}
    for currency, total in theirs.execute("SELECT currency, sum(amount) FROM won GROUP BY ALL").fetchall():
        assert ledger.by("measure", CREDIT, currency) == dict.fromkeys(ledger.by("measure", CREDIT, currency), total)


@pytest.mark.parametrize("dimension", [*DIMENSIONS, "month"])
def test_credit_by_every_model(ledger: Ledger, theirs: duckdb.DuckDBPyConnection, dimension: str) -> None:
    """What each model gives to each department, channel, campaign, rep and month is DuckDB's exact value, but for the rounding of less
    than a cent a touch point."""
    rows = theirs.execute(
        f"SELECT model, currency, {dimension}, sum(value), count(*) FROM credit GROUP BY ALL"
    ).fetchall()
    expected = {(model, currency, key): (value, points) for model, currency, key, value, points in rows}
    ours: Counter[tuple[str, str, str]] = Counter()
    for f in ledger.figures:
        if f.measure.startswith(CREDIT) and f.measure != CREDIT + "markov":
            ours[f.measure.removeprefix(CREDIT), f.currency, getattr(f, dimension)] += f.value
    assert {model for model, _, _ in expected} == {"first", "last", "linear", "time_decay", "position", "shapley"}
    assert ours.keys() >= {key for key, (value, _) in expected.items() if value >= 1}
    for key, value in ours.items():
        exact, points = expected[key]
        assert abs(value - exact) <= points, key
        if key[0] in ("first", "last"):
            assert value == exact


def removal_effects(hops: list[tuple[str, str, float]]) -> dict[str, float]:
    """By linear algebra: the share of won walks that would be lost without each state."""
    states = sorted({state for here, there, _ in hops for state in (here, there)} - {"won", "lost"})
    place = {state: i for i, state in enumerate(states)}
    moves, wins = np.zeros((len(states), len(states))), np.zeros(len(states))
    for here, there, times in hops:
        if there == "won":
            wins[place[here]] += times
        elif there in place:
            moves[place[here], place[there]] += times
    leaving = np.array([sum(times for here, _, times in hops if here == state) for state in states])
    moves, wins = moves / leaving[:, None], wins / leaving

    def won(without: int | None) -> float:
        kept = moves.copy()
        if without is not None:
            kept[:, without] = 0
        return float(np.linalg.solve(np.eye(len(states)) - kept, wins)[place["start"]])

    return {state: 1 - won(i) / won(None) for state, i in place.items() if state != "start"}


def test_markov(ledger: Ledger, theirs: duckdb.DuckDBPyConnection) -> None:
    """The removal effects are those of the linear system that DuckDB's walks make, and what the model gives to each department in a
    channel, by month, is each deal's amount in their proportion, but for the rounding of less than a cent a touch point."""
    effects = removal_effects(theirs.execute("SELECT here, there, times FROM hop").fetchall())
    ours = {f"{one.department} {one.channel}": one.effect / markov.SCALE for one in ledger.effects}
    assert len(effects) > 5 and ours == pytest.approx(effects, abs=1e-8)
    weigh = " ".join(f"WHEN '{state}' THEN {effect!r}" for state, effect in effects.items())
    rows = theirs.execute(
        f"""WITH weighed AS (SELECT *, CASE department || ' ' || channel {weigh} END / alike AS w FROM step),
            shared AS (SELECT *, amount * w / sum(w) OVER (PARTITION BY deal_id) AS value FROM weighed)
            SELECT month, currency, department, channel, sum(value), count(*) FROM shared GROUP BY ALL"""
    ).fetchall()
    given: Counter[tuple[str, ...]] = Counter()
    for f in ledger.figures:
        if f.measure == CREDIT + "markov" and f.department != UNATTRIBUTED:
            given[f.month, f.currency, f.department, f.channel] += f.value
    assert given.keys() == {tuple(row[:4]) for row in rows}
    for *key, value, points in rows:
        assert abs(given[tuple(key)] - value) <= points + 1e-6 * value, key


def test_spend(ledger: Ledger, theirs: duckdb.DuckDBPyConnection) -> None:
    """The spend of each department and month is the sum of its days, but for the rounding of less than a cent a cost."""
    rows = theirs.execute("SELECT month, currency, department, sum(value), count(*) FROM spend GROUP BY ALL").fetchall()
    ours: Counter[tuple[str, str, str]] = Counter()
    for f in ledger.figures:
        if f.measure.startswith(SPEND):
            ours[f.month, f.currency, f.department] += f.value
    assert ours.keys() == {tuple(row[:3]) for row in rows}
    assert all(abs(ours[month, currency, department] - value) <= 16 for month, currency, department, value, _ in rows)
    assert ledger.total(SPEND, "EUR") == 144_464_07
