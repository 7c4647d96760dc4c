"""The facts of the ledger, each with its key and its rank: of two facts with one key the one that ranks higher holds."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from streams.core.leads.states import ChangeKind, State
from streams.core.ledger.types import DAY_MS, Cost, LeadReason, Stage
from streams.core.touch import Money
from streams.core.touch_check import EARLIEST_MS, LATEST_MS


class _Fact(Struct, frozen=True, gc=False, array_like=True):
    @property
    def key(self) -> bytes:
        """The fact's place: of all facts with one key one counts."""
        return f"{type(self).__struct_config__.tag}:{getattr(self, self.__struct_fields__[0])}".encode()


class TouchFact(_Fact, frozen=True, gc=False, array_like=True, tag="touch"):
    """A touch as the ledger needs it. `identifier` is the id of its own strongest identifier, `resolved_at` the index's clock (us) at the
    last look-up."""

    touch_id: str
    version: int
    deleted: bool
    at: int
    department: str
    channel: str
    campaign: str | None
    actor: str | None
    actor_name: str | None
    actor_kind: str | None
    direction: str
    kind: str
    interaction_id: str | None
    cost: Money | None
    identifier: str
    resolved_at: int


class HomeFact(_Fact, frozen=True, gc=False, array_like=True, tag="home"):
    """Touches of this identifier belong to this customer, as the index said at `at` (us)."""

    identifier: str
    customer: str
    at: int


class ShownFact(_Fact, frozen=True, gc=False, array_like=True, tag="shown"):
    """A touch whose strongest identifier is `by` showed this identifier, too; `day` (since 1970, UTC) is that of the last look-up of such
    a touch. A day is enough for erasures, and one that each touch changed would be written with each."""

    identifier: str
    by: str
    day: int

    @property
    def key(self) -> bytes:
        """Each pair counts."""
        return f"shown:{self.identifier}|{self.by}".encode()

    def erased_by(self, at: int) -> bool:
        """Whether an erasure at this moment (us) takes it."""
        return self.day * DAY_MS * 1000 <= at


class MovedFact(_Fact, frozen=True, gc=False, array_like=True, tag="moved"):
    """All of a customer belongs to another: a merge that does not name its identifiers. `into` is empty once the other was erased."""

    customer: str
    into: str
    at: int


class ErasedFact(_Fact, frozen=True, gc=False, array_like=True, tag="erased"):
    """What was looked up by this identifier until `at` (us) was erased."""

    identifier: str
    at: int


class DealFact(_Fact, frozen=True, gc=False, array_like=True, tag="deal"):
    """A deal; `ids` are its customer's, strongest first; none once the customer was erased."""

    deal_id: str
    version: int
    deleted: bool
    ids: tuple[str, ...]
    stage: Stage
    opened_at: int
    closed_at: int | None
    amount: Money | None
    owner: str | None


class CostFact(_Fact, frozen=True, gc=False, array_like=True, tag="cost"):
    """A cost."""

    cost_id: str
    cost: Cost


class LeadFact(_Fact, frozen=True, gc=False, array_like=True, tag="lead"):
    """A change of a customer's lead, as `streams.core.leads.events.LeadEvent`, without what was written for people. `holds`: it was
    not retracted. The highest `revision` is the truth."""

    event_id: str
    revision: int
    holds: bool
    customer: str
    lead_id: str
    kind: ChangeKind
    state: State
    previous: State | None
    at: int
    cycle: int
    attempt: int
    owner: str | None
    team: str
    due_at: int | None
    reason: LeadReason | None
    time_in_state_ms: int | None
    speed_ms: int | None
    speed_business_ms: int | None
    moved_to: str | None = None


class ConflictFact(_Fact, frozen=True, gc=False, array_like=True, tag="conflict"):
    """A conflict between departments, and the touch that made it one; with that touch's department and channel, in case that it is not
    known. It names no customer."""

    finding_id: str
    revision: int
    holds: bool
    at: int
    touch_id: str
    department: str
    channel: str


Fact = TouchFact | HomeFact | ShownFact | MovedFact | ErasedFact | DealFact | CostFact | LeadFact | ConflictFact

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Fact).decode
"""A fact from its bytes. Raises msgspec.MsgspecError."""


class _Least:
    """A value of which the smaller one ranks higher."""

    __slots__ = ("value",)

    def __init__(self, value: str | bytes) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Least) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __lt__(self, other: _Least) -> bool:
        return self.value > other.value  # type: ignore[operator]

    def __le__(self, other: _Least) -> bool:
        return self.value >= other.value  # type: ignore[operator]


def rank(fact: Fact) -> tuple[int, _Least] | tuple[int, _Least, int]:
    """Of two facts with one key the higher rank holds: the later decision, of two at one moment that with the smaller customer id;
    the higher version, of two contents of one version the lesser, as in `streams.core.ledger.book`."""
    if isinstance(fact, HomeFact):
        return fact.at, _Least(fact.customer)
    if isinstance(fact, MovedFact):
        return fact.at, _Least(fact.into)
    if isinstance(fact, TouchFact):
        return fact.version, _Least(encode(msgspec.structs.replace(fact, resolved_at=0))), fact.resolved_at
    if isinstance(fact, DealFact):
        # Its ids count last, and none before any: they are erased before or after the other content comes.
        return fact.version, _Least(encode((msgspec.structs.replace(fact, ids=()), fact.ids)))
    if isinstance(fact, LeadFact | ConflictFact):
        return fact.revision, _Least(encode(fact))
    assert isinstance(fact, CostFact), "what is erased or shown has no rank: it is a moment"
    return fact.cost.version, _Least(encode(fact))


def is_dated(fact: LeadFact | ConflictFact) -> bool:
    """Whether a fact's time lies within the years 2000 to 9999, as that of a touch: no other has a month."""
    return EARLIEST_MS <= fact.at <= LATEST_MS


def ids_of(fact: Fact) -> tuple[str, ...]:
    """The pseudonymous ids that a fact is about; none for money and conflicts."""
    if isinstance(fact, DealFact):
        return fact.ids
    if isinstance(fact, TouchFact | HomeFact | ErasedFact):
        return (fact.identifier,)
    if isinstance(fact, ShownFact):
        return (fact.identifier, fact.by)
    return (fact.customer,) if isinstance(fact, LeadFact | MovedFact) else ()
