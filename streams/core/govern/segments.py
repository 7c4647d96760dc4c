"""Which customers are in a segment of the policy: one answer for rules, teams, and whatever else is for some customers only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.core.govern.expressions import ExpressionError, attributes_of, expression
from streams.core.govern.mistakes import Problem
from streams.core.govern.policy import Segment
from streams.core.govern.positions import Path


def within(
    segment: Segment,
    country: str | None = None,
    time_zone: str | None = None,
    account: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> bool:
    """Whether a customer of whom this is known is in the segment: each list has their value, "" when it is not known, and the expression
    holds. A country is the same in capital and small letters."""
    land = (country or "").upper()
    if segment.country and land not in segment.country and land not in map(str.upper, segment.country):
        return False
    if not (_has(segment.time_zone, time_zone) and _has(segment.account, account)):
        return False
    given = attributes or {}
    if segment.attributes and not all(given.get(name, "") in some for name, some in segment.attributes.items()):
        return False
    return not segment.where or expression(segment.where).holds(land, time_zone, account, given)


def _has(allowed: tuple[str, ...], value: str | None) -> bool:
    return not allowed or (value or "") in allowed


def needs_attributes(segment: Segment) -> bool:
    """Whether it asks for what only the one who asks for a check can know."""
    return bool(segment.attributes or (segment.where and attributes_of(segment.where)))


def mistakes(segment: Segment, where: str, at: Path) -> Iterator[Problem]:
    """What is wrong with the expression of a segment that stands at a path of the policy file, in words and as keys."""
    if not segment.where:
        return
    try:
        expression(segment.where)
    except ExpressionError as error:
        for one in error.mistakes:
            told = f"{one.what} (column {one.column})"
            yield Problem(f"{where}.where", (*at, "where", one.line - 1), told)
