"""The credits of one won deal in cells: what a stream can add when the deal is won, and take back when it changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from streams.core.ledger.attribution import State, credits
from streams.core.ledger.policy import LedgerPolicy, Model
from streams.core.ledger.result import Line
from streams.core.ledger.types import NO_TOUCH, Cell, JourneyTouch


def add_credit(
    cells: Counter[Cell], line: Line, model: Model, policy: LedgerPolicy, effects: Mapping[State, int]
) -> None:
    """What a won deal credits to each cell by a model; all to `NO_TOUCH` when no touch point led to it."""
    if not line.touches:
        cells[NO_TOUCH] += line.amount
        return
    points = [
        JourneyTouch(one.at, one.touch_id, one.department, one.channel, None, None, None, "", "")
        for one in line.touches
    ]
    parts = credits(model, line.amount, points, policy, effects)
    for one, part in zip(line.touches, parts, strict=True):
        cells[Cell(one.department, one.channel, one.campaign, one.rep)] += part
