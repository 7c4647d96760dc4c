"""The page of a back-test: two policies on one past. HTML that needs nothing else; the text stands in `policies.html.j2`."""

from __future__ import annotations

import datetime as dt
from typing import Any

from markupsafe import Markup

from streams.core import wording
from streams.core.govern import compiled
from streams.core.govern.backtest import Difference, Tally, monday
from streams.core.policy import Policy
from streams.report import plots, words
from streams.report.environment import templates

MOST = 15
"""Rows of a table before the smaller ones are summed up."""

COLOURS = ("#ea7317", "#0f9d76", "#94a3b8")


def render(found: Difference, new: Policy, current: Policy, since: int) -> str:
    """The page of contacts from `since` (UTC ms)."""
    names = new.governance.version, current.governance.version
    if names[0] == names[1]:
        names = "the new policy", "the current policy"
    tallies = {f"{names[0]} only": found.newly, f"{names[1]} only": found.no_longer, "both": found.both}
    first, until = max(found.first_at or 0, since), found.last_at or since
    return templates.get_template("policies.html.j2").render(
        found=found,
        new=names[0],
        current=names[1],
        new_version=compiled.of(new).version,
        current_version=compiled.of(current).version,
        since_day=wording.date(since),
        first_day=wording.date(first),
        last_day=wording.date(until),
        short=since > 0 and found.first_at is not None and found.first_at - since > 86_400_000,
        wrongly=f"{found.newly.followed:,}",
        any=any(tally.contacts for tally in tallies.values()),
        groups=[_group(by, tally, found.contacts) for by, tally in tallies.items()],
        by_department=Markup(_departments(tallies)),  # noqa: S704 - our own SVG; its texts are escaped by matplotlib
        by_week=Markup(_weeks(tallies, first, until)),  # noqa: S704 - as above
    )


def _group(by: str, tally: Tally, contacts: int) -> dict[str, Any]:
    tables = [
        {"of": of, "rows": _rows(counts, tally.contacts)}
        for of, counts in (
            ("rule", tally.by_rule),
            ("department", tally.by_department),
            ("campaign", tally.by_campaign),
        )
    ]
    return {
        "by": by,
        "tally": tally,
        "share": _share(tally.contacts, contacts),
        "followed": _share(tally.followed, tally.contacts),
        "many_rules": sum(tally.by_rule.values()) > tally.contacts,
        "tables": tables,
    }


def _rows(counts: dict[str, int], total: int) -> list[tuple[str, int, str]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [(words.of(name) if name else "No campaign", count) for name, count in ordered[:MOST]]
    if rest := ordered[MOST:]:
        shown.append((f"{len(rest)} others", sum(count for _, count in rest)))
    return [(name, count, _share(count, total)) for name, count in shown]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _departments(tallies: dict[str, Tally]) -> str:
    """A group of bars a department: what each policy alone stops, and what both do."""
    keys = words.departments(set[str]().union(*(tally.by_department for tally in tallies.values())))

    def draw(axes: Any) -> None:
        values = {by: [tally.by_department.get(key, 0) for key in keys] for by, tally in tallies.items()}
        plots.grouped(axes, [words.of(key) for key in keys], values, COLOURS, "{:,}".format)

    return plots.svg(draw, 0.9 + 0.8 * len(keys), "Stopped contacts by department") if keys else ""


def _weeks(tallies: dict[str, Tally], first: int, until: int) -> str:
    """Stopped contacts week by week; nothing for a single week."""
    weeks = [monday(first)]
    while weeks[-1] < monday(until):
        weeks.append(weeks[-1] + dt.timedelta(days=7))
    if len(weeks) < 2:
        return ""

    def draw(axes: Any) -> None:
        bottom = [0] * len(weeks)
        for (by, tally), colour in zip(tallies.items(), COLOURS, strict=True):
            heights = [tally.by_week.get(week, 0) for week in weeks]
            axes.bar(range(len(weeks)), heights, 0.7, bottom=bottom, color=colour, label=by)
            bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
        step = -(-len(weeks) // 9)
        axes.set_xticks(range(0, len(weeks), step), [f"{week.day} {week:%b}" for week in weeks[::step]])
        axes.grid(axis="y")
        plots.legend(axes)

    return plots.svg(draw, 2.8, "Stopped contacts by week, from its Monday")
