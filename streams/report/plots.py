"""The report's plots as SVG elements to stand in the page: no scripts, no fonts, no network, the same bytes for the same figures."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from streams.core.ledger import money
from streams.core.ledger.policy import MODELS
from streams.core.ledger.result import CREDIT, REVENUE, SPEND, Ledger
from streams.core.ledger.types import UNATTRIBUTED
from streams.report import words

COLOURS = {"marketing": "#2563eb", "sales": "#ea7317", "service": "#0f9d76", UNATTRIBUTED: "#b6bcc6"}
SPENT, EARNED, INK, QUIET = "#94a3b8", "#1e3a5f", "#1f2937", "#6b7280"
ANSWER_COLOURS = {"count": "#cbd5e1", "touched": "#94a3b8", "opportunities": "#60a5fa", "won": "#0f9d76"}

WIDTH = 5.6
"""Inches. On a phone the whole plot is as wide as the screen, with text of 8 pixels at the least; the style sheet makes it larger where
there is room."""

_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, sharp, selectable
    "svg.hashsalt": "touchstream",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": "#d1d5db",
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": QUIET,
    "ytick.color": INK,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
}


def spend_and_income(ledger: Ledger, currency: str) -> str:
    """What each department spent beside what its work brought in, by the policy's model."""
    spend, income = (
        ledger.by("department", SPEND, currency),
        ledger.by("department", CREDIT + ledger.policy.model, currency),
    )
    keys = words.departments(spend.keys() | income.keys())

    def draw(axes: Any) -> None:
        grouped(
            axes, [words.of(key) for key in keys],
            {"spent": [spend.get(key, 0) for key in keys], "brought in": [income.get(key, 0) for key in keys]},
            [SPENT, EARNED], lambda value: words.short_money(value, currency),
        )  # fmt: skip

    return svg(draw, 0.9 + 0.75 * len(keys), f"Spent and brought in by department, {currency}")


def models(ledger: Ledger, currency: str) -> str:
    """A row for each model: how it divides the closed revenue among the departments."""
    shares = {model: ledger.by("department", CREDIT + model, currency) for model in MODELS}
    keys = words.departments(set().union(*shares.values()))
    total = ledger.total(REVENUE, currency)
    if total <= 0 or any(value < 0 for of_one in shares.values() for value in of_one.values()):
        return ""  # there are no shares of what was paid back

    def draw(axes: Any) -> None:
        left = [0.0] * len(MODELS)
        for key in keys:
            widths = [100 * shares[model].get(key, 0) / total for model in MODELS]
            bars = axes.barh(
                range(len(MODELS)), widths, left=left, height=0.62, color=_colour(key), label=words.of(key)
            )
            axes.bar_label(
                bars, [f"{w:.0f} %" if w >= 7 else "" for w in widths], label_type="center", color="white", fontsize=9
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(MODELS)), [words.of(model) for model in MODELS])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.xaxis.set_visible(False)
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.tick_params(left=False)
        legend(axes)

    return svg(draw, 3.3, f"Shares of the closed revenue by department under each model, {currency}")


def months(ledger: Ledger, currency: str) -> str:
    """Spend and closed revenue month by month; empty for a single month."""
    spend, revenue = ledger.by("month", SPEND, currency), ledger.by("month", REVENUE, currency)
    if len(ledger.months) < 2:
        return ""

    def draw(axes: Any) -> None:
        places = range(len(ledger.months))
        unit = 10 ** money.decimals(currency)
        for shift, (label, values, colour) in enumerate((("spent", spend, SPENT), ("closed revenue", revenue, EARNED))):
            bars = axes.bar(
                [place + 0.38 * shift - 0.19 for place in places],
                [values.get(month, 0) / unit for month in ledger.months], 0.36, color=colour, label=label,
            )  # fmt: skip
            if len(ledger.months) <= 6:
                shown = [words.short_money(values.get(month, 0), currency) for month in ledger.months]
                axes.bar_label(bars, shown, padding=2, fontsize=9, color=QUIET)
        axes.set_xticks(places, [_tick(ledger.months, i) for i in places])
        axes.yaxis.set_major_formatter(lambda value, _: words.short_money(round(value * unit), currency))
        axes.grid(axis="y")
        axes.margins(y=0.14)
        legend(axes)

    return svg(draw, 2.9, f"Spent and closed revenue by month, {currency}")


