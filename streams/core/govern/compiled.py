"""A policy's rules made ready: rules in force, filters that are asked once for each sort of contact, the longest look back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from streams.core.claims.offers import normal
from streams.core.entry import Entry
from streams.core.govern import counting, facts, pairs, times
from streams.core.govern.loading import account_wide, kind_of, on_companies, on_plans, on_timelines
from streams.core.govern.policy import Counting, Filter, Governance, NeverWith, Rule
from streams.core.govern.records import USUAL_KIND, Reached
from streams.core.govern.ruling import Ruling
from streams.core.govern.windows import reach_ms
from streams.core.policy import Policy, fingerprint
from streams.core.touch import OPT_OUT_KINDS

KINDS: dict[str, type[Ruling]] = {
    "frequency_cap": counting.Cap,
    "account_cap": counting.PeopleCap,
    "department_overlap": pairs.Overlap,
    "minimum_gap": pairs.Gap,
    "duplicate_campaign": pairs.SameCampaign,
    "duplicate_sequence": pairs.TwoSequences,
    "never_with": pairs.Incompatible,
    "quiet_hours": times.Quiet,
    "holidays": times.Holiday,
    "opt_out": facts.OptedOut,
    "consent": facts.Unconsented,
    "do_not_contact": facts.Listed,
    "owner_collision": facts.OwnedByOther,
    "open_deal": facts.InDeal,
    "sales_lead": facts.WithSales,
    "after_reply": facts.Replied,
    "rejection_cool_down": facts.Rejected,
    "stale_offer": facts.Stale,
}

_ATTRIBUTES = {"actor": "actor_id"}
_MEMORY = 10_000
"""Sorts of contacts whose filters are remembered."""


class Matched(NamedTuple):
    """Which rules a sort of contact is subject to, and which it counts towards, by their place; of rules about two offers, those in
    which it makes the first, and the second. `rulings` are those that it is subject to, each with whether it counts towards it, `stopping`
    those of them that do more than tell."""

    applies: tuple[int, ...]
    counts: tuple[int, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    rulings: tuple[tuple[Ruling, bool], ...]
    stopping: tuple[tuple[Ruling, bool], ...]


class Compiled:
    """Rules in force, and what they need to know of a policy. `reacting` says which rules look at touches of a kind, `telling` are the
    kinds that say something besides being a contact. `describes`: some rule depends on the customer's time zone, country or
    account, or sends to whom the account belongs; `selects`: some rule is for a segment only, or exempts by priority."""

    def __init__(self, policy: Policy, rules: Iterable[Rule]) -> None:
        self.policy = policy
        self.governance: Governance = policy.governance
        self.rulings = tuple(KINDS[kind_of(rule)](rule, i) for i, rule in enumerate(rules))
        self.reach_ms = max((reach_ms(ruling.rule) for ruling in self.rulings), default=0)
        self.account_wide = frozenset(ruling.i for ruling in self.rulings if account_wide(ruling.rule))
        self.reacting: dict[str, tuple[int, ...]] = {}
        for ruling in self.rulings:
            for kind in (*getattr(ruling.rule, "replies", ()), *getattr(ruling.rule, "rejections", ())):
                self.reacting[kind] = (*self.reacting.get(kind, ()), ruling.i)
        self.telling = OPT_OUT_KINDS | self.reacting.keys()
        self.describes = any(
            not ruling.everyone
            or isinstance(ruling, times.Quiet | times.Holiday | facts.Stale)
            or getattr(ruling, "calendar", False)
            or ((isinstance(ruling, facts.OwnedByOther) or ruling.rule.action == "reroute") and policy.leads.owners)
            for ruling in self.rulings
        )
        self.selects = any(
            not ruling.everyone or ruling.rule.exempt_from_priority is not None for ruling in self.rulings
        )
        self.deadlines = {
            name: campaign.deadline for name, campaign in policy.campaigns.items() if campaign.deadline is not None
        }
        self._sides = [_Sides(ruling.rule) for ruling in self.rulings]
        used = {name for ruling in self.rulings for one in _filters(ruling.rule) for name in _given(one)}
        self._offers = "offer" in used
        names = sorted({_ATTRIBUTES.get(name, name) for name in used - {"offer"}} | {"channel", "department"})
        self._names = names
        self._sort = attrgetter(*names)
        self._known: dict[Any, Matched] = {}
        self._version: str | None = None

    @property
    def version(self) -> str:
        """The policy's name for itself and its fingerprint: `2026-03@1f2e3d4c5b6a`."""
        if self._version is None:
            self._version = f"{self.governance.version}@{fingerprint(self.policy)}"
        return self._version

    def match(self, contact: Reached) -> Matched:
        """Which rules the contact is subject to and counts towards."""
        sort = self._sort(contact)
        if self._offers:
            sort = (sort, offers_of(contact))
        known = self._known.get(sort)
        if known is None:
            if len(self._known) >= _MEMORY:
                self._known.clear()
            known = self._known[sort] = self._match(contact)
        return known

    def _match(self, contact: Reached) -> Matched:
        values: _Values = {
            name: (getattr(contact, _ATTRIBUTES.get(name, name)) or "",)
            for name in Filter.__struct_fields__
            if name != "offer"
        }
        values["kind"] = (contact.kind or USUAL_KIND.get(contact.channel, ""),)
        values["actor_kind"] = (contact.actor_kind or "unknown",)
        values["offer"] = offers_of(contact) or ("",)
        sides = [(i, side) for i, side in enumerate(self._sides)]
        applies = tuple(i for i, side in sides if side.is_subject(values))
        counts = tuple(i for i, side in sides if side.is_counted(values))
        rulings = tuple((self.rulings[i], i in counts) for i in applies)
        return Matched(
            applies,
            counts,
            tuple(i for i, side in sides if side.first and _any(side.first, values)),
            tuple(i for i, side in sides if side.second and _any(side.second, values)),
            rulings,
            tuple(pair for pair in rulings if pair[0].rule.action != "alert"),
        )


