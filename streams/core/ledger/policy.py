"""The ledger's numbers, each with its reason. In a policy file they are the section `[ledger]`."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct, field

from streams.core.touch import Kind

Model = Literal["first", "last", "linear", "time_decay", "position", "shapley", "markov"]
MODELS: tuple[Model, ...] = get_args(Model)

Days = Annotated[float, Meta(gt=0, le=36_500)]


class LedgerPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """`lookback_days`: touches this long before the close get credit; as long as a timeline reaches back.
    `half_life_days`: of time decay; a touch that is a week older gets half, as in the ad platforms.
    `position_ends`: what the first and the last touch get each in the position-based model; the others share the rest.
    `join_minutes`: phases of one rep's call without an interaction id, as `calls.join_minutes`.
    `reactions`: what a customer does that counts as a touch point besides our contacts. Opens do not: mail proxies open on their own.
    `model`: the one that the return on investment is shown by first.
    `currency`: convert all money into it by `rates` (what one unit is worth); empty: one table a currency."""

    lookback_days: Days = 90
    half_life_days: Days = 7
    position_ends: Annotated[float, Meta(ge=0, le=0.5)] = 0.4
    join_minutes: Annotated[float, Meta(gt=0, le=36_500)] = 60
    reactions: tuple[Kind, ...] = ("clicked", "replied", "ad_click", "lead_form", "meeting")
    model: Model = "position"
    currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$")] = ""
    rates: dict[Annotated[str, Meta(pattern="^[A-Z]{3}$")], Annotated[float, Meta(gt=0)]] = field(default_factory=dict)
