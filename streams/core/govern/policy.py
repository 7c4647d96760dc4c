"""The language of the policy's `[[rules]]`: one record a kind of rule, so that every knob is checked and offered by editors.

Conditions on contacts are tables of allowed values: an editor completes them from the JSON Schema, and a typo has a line number. What a
table cannot say (`or` over different attributes) a list of tables says. Which customers a rule is for may also be said by an expression
(`Segment.where`), since attributes are the company's own and want `or`, `not` and parts of names; its mistakes have lines, too.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from streams.core.outcome import Severity
from streams.core.touch import Channel, Department, Kind

Action = Literal["alert", "suppress", "delay_until", "reroute", "require_approval"]
"""What to do with a contact that breaks the rule: say so and let it pass; drop it; send it at the slot given; let the owner do it; ask."""

LENGTH = r"^[0-9]+([.][0-9]+)?(m|h|d|w)$"
WINDOW = r"^([0-9]+([.][0-9]+)?(m|h|d|w)|day|week|month)$"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
NAME = r"^[a-z0-9][a-z0-9_-]*$"

Length = Annotated[str, Meta(pattern=LENGTH)]
"""A length of time: "90m", "24h", "7d", "2w"."""

Window = Annotated[str, Meta(pattern=WINDOW)]
"""A length (rolling), or a calendar day, week (from Monday) or month in the customer's time zone."""

Clock = Annotated[str, Meta(pattern=CLOCK)]
"""Local time of day: "08:00", "24:00"."""

Where = Annotated[
    str,
    Meta(
        max_length=2000,
        description="CEL over country, time_zone, account and attributes.NAME, all text, and empty text where nobody has said so.",
        examples=['country in ["DE", "AT"] && attributes.plan == "enterprise" && !account.endsWith(".gov")'],
    ),
]
"""An expression that is true or false."""

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ActorKinds = Literal["person", "automation", "unknown"]
Limit = Annotated[int, Meta(ge=1, le=100_000)]


class Filter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which touches: every attribute given must have one of its values; "" stands for none given. Attributes are those of the touch as it
    was sent. `offer` is an offer's name, in any spelling of case and punctuation."""

    channel: tuple[Channel, ...] = ()
    department: tuple[Department, ...] = ()
    category: tuple[str, ...] = ()
    campaign: tuple[str, ...] = ()
    sequence: tuple[str, ...] = ()
    kind: tuple[Kind, ...] = ()
    actor: tuple[str, ...] = ()
    actor_kind: tuple[ActorKinds, ...] = ()
    offer: tuple[str, ...] = ()


class Segment(Struct, frozen=True, forbid_unknown_fields=True):
    """Which customers: country, time zone and account as their touches gave them; `attributes` as whoever asks gives them, so a rule
    with some is for checks only. `where` is an expression over the same (`streams.core.govern.expressions`). All given must hold."""

    country: tuple[str, ...] = ()
    time_zone: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    where: Where = ""


class Pair(Struct, frozen=True, forbid_unknown_fields=True):
    """The window between two departments; "0m" lets them be."""

    between: tuple[Department, Department]
    window: Length


