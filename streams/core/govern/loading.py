"""`[[rules]]` of a policy file as records: over the shipped ones by name, and what no type can say about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streams.core.govern import segments
from streams.core.govern.clocks import known_zone
from streams.core.govern.defaults import RULES
from streams.core.govern.mistakes import Problem, narrowed, problem, suggestion
from streams.core.govern.policy import AccountCap, Counting, Governance, OwnerCollision, Rule, SalesLead
from streams.core.govern.windows import reach_ms

_DAY_MS = 86_400_000


def rules(raw: Any) -> tuple[tuple[Rule, ...], list[Problem]]:
    """The shipped rules with those of a file: one of a shipped name changes what it gives, a new name is a new rule."""
    if not isinstance(raw, list):
        return RULES, [Problem("rules", ("rules",), "Expected tables, written [[rules]]")]
    known = {rule.name: rule for rule in RULES}
    shipped, wrong = dict(known), list[Problem]()
    named: set[str] = set()
    for i, given in enumerate(raw):
        at = ("rules", i)
        told = _unusable(given, i, shipped, named)
        if told is None:
            named.add(given["name"])
            values = _over(shipped.get(given["name"]), given)
            told = problem(values, Rule, at)
            if told is None:
                rule = known[given["name"]] = msgspec.convert(values, Rule)
                wrong += segments.mistakes(rule.segment, f"rules[{i}].segment", (*at, "segment"))
            else:
                told = narrowed(told, values, Rule, at)
        if told is not None:
            wrong.append(told)
    return tuple(known.values()), wrong


def _unusable(given: Any, i: int, shipped: dict[str, Rule], named: set[str]) -> Problem | None:
    where = f"rules[{i}]"
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        return Problem(where, ("rules", i), "a rule needs a `name`, as text")
    name = given["name"]
    if name in named:
        return Problem(f"{where}.name", ("rules", i, "name"), f"two rules have the name `{name}`")
    if "kind" not in given and name not in shipped:
        return Problem(
            f"{where}.name",
            ("rules", i, "name"),
            f"a new rule needs a `kind`, and no shipped rule has the name `{name}`" + suggestion(name, shipped),
        )
    return None


def _over(shipped: Rule | None, given: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(shipped) if shipped is not None else {}
    return {**values, **given} if given.get("kind", values.get("kind")) == values.get("kind") else given


def disagreements(
    rules: Sequence[Rule], governance: Governance, retention_days: float, raw: Sequence[dict[str, Any]] = ()
) -> list[Problem]:
    """What cannot work although each value is allowed: unknown time zones, and windows that a timeline does not hold."""
    found = [
        Problem(f"governance.time_zones[{n}]", ("governance", "time_zones", n), f"`{name}` is no IANA time zone")
        for n, name in enumerate(governance.time_zones)
        if known_zone(name) is None
    ]
    places = {given.get("name"): i for i, given in enumerate(raw)}
    for rule in rules:
        longest = reach_ms(rule) / _DAY_MS
        i = places.get(rule.name)
        looked_at = rule.enabled and on_timelines(rule) and (governance.findings or i is not None)
        if looked_at and longest > retention_days:
            found.append(
                Problem(
                    f"rules.{rule.name}" if i is None else f"rules[{i}]",
                    ("rules",) if i is None else ("rules", i, "window"),
                    f"the rule `{rule.name}` looks back {longest:g} days, but timeline.retention_days keeps only"
                    f" {retention_days:g}; lengthen the retention or shorten the window",
                )
            )
    return found


_ONLY_ASKED = ("do_not_contact", "owner_collision", "open_deal", "sales_lead")


def on_timelines(rule: Rule) -> bool:
    """Whether a customer's timeline alone tells who broke the rule, so that it can be found after the fact."""
    return _on_touches(rule) and not account_wide(rule)


def on_plans(rule: Rule) -> bool:
    """Whether the timeline as it stands tells whether a plan would break the rule: it knows who has the lead now, and of what account the
    customer is, while of the past it does not tell what was known when."""
    return on_timelines(rule) or (
        isinstance(rule, SalesLead | OwnerCollision) and not segments.needs_attributes(rule.segment)
    )


def on_companies(rule: Rule) -> bool:
    """Whether the timelines of a company's people tell it, and only all of them together."""
    return _on_touches(rule) and account_wide(rule)


def account_wide(rule: Rule) -> bool:
    """Whether it counts what everybody of the customer's company got."""
    return isinstance(rule, AccountCap) or (isinstance(rule, Counting) and rule.scope == "account")


def _on_touches(rule: Rule) -> bool:
    if kind_of(rule) in _ONLY_ASKED or segments.needs_attributes(rule.segment):
        return False
    # What no record says anything of may be known to whoever asks.
    return getattr(rule, "reach", "") != "category" and getattr(rule, "unknown", "allow") == "allow"


def kind_of(rule: Rule) -> str:
    """The rule's kind, as the policy file calls it."""
    return str(rule.__struct_config__.tag)
