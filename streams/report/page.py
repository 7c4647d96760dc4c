"""The report's page: HTML that needs nothing else, neither files nor network. The text stands in `page.html.j2`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from streams.core.ledger.period import date_of
from streams.core.ledger.policy import MODELS, Model
from streams.core.ledger.result import CONFLICTS, CONTACTS, CREDIT, REVENUE, SPEND, TOUCHES, Ledger, roi
from streams.core.ledger.trace import WORDS, Change
from streams.core.ledger.types import DIMENSIONS, NONE, UNATTRIBUTED
from streams.report import plots, words
from streams.report.environment import templates

MOST = 12
"""Rows of a table before the smaller ones are summed up; all stand in the CSV."""
MOST_CAUSES = 6
LAST = (NONE, UNATTRIBUTED)
"""Keys of what belongs to nobody: below the others."""


def render(
    ledger: Ledger, earlier: Ledger | None = None, changes: tuple[Change, ...] = (), running: bool = False
) -> str:
    """The page. `changes` are those of the period of `earlier` since then; `running`: the period is not over."""
    return templates.get_template("page.html.j2").render(
        ledger=ledger,
        running=running,
        first_day=date_of(ledger.period.first),
        last_day=date_of(ledger.period.last),
        books=[_book(ledger, currency) for currency in ledger.currencies],
        touches=ledger.total(TOUCHES),
        contacts=ledger.total(CONTACTS),
        models=MODELS,
        quarrel=_quarrel(ledger),
        conflicts=_conflicts(ledger),
        funnel=_funnel(ledger),
        funnel_plot=Markup(plots.funnel(ledger)),  # noqa: S704 - our own SVG; its texts are escaped by matplotlib
        stages=_stages(ledger),
        earlier=earlier,
        changes=_changes(changes),
        changed_figures=len(changes),
        effects=sorted(ledger.effects, key=lambda one: -one.effect),
    )


def _book(ledger: Ledger, currency: str) -> dict[str, Any]:
    """What the page says of one currency."""
    spend, revenue = ledger.total(SPEND, currency), ledger.total(REVENUE, currency)
    lines = [line for line in ledger.lines if line.currency == currency]
    sales = [line for line in lines if not line.refund]
    return {
        "currency": currency,
        "spend": words.amount(spend, currency),
        "revenue": words.amount(revenue, currency),
        "roi": words.ratio(roi(revenue, spend)),
        "good": 0 < spend <= revenue,
        "each": words.amount(round(spend / len(sales)), currency) if spend > 0 and sales else None,
        "back": f"{revenue / spend:,.2f}" if spend > 0 else None,
        "deals": len(sales),
        "refunds": len(lines) - len(sales),
        "unattributed": sum(not line.touches for line in sales),
        "kinds": [(words.of(kind), words.amount(value, currency)) for kind, value in _kinds(ledger, currency)],
        "tables": [_table(ledger, currency, dimension) for dimension in (*DIMENSIONS, "month")],
        "spend_and_income": Markup(plots.spend_and_income(ledger, currency)),  # noqa: S704 - as above
        "models": Markup(plots.models(ledger, currency)),  # noqa: S704 - as above
        "months": Markup(plots.months(ledger, currency)),  # noqa: S704 - as above
    }


def _kinds(ledger: Ledger, currency: str) -> Iterable[tuple[str, int]]:
    kinds = ledger.by("measure", SPEND, currency)
    return [(measure.removeprefix(SPEND), value) for measure, value in sorted(kinds.items(), key=lambda item: -item[1])]


def _table(ledger: Ledger, currency: str, dimension: str) -> dict[str, Any]:
    """Touches, spend, income by every model and ROI by one dimension; the last row is the sum, which all models share."""
    touches, contacts = ledger.by(dimension, TOUCHES), ledger.by(dimension, CONTACTS)
    spend = ledger.by(dimension, SPEND, currency)
    income = {model: ledger.by(dimension, CREDIT + model, currency) for model in MODELS}
    main = income[ledger.policy.model]
    keys = sorted(
        spend.keys() | touches.keys() | set().union(*income.values()),
        key=lambda key: (key in LAST, key == UNATTRIBUTED, -main.get(key, 0), -spend.get(key, 0), key),
    )
    if dimension == "month":
        keys = list(ledger.months)
    elif dimension == "department":  # in the order of the plots
        keys = words.departments(keys)
    groups = [(_label(ledger, dimension, key), [key]) for key in keys]
    if len(keys) > MOST and dimension != "month":
        rest = [key for key in keys[MOST - 1 :] if key not in LAST]
        last = [group for group in groups[MOST - 1 :] if group[1][0] in LAST]
        groups = [*groups[: MOST - 1], (f"{len(rest)} others", rest), *last]
    rows = [
        _row(label, some, currency, touches, contacts, spend, income, ledger.policy.model) for label, some in groups
    ]
    total = _row("Sum", keys, currency, touches, contacts, spend, income, ledger.policy.model)
    return {
        "dimension": dimension,
        "rows": rows,
        "total": total,
        "elsewhere": bool(spend.get(NONE)) and dimension != "month",
    }


def _row(
    label: str, keys: list[str], currency: str, touches: dict[str, int], contacts: dict[str, int], spend: dict[str, int],
    income: Mapping[Model, dict[str, int]], model: Model,
) -> dict[str, Any]:  # fmt: skip
    def total(values: dict[str, int]) -> int:
        return sum(values.get(key, 0) for key in keys)

    spent = total(spend)
    others = sorted(total(values) for name, values in income.items() if name != model)
    bounds = [words.amount(value, currency) for value in (others[0], others[-1])]
    return {
        "label": label,
        "touches": f"{total(touches):,}",
        "contacts": f"{total(contacts):,}",
        "spend": words.amount(spent, currency),
        "income": {name: words.amount(total(values), currency) for name, values in income.items()},
        "range": bounds[0] if bounds[0] == bounds[1] else " to ".join(bounds),
        "earned": label == "Sum" or any(total(values) for values in income.values()),
        # What belongs to no channel, campaign or rep, such as a salary, has no return of its own.
        "roi": "–" if keys == [NONE] else words.ratio(roi(total(income[model]), spent)),
    }


def _label(ledger: Ledger, dimension: str, key: str) -> str:
    if dimension == "month":
        return words.month(key)
    if key == NONE:
        return f"No {dimension}"
    return ledger.reps.get(key, words.of(key)) if dimension == "rep" else words.of(key)


def _quarrel(ledger: Ledger) -> dict[str, Any] | None:
    """Hand-offs: sales' answer beside what became of them, and sales' reasons; None when no hand-off is known."""
    rows = words.by_answer(ledger)
    if not rows:
        return None
    reasons: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    campaigns: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for one in ledger.handoffs:
        if one.reason:
            reasons[one.answer, one.reason][0] += one.count
            reasons[one.answer, one.reason][1] += one.won
        of_campaign = campaigns[one.campaign]
        for i, value in enumerate(
            (one.count, one.count if one.answer == "accepted" else 0, one.opportunities, one.won)
        ):
            of_campaign[i] += value
    everything = words.Answer(
        "", sum(row.count for row in rows), sum(row.touched for row in rows), sum(row.opportunities for row in rows),
        sum(row.won for row in rows), {},
    )  # fmt: skip
    for row in rows:
        for currency, value in row.revenue.items():
            everything.revenue[currency] = everything.revenue.get(currency, 0) + value
    of = {row.answer: row for row in rows}
    return {
        "rows": [_answer(row, everything.count) for row in rows],
        "total": _answer(everything, everything.count),
        "accepted": words.percent(of["accepted"].count if "accepted" in of else 0, everything.count),
        "won": words.percent(everything.won, everything.count),
        "refused_but_won": sum(row.won for row in rows if row.answer not in ("accepted", "no_answer")),
        "accepted_but_idle": of["accepted"].count - of["accepted"].touched if "accepted" in of else 0,
        "reasons": [(words.of(answer), words.of(reason), n, won) for (answer, reason), (n, won) in
                    sorted(reasons.items(), key=lambda item: (-item[1][0], item[0]))],
        "campaigns": [(words.of(name), n, words.percent(yes, n), words.percent(opportunities, n), words.percent(won, n))
                      for name, (n, yes, opportunities, won) in sorted(campaigns.items(), key=lambda item: (-item[1][0], item[0]))[:MOST]],
        "plot": Markup(plots.answers(ledger)),  # noqa: S704 - as above
    }  # fmt: skip


def _answer(row: words.Answer, whole: int) -> dict[str, Any]:
    return {
        "label": words.of(row.answer) if row.answer else "Sum",
        "count": f"{row.count:,}",
        "share": words.percent(row.count, whole),
        "touched": words.percent(row.touched, row.count),
        "opportunities": words.percent(row.opportunities, row.count),
        "won": f"{row.won:,}",
        "conversion": words.percent(row.won, row.count),
        "revenue": [f"{words.amount(value, currency)} {currency}" for currency, value in sorted(row.revenue.items())],
    }


def _conflicts(ledger: Ledger) -> list[tuple[str, str, str, str]]:
    """Contacts, conflicts and conflicts for each 1,000 contacts, by the department whose contact made them; nothing where none is known."""
    contacts, conflicts = ledger.by("department", CONTACTS), ledger.by("department", CONFLICTS)
    if not conflicts:
        return []
    rows = [
        (words.of(one), contacts.get(one, 0), conflicts.get(one, 0))
        for one in words.departments({*contacts, *conflicts})
    ]
    rows.append(("Sum", sum(contacts.values()), sum(conflicts.values())))
    return [(name, f"{n:,}", f"{wrong:,}", f"{1000 * wrong / n:.1f}" if n else "–") for name, n, wrong in rows]


def _funnel(ledger: Ledger) -> dict[str, Any]:
    """Customers by step (rows) and department (columns), with the share that came from the step before."""
    columns = words.departments({step.department for step in ledger.funnel})
    far = {(step.department, step.step): step.customers for step in ledger.funnel}
    steps = list(dict.fromkeys(step.step for step in ledger.funnel))
    rows = []
    for i, step in enumerate(steps):
        counts = [far[department, step] for department in columns]
        before = [far[department, steps[i - 1]] for department in columns] if i else []
        cells = [(f"{n:,}", words.percent(n, before[k]) if i else "") for k, n in enumerate(counts)]
        rows.append((step, cells, (f"{sum(counts):,}", words.percent(sum(counts), sum(before)) if i else "")))
    return {"columns": [words.first_contact(column) for column in columns], "rows": rows}


def _stages(ledger: Ledger) -> list[tuple[str, list[tuple[int, str]]]]:
    """Deals opened in the period: a row a stage, (deals, amounts) a department."""
    found: defaultdict[str, dict[str, list[Any]]] = defaultdict(dict)
    for one in ledger.stages:
        cell = found[one.stage].setdefault(one.department, [0, []])
        cell[0] += one.deals
        if one.currency:
            cell[1].append(f"{words.amount(one.amount, one.currency)} {one.currency}")
    columns = words.departments({one.department for one in ledger.stages})
    order = ("open", "qualification", "proposal", "negotiation", "won", "lost")
    return [("", [(0, column) for column in columns])] + [
        (
            stage,
            [
                (found[stage][column][0], ", ".join(found[stage][column][1])) if column in found[stage] else (0, "")
                for column in columns
            ],
        )
        for stage in order
        if stage in found
    ]


def _changes(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    """The changes that a board asks about: revenue, spend, and credit of the departments under the policy's models, with their causes."""
    shown = [
        change for change in changes
        if change.dimension == "department" or (change.dimension == "all" and not change.measure.startswith(CREDIT))
    ]  # fmt: skip
    return [
        {
            "month": change.month,
            "currency": change.currency,
            "what": words.of(change.measure.removeprefix(CREDIT)),
            "credit": change.measure.startswith(CREDIT),
            "key": change.key,
            "before": words.amount(change.before, change.currency),
            "after": words.amount(change.after, change.currency),
            "delta": f"{'+' if change.delta > 0 else ''}{words.amount(change.delta, change.currency)}",
            "causes": [
                f"{WORDS[cause.kind]}{': ' + cause.record if cause.record else ''}"
                f"{' (touch ' + ', '.join(cause.touches[:3]) + (' …' if len(cause.touches) > 3 else '') + ')' if cause.touches else ''}"
                for cause in sorted(change.causes, key=lambda cause: -abs(cause.delta))[:MOST_CAUSES]
            ],
            "more": max(0, len(change.causes) - MOST_CAUSES),
        }
        for change in shown
    ]