class Common(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule has. A contact is subject to it when it matches one of `applies_to` (none: all) and none of `exempt`, and has a
    priority below `exempt_from_priority`. `find`: with `governance.findings`, contacts that broke it are conflict findings. Of several
    broken rules the one with the highest `priority` says what to do."""

    name: Annotated[str, Meta(pattern=NAME, max_length=60)]
    enabled: bool = True
    find: bool = True
    segment: Segment = Segment()
    applies_to: tuple[Filter, ...] = ()
    exempt: tuple[Filter, ...] = ()
    exempt_from_priority: int | None = None
    action: Action = "suppress"
    severity: Severity = "medium"
    priority: Annotated[int, Meta(ge=0, le=100)] = 50


class Counting(Common, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules about other contacts: those that match one of `counts` (none: all) and none of `ignores`. `scope = "account"` looks at the
    contacts of everyone at the customer's company: such a rule is for checks, forecasts and back-tests; a worker sees one customer."""

    scope: Literal["person", "account"] = "person"
    counts: tuple[Filter, ...] = ()
    ignores: tuple[Filter, ...] = ()


class FrequencyCap(Counting, frozen=True, kw_only=True, tag_field="kind", tag="frequency_cap"):
    """At most `limit` contacts in a window, in all or `per` channel, category, department or campaign."""

    window: Window
    limit: Limit
    per: Literal["all", "channel", "category", "department", "campaign"] = "all"


class AccountCap(Counting, frozen=True, kw_only=True, tag_field="kind", tag="account_cap"):
    """At most `limit` people of one company contacted in a window. Its scope is always the account."""

    window: Window
    limit: Limit


class DepartmentOverlap(Counting, frozen=True, kw_only=True, tag_field="kind", tag="department_overlap"):
    """Contacts of two departments are at least `window` apart; `pairs` have their own."""

    window: Length = "24h"
    pairs: tuple[Pair, ...] = ()


class MinimumGap(Counting, frozen=True, kw_only=True, tag_field="kind", tag="minimum_gap"):
    """Contacts are at least `window` apart, in all or `per` channel, category, department or campaign."""

    window: Length
    per: Literal["all", "channel", "category", "department", "campaign"] = "all"


class DuplicateCampaign(Counting, frozen=True, kw_only=True, tag_field="kind", tag="duplicate_campaign"):
    """A campaign reaches a customer once in the window, in each channel or in all. The steps of one sequence are no duplicates."""

    window: Length = "30d"
    per: Literal["all", "channel"] = "channel"


class DuplicateSequence(Counting, frozen=True, kw_only=True, tag_field="kind", tag="duplicate_sequence"):
    """No step of a sequence within the window of a step of another one, or of the same one by somebody else."""

    window: Length = "14d"


class NeverWith(Common, frozen=True, kw_only=True, tag_field="kind", tag="never_with"):
    """Who got one of `a` does not get one of `b` within the window, nor the other way round, unless `ordered`."""

    a: Annotated[tuple[Filter, ...], Meta(min_length=1)]
    b: Annotated[tuple[Filter, ...], Meta(min_length=1)]
    window: Length = "30d"
    ordered: bool = False


class QuietHours(Common, frozen=True, kw_only=True, tag_field="kind", tag="quiet_hours"):
    """No contact from `start` to `end` of the customer's local time, past midnight when `end` is not later, on the days on which it
    starts."""

    start: Clock
    end: Clock
    days: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Holidays(Common, frozen=True, kw_only=True, tag_field="kind", tag="holidays"):
    """No contact on nation-wide public holidays of the customer's country."""


class OptOut(Common, frozen=True, kw_only=True, tag_field="kind", tag="opt_out"):
    """No contact after an unsubscribe or a complaint: in its `channel`, in `all`, or, when it names a category, only of that `category`
    in its channel. The last is for checks only: old opt-outs are kept by channel."""

    reach: Literal["channel", "all", "category"] = "channel"


class ConsentRule(Common, frozen=True, kw_only=True, tag_field="kind", tag="consent"):
    """The least permissive consent record for the channel and the purpose (the contact's category) holds; `unknown` says what no record
    means."""

    unknown: Literal["allow", "deny"] = "allow"


class DoNotContact(Common, frozen=True, kw_only=True, tag_field="kind", tag="do_not_contact"):
    """Nobody on the list, and nobody at a company on it."""


class OwnerCollision(Common, frozen=True, kw_only=True, tag_field="kind", tag="owner_collision"):
    """Only the owner contacts an owned customer, of the people in the departments that it applies to. The owner is whom the one who asks
    names, else the rep who has the customer's lead, else the account's by `[leads.owners]`."""


class OpenDeal(Common, frozen=True, kw_only=True, tag_field="kind", tag="open_deal"):
    """No contact while sales has an open deal."""


class SalesLead(Common, frozen=True, kw_only=True, tag_field="kind", tag="sales_lead"):
    """No contact while sales has the customer's lead: from the hand-off until it is given back, won or lost."""


class AfterReply(Common, frozen=True, kw_only=True, tag_field="kind", tag="after_reply"):
    """No contact for a `window` after one of these reactions. Who contacts in person is best exempt."""

    window: Length = "7d"
    replies: tuple[Kind, ...] = ("replied",)


class RejectionCoolDown(Common, frozen=True, kw_only=True, tag_field="kind", tag="rejection_cool_down"):
    """After `limit` of these kinds within `window` no contact for a `pause`, in all channels or only in that of the rejections."""

    limit: Limit
    window: Length
    pause: Length
    rejections: tuple[Kind, ...] = ("no_answer",)
    per: Literal["all", "channel"] = "all"


class StaleOffer(Common, frozen=True, kw_only=True, tag_field="kind", tag="stale_offer"):
    """No contact about an offer that has ended: the day of its deadline, as the message or its campaign's facts state it, is the last."""


Rule = (
    FrequencyCap
    | AccountCap
    | DepartmentOverlap
    | MinimumGap
    | DuplicateCampaign
    | DuplicateSequence
    | NeverWith
    | QuietHours
    | Holidays
    | OptOut
    | ConsentRule
    | DoNotContact
    | OwnerCollision
    | OpenDeal
    | SalesLead
    | AfterReply
    | RejectionCoolDown
    | StaleOffer
)


class Governance(Struct, frozen=True, forbid_unknown_fields=True):
    """`version` is the policy's own name for itself. `findings`: contacts that broke a rule are reported as conflicts. `time_zones` and
    `countries` stand for unknown ones: quiet hours and holidays of all of them hold, calendars are those of the first. `horizon_days`:
    how far ahead a slot is looked for. `degraded`: what a check answers that cannot see enough: no, or what the rest says."""

    version: Annotated[str, Meta(min_length=1, max_length=80)] = "shipped"
    findings: bool = False
    time_zones: Annotated[tuple[str, ...], Meta(min_length=1)] = ("UTC",)
    countries: tuple[str, ...] = ()
    horizon_days: Annotated[float, Meta(gt=0, le=366)] = 30
    degraded: Literal["fail_closed", "fail_open"] = "fail_closed"