_Values = dict[str, tuple[str, ...]]
_Ready = tuple[dict[str, frozenset[str]], ...]


class _Sides:
    """The filters of one rule."""

    def __init__(self, rule: Any) -> None:
        self.applies_to, self.exempt = _ready(rule.applies_to), _ready(rule.exempt)
        self.counting = isinstance(rule, Counting)
        self.counts, self.ignores = (_ready(rule.counts), _ready(rule.ignores)) if self.counting else ((), ())
        self.first, self.second = (_ready(rule.a), _ready(rule.b)) if isinstance(rule, NeverWith) else ((), ())

    def is_subject(self, values: _Values) -> bool:
        if self.first and not _any((*self.first, *self.second), values):
            return False
        return _one_of(self.applies_to, self.exempt, values)

    def is_counted(self, values: _Values) -> bool:
        if self.first:
            return _any((*self.first, *self.second), values)
        return self.counting and _one_of(self.counts, self.ignores, values)


def _ready(filters: tuple[Filter, ...]) -> _Ready:
    return tuple(
        {name: frozenset(map(normal, some) if name == "offer" else some) for name, some in _given(one).items()}
        for one in filters
    )


def _given(one: Filter) -> dict[str, tuple[str, ...]]:
    return {name: getattr(one, name) for name in one.__struct_fields__ if getattr(one, name)}


def _one_of(wanted: _Ready, unwanted: _Ready, values: _Values) -> bool:
    return (not wanted or _any(wanted, values)) and not _any(unwanted, values)


def _any(filters: _Ready, values: _Values) -> bool:
    return any(all(not some.isdisjoint(values[name]) for name, some in one.items()) for one in filters)


def _filters(rule: Any) -> Iterator[Filter]:
    for name in ("applies_to", "exempt", "counts", "ignores", "a", "b"):
        yield from getattr(rule, name, ())


def offers_of(contact: Reached) -> tuple[str, ...]:
    """The names of the offers that a contact makes, in normal form."""
    if isinstance(contact, Entry):
        return tuple(claim.value for claim in contact.claims if claim.kind == "offer") if contact.claims else ()
    return (normal(contact.offer),) if contact.offer else ()


Use = Literal["checks", "findings", "plans", "history"]
"""Rules for checks; those that are found after the fact; those that a timeline can tell of plans; and those that all timelines can of the
past."""

_USES: dict[Use, Callable[[Rule], bool]] = {
    "checks": lambda rule: True,
    "findings": lambda rule: rule.find and on_timelines(rule),
    "plans": on_plans,
    "history": lambda rule: on_timelines(rule) or on_companies(rule),
}

_ready_made: dict[tuple[int, Use], tuple[Policy, Compiled]] = {}
"""Of the policies in use; the policy itself is kept, so that no other one can have its address."""


def of(policy: Policy, use: Use = "checks") -> Compiled:
    """The policy's enabled rules for one use. Made once for each policy object."""
    known = _ready_made.get((id(policy), use))
    if known is not None:
        return known[1]
    compiled = Compiled(policy, [rule for rule in policy.rules if rule.enabled and _USES[use](rule)])
    if len(_ready_made) >= 16:
        _ready_made.clear()
    _ready_made[id(policy), use] = (policy, compiled)
    return compiled
