"""The deals that came from a lead, and what they make of it: won as soon as one of them is, an opportunity while one is open, lost when
the last one is."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from streams.core.leads.acts import Act
from streams.core.leads.states import ENDED, LeadDeal, LeadState, State

MOST = 20
"""Deals of one lead that are remembered; who has more of them open at once is no person."""


class Stands(Struct, frozen=True):
    """Where the lead stands by its deals: see `LeadState`."""

    state: State
    deal: str
    deals: tuple[LeadDeal, ...]
    older: tuple[str, ...]

    def kept(self, lead: LeadState) -> LeadState:
        """The lead, which stays in its state, with its deals."""
        return replace(lead, deal=self.deal, deals=self.deals, older=self.older)


def still_open(lead: LeadState | None) -> tuple[str, ...]:
    """The customer's deals that are open when a lead ends and another begins: they are not of the other."""
    return () if lead is None else (*lead.older, *_those(lead.deals, "open"))[-MOST:]


def open_besides(lead: LeadState, deal: str) -> list[str]:
    """The other deals that came from the lead and are open."""
    return [id_ for id_ in _those(lead.deals, "open") if id_ != deal]


def remembered(lead: LeadState | None) -> dict[str, int]:
    """The deals that the customer's lead knows of as not lost, each with the `Act.place` of what was said of it; 0: not known."""
    return {} if lead is None else dict.fromkeys(lead.older, 0) | {one.id: one.place for one in lead.deals}


def begins_another(lead: LeadState, act: Act) -> bool:
    """Whether a deal is the beginning of another lead: it goes on, and came neither from this one, which has ended, nor before it."""
    known = (lead.deal, *remembered(lead))
    return lead.state in ENDED and act.stage not in ("won", "lost") and bool(act.deal) and act.deal not in known


def stands(lead: LeadState, act: Act) -> Stands:
    """Where the lead stands when this is said of a deal. Who says no id means the deal that the lead follows, or, by `lost`, all."""
    deal = act.deal or lead.deal
    if deal and deal in lead.older:
        closed = act.stage in ("won", "lost")
        return Stands(
            lead.state, lead.deal, lead.deals, tuple(id_ for id_ in lead.older if not (closed and id_ == deal))
        )
    # One that nobody gave an id may be this one.
    deals = [] if act.stage == "lost" and not act.deal else [one for one in lead.deals if one.id not in ("", deal)]
    if act.stage != "lost":
        place = max(act.place, remembered(lead).get(deal, 0))
        deals.append(LeadDeal(deal, "won" if act.stage == "won" else "open", place))
    won, open_ = _those(deals, "won"), _those(deals, "open")
    state: State = "won" if won else "opportunity" if open_ else "lost"
    if act.stage == "lost" and state == "opportunity" and lead.state != "won":
        state = lead.state  # what is open still does not bring back a lead that sales has given back
    chosen = won or open_ or [deal]
    follows = next((id_ for id_ in (lead.deal, deal) if id_ in chosen), chosen[0])
    return Stands(state, follows, tuple(sorted(deals, key=_open_last)[:MOST]), lead.older)


def _those(deals: tuple[LeadDeal, ...] | list[LeadDeal], how: str) -> list[str]:
    return [one.id for one in deals if one.how == how]


def _open_last(deal: LeadDeal) -> bool:
    return deal.how == "open"
