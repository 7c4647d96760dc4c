"""A timeline as plain values for JSON, as an export shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streams.core.consent import Consent, ConsentChange
from streams.core.entry import Entry, is_opt_out
from streams.core.leads import acts
from streams.core.leads.acts import INTERNAL
from streams.core.leads.states import LeadState, Timer
from streams.core.timeline import Timeline, standing
from streams.core.touch_json import rfc3339


def entries_json(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Each entry as plain values, without what is empty."""
    for entry in entries:
        values = {k: v for k, v in msgspec.to_builtins(_named(entry)).items() if v not in (None, "", (), [], False)}
        yield values | {"at": rfc3339(entry.at), "published_at": rfc3339(entry.published_at)}


def _named(entry: Entry) -> dict[str, Any]:
    claims = [msgspec.structs.asdict(claim) for claim in entry.claims]
    return msgspec.structs.asdict(entry) | {"claims": claims}


def consents_json(consents: Iterable[Consent]) -> Iterator[dict[str, Any]]:
    """Each record of consent as plain values, without what is empty."""
    return (_plain(one, "at", "until", "published_at") for one in consents)


def change_json(change: ConsentChange) -> dict[str, Any]:
    """A record of consent as it was published."""
    return _plain(change, "at", "until", customer=_plain(change.customer))


def _act(entry: Entry) -> dict[str, Any]:
    """What sales, the CRM or a timer did to a lead; it was said at `published_at`."""
    act = acts.act_of(entry)
    values = _plain(
        act, "recycle_at", "due_at", timers=_timers(act.timers), lead=None if act.lead is None else _lead(act.lead)
    )
    return {
        "kind": entry.kind,
        "at": rfc3339(entry.at),
        "published_at": rfc3339(entry.published_at),
        "id": entry.id,
    } | values


def _lead(lead: LeadState) -> dict[str, Any]:
    return _plain(
        lead, "since", "asked_at", "assigned_at", "due_at", "touched_at", "recycle_at", timers=_timers(lead.timers)
    )


def _timers(timers: Iterable[Timer]) -> list[dict[str, str]]:
    return [{"at": rfc3339(at), "kind": kind} for at, kind in timers]


def _plain(struct: msgspec.Struct, *times: str, **instead: Any) -> dict[str, Any]:
    """The values that say something, `times` (UTC ms) as text."""
    values = msgspec.structs.asdict(struct) | instead
    said = {name: value for name, value in values.items() if value not in (None, "", (), [], False, 0)}
    return said | {name: rfc3339(said[name]) for name in times if name in said}


def timeline_json(customer: str, timeline: Timeline) -> dict[str, Any]:
    """A timeline as plain values, with what older touches left behind; apart from the touches what was done to the lead, and how it
    stands."""
    t = timeline
    values = {
        "customer_id": customer,
        "merged_into": t.merged_into,
        "erased_at": rfc3339(t.erased_at // 1000) if t.erased_at else None,
        "name": t.name,
        "touches": list(entries_json(one for one in t.entries if one.direction != INTERNAL)),
        "lead_acts": [_act(one) for one in t.entries if one.direction == INTERNAL],
        "lead": None if t.lead is None else _lead(t.lead),
        "consents": list(consents_json(t.consents or ())),
        "planned": list(entries_json(t.plans)),
        "opt_outs": list(entries_json(standing(t))),
        "earlier_versions_refused": list(entries_json(one for one in t.opt_outs if not is_opt_out(one))),
        "engagement": [{"kind": kind, "touches": count, "points": points} for kind, count, points in t.tail.parts],
        "engagement_at": rfc3339(t.tail.at) if t.tail.at else None,
        "handed_off_at": None if t.tail.handed_off_at is None else rfc3339(t.tail.handed_off_at),
        "acknowledged": {id_: {"at": rfc3339(at), "by": by} for id_, (at, by) in t.acknowledged.items()},
        "split_off": {id_: to for id_, (to, _) in t.left.items() if to != t.merged_into},
    }
    return {name: value for name, value in values.items() if value not in (None, {}, [])}
