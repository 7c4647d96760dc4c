"""The policy: every number a rule uses, validated, with its reason in `streams/policy.toml`.

`parse` reads TOML text; what a file leaves out keeps the default, a name it does not know is an error.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from streams.core.govern import loading, positions
from streams.core.govern.defaults import RULES
from streams.core.govern.mistakes import Problem, problems
from streams.core.govern.policy import NAME, Governance, Rule, Segment
from streams.core.identify import ROLE_ADDRESSES
from streams.core.identity_graph import SHARED_AFTER
from streams.core.leads import checks as lead_checks
from streams.core.leads.policy import LeadsPolicy, Team, consequences
from streams.core.ledger.policy import LedgerPolicy
from streams.core.outcome import Severity
from streams.core.touch import Department, Kind

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000

Positive = Annotated[float, Meta(gt=0, le=36_500)]


class PolicyError(ValueError):
    """A policy file that cannot be used; the text says where and what is allowed."""


class TouchPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    max_future_minutes: Positive = 60
    late_after_days: Positive = 7

    @property
    def future_ms(self) -> int:
        return int(self.max_future_minutes * MINUTE_MS)

    @property
    def late_ms(self) -> int:
        return int(self.late_after_days * DAY_MS)


class TimelinePolicy(Struct, frozen=True, forbid_unknown_fields=True):
    retention_days: Positive = 90
    max_touches: Annotated[int, Meta(ge=10, le=100_000)] = 1000

    @property
    def retention_ms(self) -> int:
        return int(self.retention_days * DAY_MS)


class CallsPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    join_minutes: Positive = 60

    @property
    def join_ms(self) -> int:
        return int(self.join_minutes * MINUTE_MS)


class IdentityPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """`role_addresses` are local parts of mail addresses, lower case."""

    role_addresses: tuple[str, ...] = tuple(sorted(ROLE_ADDRESSES))
    same_mailbox: bool = False
    shared_after: Annotated[int, Meta(ge=1, le=50)] = SHARED_AFTER
    conflict_severity: Severity = "medium"


class DoubleContactPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    window_hours: Positive = 24
    severity: Severity = "high"

    @property
    def window_ms(self) -> int:
        return int(self.window_hours * HOUR_MS)


class OptOutPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    scope: Literal["channel", "all"] = "channel"
    severity: Severity = "high"


class IncongruencePolicy(Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    window_days: Positive = 30
    severity: Severity = "medium"

    @property
    def window_ms(self) -> int:
        return int(self.window_days * DAY_MS)


class CampaignFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """What a campaign promises. `price` is "49 EUR" or "49 EUR/month", `discount` "20%" or "15 EUR", `deadline` a date."""

    offer: str | None = None
    product: str | None = None
    price: str | None = None
    discount: str | None = None
    deadline: dt.date | None = None


def _default_weights() -> dict[Kind, float]:
    return {
        "opened": 1,
        "clicked": 10,
        "ad_click": 10,
        "profile_view": 5,
        "replied": 50,
        "lead_form": 50,
        "meeting": 50,
    }


class Fit(Struct, frozen=True, forbid_unknown_fields=True):
    """Points for customers in the `segment`, for what they are and not for what they did: they do not decay. Below 0 for those whom sales
    should not get."""

    name: Annotated[str, Meta(pattern=NAME, max_length=60)]
    points: Annotated[float, Meta(ge=-36_500, le=36_500)]
    segment: Segment


class HandoffPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """`threshold` is what engagement and `fit` must reach together."""

    enabled: bool = True
    threshold: Positive = 50
    half_life_days: Positive = 14
    request_kinds: tuple[Kind, ...] = ("lead_form", "replied")
    departments: tuple[Department, ...] = ("marketing",)
    cool_down_days: Annotated[float, Meta(ge=0, le=36_500)] = 30
    rearm_below: Annotated[float, Meta(gt=0, le=1)] = 0.5
    due_hours: Positive = 4
    recent_campaign_days: Positive = 30
    severity: Severity = "medium"
    weights: dict[Kind, Annotated[float, Meta(ge=0)]] = field(default_factory=_default_weights)
    fit: tuple[Fit, ...] = ()


class ErasurePolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds after a person was erased."""

    later_touches: Literal["refuse", "fresh"] = "refuse"
    grace_minutes: Positive = 60

    @property
    def for_good(self) -> bool:
        """Whether a person who was erased is not taken in again."""
        return self.later_touches == "refuse"

    @property
    def grace_ms(self) -> int:
        return int(self.grace_minutes * MINUTE_MS)


class PlannedPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """Which planned touches are judged, when they are past, and what they are to checks of other contacts."""

    enabled: bool = True
    checks: Literal["tell", "hold", "ignore"] = "tell"
    horizon_days: Annotated[float, Meta(gt=0, le=366)] = 30
    grace_hours: Annotated[float, Meta(ge=0, le=8784)] = 24

    @property
    def horizon_ms(self) -> int:
        return int(self.horizon_days * DAY_MS)

    @property
    def grace_ms(self) -> int:
        return int(self.grace_hours * HOUR_MS)


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """All rules' numbers. The defaults here and in `streams/policy.toml` are the same; a test compares them."""

    touch: TouchPolicy = TouchPolicy()
    timeline: TimelinePolicy = TimelinePolicy()
    identity: IdentityPolicy = IdentityPolicy()
    calls: CallsPolicy = CallsPolicy()
    double_contact: DoubleContactPolicy = DoubleContactPolicy()
    contact_after_opt_out: OptOutPolicy = OptOutPolicy()
    incongruent_message: IncongruencePolicy = IncongruencePolicy()
    handoff: HandoffPolicy = field(default_factory=HandoffPolicy)
    erasure: ErasurePolicy = ErasurePolicy()
    planned: PlannedPolicy = PlannedPolicy()
    ledger: LedgerPolicy = field(default_factory=LedgerPolicy)
    leads: LeadsPolicy = field(default_factory=LeadsPolicy)
    teams: tuple[Team, ...] = ()
    governance: Governance = Governance()
    rules: tuple[Rule, ...] = RULES
    campaigns: dict[str, CampaignFacts] = field(default_factory=dict)


def parse(text: str, name: str = "policy") -> Policy:
    """A policy from TOML text. `name` stands in the error text (the file's path).

    Raises:
        PolicyError: not TOML, an unknown name, a value out of range, or windows longer than the timeline's retention. One line for
            each section and rule that is wrong, with its place: `name:12: rules[0].window: ...`.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name} is not TOML: {error}") from None
    values = _with_defaults(values)
    written = values.pop("rules", [])
    rules, wrong = loading.rules(written)
    try:
        policy = replace(msgspec.convert(values, Policy), rules=rules)
    except msgspec.ValidationError:
        wrong = [*problems(values, Policy), *wrong]
        policy = Policy()
    wrong = wrong or _disagreements(policy, written)
    if wrong:
        lines = positions.lines(text)
        raise PolicyError("\n".join(one.text(name, lines) for one in wrong))
    return policy


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """A file that names one weight, or one consequence, keeps the default of the others; a weight of 0 takes a kind out."""
    for section, table, default in (("handoff", "weights", _default_weights()), ("leads", "on_reject", consequences())):
        around = values.get(section)
        given = around.get(table) if isinstance(around, dict) else None
        if isinstance(around, dict) and isinstance(given, dict):
            values = {**values, section: {**around, table: {**default, **given}}}
    return values


def fingerprint(policy: Policy) -> str:
    """Twelve hex digits that differ when the policy differs; stands in metrics and logs."""
    # A default may be written as 24, the same number read from a file is 24.0: converted, both are the same policy.
    same = msgspec.convert(msgspec.to_builtins(policy), Policy)
    return hashlib.sha256(msgspec.json.encode(same, order="deterministic")).hexdigest()[:12]


def _disagreements(policy: Policy, written: list[dict[str, Any]]) -> list[Problem]:
    """What cannot work although each value is allowed."""
    kept = policy.timeline.retention_days
    windows = {
        ("double_contact", "window_hours"): policy.double_contact.window_hours / 24,
        ("incongruent_message", "window_days"): policy.incongruent_message.window_days,
        ("handoff", "recent_campaign_days"): policy.handoff.recent_campaign_days,
    }
    found = [
        Problem(
            knob[0],
            knob,
            f"{'.'.join(knob)} looks back {days:g} days, but timeline.retention_days keeps only {kept:g};"
            " lengthen the retention or shorten the window",
        )
        for knob, days in windows.items()
        if days > kept
    ]
    found += lead_checks.disagreements(policy.leads, policy.teams)
    found += lead_checks.of_fit([(one.name, one.segment) for one in policy.handoff.fit])
    return found + loading.disagreements(policy.rules, policy.governance, kept, written)
