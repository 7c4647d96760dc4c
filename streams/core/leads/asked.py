"""What sales says of a lead that it was handed, as commands and as acts; and that a moment has come at which something was due."""

from __future__ import annotations

from typing import Literal, cast, get_args

from streams.core.commands import LEAD_KINDS, Command
from streams.core.entry import Entry
from streams.core.ids import command_id
from streams.core.leads.acts import Act, ActKind, derived_id, entry_of
from streams.core.ledger.types import LeadReason
from streams.core.touch_check import EARLIEST_MS, LATEST_MS

AskedKind = Literal["lead_accepted", "lead_rejected", "lead_recycled", "lead_disqualified"]

TICK = "lead_tick"
"""The kind of the command by which a worker says that a moment has come."""

REASONS: tuple[str, ...] = get_args(LeadReason)

LONGEST = 500
"""Bytes of what to nurture with: a sentence."""

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
) -> Command:
    """The command by which `by` says so of the customer's lead; times in UTC ms. Said again at the same moment it is the same command."""
    id_ = command_id(kind, customer, lead_id or "", by, str(issued_at))
    return Command(
        id_, customer, kind, issued_at, f"{by} says so", requested_by=by, lead_id=lead_id, reason=reason,
        recycle_at=recycle_at, nurture_with=nurture_with,
    )  # fmt: skip


def tick_command(customer: str, due: int, at: int) -> Command:
    """Tells the customer's timeline that it is `at` (UTC ms), since something was due by then, at `due`."""
    return Command(command_id(TICK, customer, str(at)), customer, TICK, at, f"due at {due}")


def problem(command: Command) -> str | None:
    """Why no lead can take this command, whatever its state; None when one may."""
    kind = command.kind
    if not command.requested_by:
        return f"{kind} needs requested_by: who of sales says so"
    if kind != "lead_accepted" and command.reason not in REASONS:
        said = "none was given" if command.reason is None else f"{command.reason!r} is none of them"
        return f"{kind} needs a reason of {', '.join(REASONS)}; {said}"
    if kind not in _DATED and (command.recycle_at is not None or command.nurture_with is not None):
        return f"recycle_at and nurture_with go with {' and '.join(_DATED)} only, not with {kind}"
    if len((command.nurture_with or "").encode()) > LONGEST:
        return f"nurture_with takes more than {LONGEST} bytes: say it in a sentence"
    for name in ("issued_at", "recycle_at"):
        at = getattr(command, name)
        if at is not None and not EARLIEST_MS <= at <= LATEST_MS:
            return f"{name} lies outside the years 2000 to 9999; it is UTC milliseconds"
    return None


def act_id(command_id: str) -> str:
    """The `cause` of the lead event that answers a command."""
    return derived_id("act", command_id)


def act(command: Command, at: int) -> Entry:
    """The command as an entry of the timeline; it must have no `problem`."""
    assert command.kind in LEAD_KINDS
    reason = cast(LeadReason | None, command.reason if command.kind != "lead_accepted" else None)
    said = Act(command.requested_by or "", reason, command.recycle_at, command.nurture_with)
    return entry_of(cast(ActKind, command.kind), act_id(command.command_id), at, said, command.issued_at)
