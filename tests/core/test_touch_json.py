"""Touches as JSON for people: exact both ways, and every mistake is named."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.core import touch as vocabulary
from streams.core import touch_check, touch_json
from streams.core.touch import CHANNELS, DEPARTMENTS, KINDS, Account, Actor, Customer, Message, Money, Touch
from streams.core.touch_json import TouchError, check, from_mapping, parse, rfc3339, to_json

BASE: dict[str, Any] = {
    "channel": "email",
    "department": "sales",
    "direction": "outbound",
    "kind": "sent",
    "occurred_at": "2026-03-02T09:12:00+01:00",
    "customer": {"email": "dana@example.com"},
}


def line(**changes: Any) -> str:
    """The base touch with changes; a value of `...` removes the field."""
    values = {**BASE, **changes}
    return json.dumps({name: value for name, value in values.items() if value is not ...})


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
optional = st.none() | text
money = st.builds(
    Money,
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?\Z"),
    st.from_regex(r"\A[A-Z]{3}\Z"),
)
channel_and_kind = st.sampled_from(
    [(channel, kind) for channel in CHANNELS for kind in KINDS if kind not in touch_check.IMPOSSIBLE[channel]]
)


@st.composite
def touches(draw: st.DrawFn) -> Touch:
    """Any touch that makes sense."""
    channel, kind = draw(channel_and_kind)
    return Touch(
        touch_id=draw(text.filter(str.strip)),
        channel=channel,
        department=draw(st.sampled_from(DEPARTMENTS)),
        direction=draw(st.sampled_from(("outbound", "inbound"))),
        kind=kind,
        occurred_at=draw(st.integers(touch_check.EARLIEST_MS, touch_check.LATEST_MS)),
        customer=draw(
            st.builds(Customer, text.filter(str.strip), *([optional] * 5))
            | st.builds(Customer, optional, optional, optional, text.filter(str.strip), optional, optional)
        ),
        account=draw(st.none() | st.builds(Account, optional, optional)),
        actor=draw(st.none() | st.builds(Actor, text, optional, st.sampled_from(("person", "automation")))),
        campaign=draw(optional),
        message=draw(
            st.none() | st.builds(Message, optional, optional, optional, optional, st.none() | money, optional)
        ),
        cost=draw(st.none() | money),
        source=draw(optional),
        interaction_id=draw(optional),
    )


@given(touches())
def test_json_round_trip(touch: Touch) -> None:
    """Every sensible touch comes back equal from its JSON, which is one line."""
    written = to_json(touch)
    assert b"\n" not in written
    assert parse(written) == touch


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*CHANNELS, *KINDS, "2026-03-02T09:12:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BASE, "cost", "amount", "email", "x"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.text()
    | st.binary()
    | json_values.map(lambda value: json.dumps({**BASE, **value} if isinstance(value, dict) else value))
)
@example("[" * 100_000)
@example("1" * 5000)
@example('{"customer": {"\\ud800": 1}}')
@example('{"x - at `$.y`": 1}')
@example('{"cost": {"amount": 1e999999999, "currency": "EUR"}}')
def test_parse_raises_only_touch_errors(anything: str | bytes) -> None:
    """Whatever the text, parse gives a touch or a TouchError with a text."""
    try:
        touch = parse(anything)
    except TouchError as error:
        assert str(error)
    else:
        check(touch)


@pytest.mark.parametrize(
    ("given_line", "message"),
    [
        (line(channel="fax"), "channel: 'fax' is not one of email, ads, linkedin, calls"),
        (line(actor={"id": "r1", "kind": "robot"}), "actor.kind: 'robot' is not one of person, automation"),
        (line(chanel="email"), "chanel: unknown field; did you mean channel?"),
        (line(customer={"mail": "x"}), "customer.mail: unknown field; did you mean email?"),
        (line(department=...), "department: missing, but required; one of marketing, sales, service"),
        (line(message={"price": {"amount": 1}}), "message.price.currency: missing, but required"),
        (line(customer={"email": 5}), "customer.email: Expected `str | null`, got `int`"),
        (line(occurred_at="2026-03-02T09:12:00"), "time zone"),
        (line(occurred_at="2026-02-30T09:12:00Z"), "occurred_at: invalid RFC3339"),
        (line(occurred_at=1772439120), "occurred_at: expected `datetime`, got `int`"),
        (line(occurred_at="1999-12-31T23:59:59Z"), "occurred_at: lies before the year 2000"),
        (line(cost={"amount": "NaN", "currency": "EUR"}), "cost.amount: expected a decimal number"),
        (line(cost={"amount": float("nan"), "currency": "EUR"}), "NaN is not a JSON number"),
        (line(cost={"amount": "1e30", "currency": "EUR"}), "cost.amount: expected a decimal number"),
        (line(cost={"amount": 1, "currency": "EURO"}), "cost.currency: expected three capital letters"),
        (line(touch_id=""), "touch_id: is empty"),
        (line(touch_id="x" * 201), "touch_id: 1 to 200 characters are allowed, got 201"),
        (line(kind="dialed"), "kind: 'dialed' cannot happen in channel 'email': phases of a phone"),
        (line(message={"text": "ü" * 32769}), "message.text: 65538 bytes, at most 65536 are allowed"),
        (line(campaign="\ud800"), "campaign: character 1 is half of a surrogate pair"),
        ('{"kind": "sent", "kind": "opened"}', "'kind' stands twice in one object"),
        ('{"kind": "sent"', "not JSON: Expecting ',' delimiter at line 1, column 16"),
        ("[]", "not a touch: expected `object`, got `array`"),
        (b'{"kind": "\xff"}', "byte 11 is not UTF-8 text"),
    ],
)  # fmt: skip
def test_errors_name_the_field_and_what_is_allowed(given_line: str | bytes, message: str) -> None:
    """A person can mend the line from the error text alone."""
    with pytest.raises(TouchError) as caught:
        parse(given_line)
    assert message in str(caught.value)
    assert caught.value.reason == "not_a_touch"


@pytest.mark.parametrize("customer", [{}, {"name": "Dana"}, {"email": "  ", "phone": None}])
def test_no_identifier_has_its_own_reason(customer: dict[str, Any]) -> None:
    """A customer known by name only is refused as no_identifier."""
    with pytest.raises(TouchError, match="customer: needs at least one of email, phone") as caught:
        parse(line(customer=customer))
    assert caught.value.reason == "no_identifier"


def test_derived_id_depends_on_content_only() -> None:
    """A derived id ignores field order, white space, null fields and the time's zone, but not content."""
    first = parse(line())
    turned = json.dumps(
        dict(reversed({**BASE, "occurred_at": "2026-03-02T08:12:00.000Z", "campaign": None}.items())), indent=1
    )
    assert parse(turned) == first
    actor = {"id": "okafor"}
    assert parse(line(actor={**actor, "kind": "person"})).touch_id == parse(line(actor=actor)).touch_id
    assert parse(line(campaign="spring")).touch_id != first.touch_id
    assert parse(line(source="hubspot")).touch_id != first.touch_id


