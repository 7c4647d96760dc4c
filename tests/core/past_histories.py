"""Histories in which the past changes: touches late, twice, corrected and deleted, of persons who merge, split and are erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.consent import ConsentChange, Status
from streams.core.identify import nodes
from streams.core.touch import Customer, Touch
from tests.core import strategies as made
from tests.core.past_events import Acknowledge, Consented, Erase, Event, happened
from tests.core.past_people import Cut, Joined

_KNOWN: tuple[dict[str, str], ...] = (
    {"email": "dana@example.com"},
    {"email": "lee@example.com"},
    {"phone": "+14155550100"},
    {"phone": "+14155550101"},
    {"crm_id": "C-1"},
)
_PAIRS = [one | other for n, one in enumerate(_KNOWN) for other in _KNOWN[n + 1 :] if set(one) != set(other)]

customers = st.builds(
    lambda ids, name: Customer(**ids, name=name),
    st.sampled_from((*_KNOWN, *_KNOWN, *_PAIRS)),
    st.sampled_from((None, None, None, "Dana Reyes", "D. Reyes")),
)
"""Five identifiers, alone or two at a time: up to five persons, who meet. No guard stands between them."""

_RECORDS: tuple[dict[str, str], ...] = ({"crm_id": "C-2"}, {"crm_id": "C-3"}, {"email": "info@example.com"})
_MEETING = [one | other for one in (*_KNOWN, *_RECORDS) for other in (*_KNOWN, *_RECORDS) if min(one) < min(other)]

crowds = st.sampled_from((*_KNOWN, *_MEETING, *_MEETING)).map(lambda ids: Customer(**ids))
"""Records that contradict each other, numbers and addresses that several share, and an office's address."""

_ids = st.sampled_from(_PAIRS).map(lambda ids: nodes(Customer(**ids), made.ID_KEY, made.REGION))
cuts = _ids.map(lambda ids: Cut(ids[0], ids[1]))


def _several(known: Sequence[dict[str, str]]) -> st.SearchStrategy[Any]:
    """Cuts and joins of any two of these identifiers, also of one kind."""
    ids = [nodes(Customer(**one), made.ID_KEY, made.REGION)[0] for one in known]
    pairs = st.permutations(ids).map(lambda mixed: (min(mixed[:2]), max(mixed[:2])))
    return pairs.flatmap(lambda pair: st.sampled_from((Joined(*pair), Joined(*pair), Cut(*pair))))


decisions, decisions_of_crowds = _several(_KNOWN), _several((*_KNOWN, *_RECORDS[:2]))
erasures = st.sampled_from(_KNOWN).map(lambda ids: Erase(nodes(Customer(**ids), made.ID_KEY, made.REGION)[0]))


def _consented(
    who: Customer, n: int, hours: int, lasts: int | None, said: tuple[Status, str, str], deleted: bool
) -> Event:
    at, id_ = made.START + hours * made.HOUR, f"consent {n} {who.crm_id} {who.email} {who.phone}"
    until = None if lasts is None else at + lasts * made.HOUR
    change = ConsentChange(id_, who, said[0], at, said[1], said[2], until, deleted=deleted)
    return Consented(Touch(id_, "email", "marketing", "inbound", "opened", at, who), change)


_said = st.tuples(
    st.sampled_from(("granted", "granted", "denied", "withdrawn")),
    st.sampled_from(("", "email", "calls")),
    st.sampled_from(("", "", "offer")),
)
consents = st.builds(
    _consented, customers, st.integers(0, 1), st.integers(0, 72), st.sampled_from((None, None, 8, 30)), _said,
    st.sampled_from((False, False, False, True)),
)  # fmt: skip
"""Records of consent; two of one person may be one, said anew or taken back."""

acknowledgements = st.integers(0, 5).map(Acknowledge)


@st.composite
def versions(draw: st.DrawFn, who: st.SearchStrategy[Customer] = customers) -> list[Touch]:
    """A touch and what becomes of it, out of order. A correction keeps the id and mostly the identifiers, nothing else."""
    first: Touch = draw(made.histories(who, max_size=1))[0]
    told = [first]
    for version in range(2, 2 + draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        whose = draw(st.sampled_from((st.just(first.customer),) * 5 + (who,)))
        other: Touch = draw(made.histories(whose, max_size=1))[0]
        told.append(replace(other, version=version, deleted=draw(st.sampled_from((False, False, True)))))
    doubled = draw(st.sampled_from((0, 0, 0, 1)))
    return list(draw(st.permutations([*told, *told[:doubled]])))


@st.composite
def histories(
    draw: st.DrawFn, *others: st.SearchStrategy[Any], max_size: int = 8, who: st.SearchStrategy[Customer] = customers
) -> list[Event]:
    """Events in order of publication: the versions of some touches, mixed, and among them some others."""
    several = draw(st.lists(versions(who), min_size=1, max_size=max_size))
    ids = draw(st.permutations(range(len(several))))
    touches = [replace(one, touch_id=f"t{n:02d}") for n, told in zip(ids, several, strict=True) for one in told]
    more = draw(st.lists(st.one_of(*others), max_size=4)) if others else []
    return happened(list(draw(st.permutations([*touches, *more]))))


schedules = st.lists(st.integers(0, 30), max_size=120)
