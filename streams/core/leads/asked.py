"""What sales says of a lead that it was handed, and the CRM of its deal, as commands and as acts; and that a moment has come at which
something was due."""

from __future__ import annotations

from typing import Literal, cast, get_args

from msgspec.structs import replace

from streams.core.commands import LEAD_KINDS, Command
from streams.core.entry import Entry
from streams.core.identify import trust
from streams.core.ids import command_id
from streams.core.leads.acts import Act, ActKind, derived_id, entry_of, place
from streams.core.ledger.records import MAX_ID
from streams.core.ledger.types import DAY_MS, STAGES, LeadReason, Stage
from streams.core.touch_check import EARLIEST_MS, LATEST_MS

AskedKind = Literal[
    "lead_accepted", "lead_rejected", "lead_recycled", "lead_disqualified", "lead_qualified", "lead_deal"
]

DEAL = "lead_deal"
"""The kind of the command by which somebody says where a deal stands."""

LEDGER = "touchstream ledger"
"""Who says what the CRM's deals mean for leads. Nobody waits for an answer then: what changes nothing is no dead letter."""

DELETED = "deleted"
"""What the ledger alone says in place of a stage: the CRM has deleted the deal, or it is another customer's; it never was this one's."""

TICK = "lead_tick"
"""The kind of the command by which a worker says that a moment has come. It is for plans, too: the name is older than theirs."""

REASONS: tuple[str, ...] = get_args(LeadReason)

LONGEST = 500
"""Bytes of what to nurture with: a sentence."""

LONGEST_ID = 200
"""Bytes of who says so, and of a lead's id: both stay in the timeline."""

_REASONED = ("lead_rejected", "lead_recycled", "lead_disqualified")
_DATED = ("lead_rejected", "lead_recycled")


def lead_command(
    kind: AskedKind,
    customer: str,
    by: str,
    issued_at: int,
    lead_id: str | None = None,
    reason: LeadReason | None = None,
    recycle_at: int | None = None,
    nurture_with: str | None = None,
    deal_id: str | None = None,
    deal_stage: Stage | None = None,
) -> Command:
    """The command by which `by` says so of the customer's lead; times in UTC ms. Said again at the same moment it is the same command."""
    id_ = command_id(kind, customer, lead_id or "", by, str(issued_at), *([deal_stage] if deal_stage else []))
    return Command(
        id_, customer, kind, issued_at, f"{by} says so", requested_by=by, lead_id=lead_id, reason=reason,
        recycle_at=recycle_at, nurture_with=nurture_with, deal_id=deal_id, deal_stage=deal_stage,
    )  # fmt: skip


def tick_command(customer: str, due: int, at: int) -> Command:
    """Tells the customer's timeline that it is `at` (UTC ms), since something was due by then, at `due`."""
    return Command(command_id(TICK, customer, str(at)), customer, TICK, at, f"due at {due}")


def problem(command: Command) -> str | None:
    """Why no lead can take this command, whatever its state; None when one may."""
    kind = command.kind
    if not command.requested_by:
        return f"{kind} needs requested_by: who of sales says so"
    if kind in _REASONED and command.reason not in REASONS:
        return f"{kind} needs a reason of {', '.join(REASONS)}; {_given(command.reason)}"
    if kind not in _DATED and (command.recycle_at is not None or command.nurture_with is not None):
        return f"recycle_at and nurture_with go with {' and '.join(_DATED)} only, not with {kind}"
    ids = (
        ("requested_by", command.requested_by),
        ("lead_id", command.lead_id),
        ("deal_owner", command.deal_owner),
        *(("identifiers", one) for one in command.identifiers[:2] if command.requested_by == LEDGER),
    )
    for name, value in ids:
        if len((value or "").encode()) > LONGEST_ID:
            return f"{name} takes more than {LONGEST_ID} bytes: it is an id"
    if len((command.nurture_with or "").encode()) > LONGEST:
        return f"nurture_with takes more than {LONGEST} bytes: say it in a sentence"
    deleted = command.deal_stage == DELETED and command.requested_by == LEDGER and command.deal_id
    if kind == DEAL and command.deal_stage not in STAGES and not deleted:
        return f"{DEAL} needs a deal_stage of {', '.join(STAGES)}; {_given(command.deal_stage)}"
    of_deal = (command.deal_id, command.deal_stage, command.deal_at, command.deal_version, command.deal_owner)
    if kind != DEAL and any(value is not None for value in of_deal):
        return f"deal_id, deal_stage, deal_at, deal_version and deal_owner go with {DEAL} only, not with {kind}"
    if command.deal_version is not None and (command.deal_version < 1 or not command.deal_id):
        return "deal_version is that of the deal which deal_id names, from 1 on"
    if len(command.deal_id or "") > MAX_ID:
        return f"deal_id takes more than {MAX_ID} characters"
    for name in ("issued_at", "recycle_at", "deal_at"):
        at = getattr(command, name)
        if at is not None and not EARLIEST_MS <= at <= LATEST_MS:
            return f"{name} lies outside the years 2000 to 9999; it is UTC milliseconds"
    # Who names a day means some time of it, and no time at all is named by the day that is.
    if command.recycle_at is not None and command.recycle_at + DAY_MS <= command.issued_at:
        return "recycle_at is past; give the day or time at which marketing should look at the lead again"
    return None


def _given(value: str | None) -> str:
    return "none was given" if value is None else f"{value!r} is none of them"


def act_id(command_id: str) -> str:
    """The `cause` of the lead event that answers a command."""
    return derived_id("act", command_id)


def counts_from(command: Command) -> int:
    """By a deletion of a deal: the `Act.place` from which on what is said of the deal is the customer's; 0: none of it is. It names two
    identifiers where the deal is another customer's now: that by which it was this one's, then that by which it is the other's, "" as long
    as nobody is known to have it."""
    version = command.deal_version
    if version is None:  # earlier releases of the ledger gave none
        return 0
    return place(version, trust(command.identifiers[1])) if len(command.identifiers) > 1 else place(version + 1)


def act(command: Command, at: int) -> Entry:
    """The command as an entry of the timeline; it must have no `problem`."""
    assert command.kind in LEAD_KINDS
    reason = cast(LeadReason | None, command.reason if command.kind in _REASONED else None)
    stage, by = cast(Stage | None, command.deal_stage), _by(command)
    said = Act(
        command.requested_by or "", reason, command.recycle_at, command.nurture_with, command.deal_owner,
        deal=command.deal_id or "", stage=stage, version=command.deal_version or 0, trust=trust(by) if by and command.deal_version else 0,
    )  # fmt: skip
    # A deal counts from when the CRM says it did: a list that is sent once a fortnight is not late, as a touch would be.
    published_at = at if command.kind == DEAL else command.issued_at
    entry = entry_of(cast(ActKind, command.kind), act_id(command.command_id), at, said, published_at)
    return replace(entry, identifier=identifier_of(command))


def identifier_of(command: Command) -> str:
    """The identifier by which a deal is the customer's, if the ledger says so, as in `Entry`: the deal goes where it goes."""
    own = _by(command)
    return "" if own == command.customer_id else own


def _by(command: Command) -> str:
    return command.identifiers[0] if command.identifiers and command.requested_by == LEDGER else ""