def test_derived_id_is_pinned() -> None:
    """Old lines keep their ids in every release: changing this id would double every touch that is sent again."""
    assert parse(line()).touch_id == "706cdd56-f9d3-526d-ade9-7a8371d3ded4"


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("49.90", "49.90"),
        ('"49.90"', "49.90"),
        ("49", "49"),
        ("1e3", "1000"),
        ("0.1", "0.1"),
        ("123456789012345678.123456789012", None),
    ],
)
def test_amounts_are_exact(written: str, exact: str | None) -> None:
    """Money keeps the digits that were written, as number or text."""
    touch = parse(line(cost={"amount": 0, "currency": "eur"}).replace('"amount": 0', f'"amount": {written}'))
    assert touch.cost == Money(exact or written, "EUR")


def test_mapping_takes_python_values() -> None:
    """A dict with an aware datetime gives the same touch as its JSON; a naive one is refused."""
    moment = dt.datetime(2026, 3, 2, 9, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert from_mapping({**BASE, "occurred_at": moment}) == parse(line())
    with pytest.raises(TouchError, match="timezone"):
        from_mapping({**BASE, "occurred_at": moment.replace(tzinfo=None)})


def test_check_catches_what_types_would() -> None:
    """A Touch built in code with wrong values is refused, since msgspec does not validate constructors."""
    good = parse(line())
    for changes in ({"channel": "fax"}, {"occurred_at": 1.5}, {"campaign": 3}, {"touch_id": None}, {"kind": []}):
        with pytest.raises(TouchError):
            check(
                vocabulary.Touch(**{name: changes.get(name, getattr(good, name)) for name in Touch.__struct_fields__})
            )


def test_impossible_kinds_are_known_kinds() -> None:
    """The table covers every channel, names only real kinds and leaves each kind a channel to happen in."""
    assert set(touch_check.IMPOSSIBLE) == set(CHANNELS)
    assert all(kind in KINDS for kinds in touch_check.IMPOSSIBLE.values() for kind in kinds)
    for kind in KINDS:
        assert any(kind not in touch_check.IMPOSSIBLE[channel] for channel in CHANNELS)


def test_strict_twins_have_the_same_fields() -> None:
    """A field added to the vocabulary is also read from JSON."""
    for name in ("Touch", "Customer", "Account", "Actor", "Message", "Money"):
        assert set(getattr(touch_json, name).__struct_fields__) == set(getattr(vocabulary, name).__struct_fields__)


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "@253402300800000ms"),
        (-(2**63), "@-9223372036854775808ms"),
    ],
)
def test_rfc3339(ms: int, written: str) -> None:
    """Times print as RFC 3339 where it can write them, else as their number."""
    assert rfc3339(ms) == written