def _tick(months: Sequence[str], i: int) -> str:
    """A month below its bars: with its year where that begins, and the number alone when there are too many for a name each."""
    name, year = words.month(months[i]).split()
    begins = i == 0 or months[i][:4] != months[i - 1][:4]
    if len(months) > 24:
        name = months[i][5:] if i % 3 == 0 else ""
    return f"{name}\n{year}" if begins else name


def answers(ledger: Ledger) -> str:
    """Hand-offs by sales' answer: how many, how many touched, how many became opportunities, how many were won."""
    rows = words.by_answer(ledger)
    series = {"count": "handed off", "touched": "touched by sales", "opportunities": "became opportunity", "won": "won"}

    def draw(axes: Any) -> None:
        values = {label: [getattr(row, name) for row in rows] for name, label in series.items()}
        grouped(axes, [words.of(row.answer) for row in rows], values, list(ANSWER_COLOURS.values()), str)

    return svg(draw, 0.9 + 0.95 * len(rows), "Hand-offs by sales' answer and what became of them") if rows else ""


def funnel(ledger: Ledger) -> str:
    """Customers by step and by the department that contacted them first."""
    keys = words.departments({step.department for step in ledger.funnel})
    steps = list(dict.fromkeys(step.step for step in ledger.funnel))
    far = {(step.department, step.step): step.customers for step in ledger.funnel}

    def draw(axes: Any) -> None:
        left = [0] * len(steps)
        for key in keys:
            widths = [far[key, step] for step in steps]
            axes.barh(
                range(len(steps)), widths, left=left, height=0.66, color=_colour(key), label=words.first_contact(key)
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
        for i, total in enumerate(left):
            of_last = f", {100 * total / left[i - 1]:.0f} % of the step before" if i and left[i - 1] else ""
            axes.text(total + 0.01 * max(left), i, f"{total:,}{of_last}", va="center", fontsize=9, color=QUIET)
        axes.set_yticks(range(len(steps)), [words.of(step) for step in steps])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.3 * max(left))
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        legend(axes)

    return svg(draw, 0.8 + 0.42 * len(steps), "Customers by step") if steps else ""


def grouped(
    axes: Any, rows: Sequence[str], series: dict[str, list[int]], colours: Sequence[str], shown: Callable[[int], str]
) -> None:
    """Horizontal bars, a group a row, each with its number behind it."""
    height = 0.8 / len(series)
    for n, ((label, values), colour) in enumerate(zip(series.items(), colours, strict=True)):
        places = [row + height * (n - (len(series) - 1) / 2) for row in range(len(rows))]
        bars = axes.barh(places, values, height * 0.9, color=colour, label=label)
        axes.bar_label(bars, [shown(value) for value in values], padding=4, fontsize=9, color=QUIET)
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)
    legend(axes)


def legend(axes: Any) -> None:
    """Above the plot, in two lines when one is too narrow."""
    names = axes.get_legend_handles_labels()[1]
    lines = 1 if sum(len(name) + 5 for name in names) <= 52 else 2
    axes.legend(ncols=-(-len(names) // lines), loc="lower left", bbox_to_anchor=(0, 1), handlelength=1)


def _colour(department: str) -> str:
    return COLOURS.get(department, "#7c3aed")


def svg(draw: Callable[[Any], None], height: float, label: str) -> str:
    """One plot of this height (inches) as an `svg` element whose ids are its own within the page."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", label.lower())
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
