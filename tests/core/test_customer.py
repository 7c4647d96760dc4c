"""What reaches one customer: moves that fit into records, and entries nobody can have meant."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core import plans
from streams.core.commands import Command
from streams.core.customer import on_command, on_touch
from streams.core.entry import Entry, decode_entry, encode_entry, entry_of
from streams.core.moving import BYTES_PER_COMMAND, ENTRIES_PER_COMMAND, merge_command
from streams.core.policy import ErasurePolicy, Policy
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import Customer, IdentifiedTouch, Touch

NOW = 1_772_409_600_000


def entries(count: int, label: str = "") -> tuple[Entry, ...]:
    """Deliveries, a minute apart."""
    return tuple(
        Entry(NOW + n * 60_000, f"t{n}", "email", "marketing", "outbound", "delivered", label=label)
        for n in range(count)
    )


def moved(timeline: Timeline) -> tuple[Command, ...]:
    """The commands by which a timeline moves to the customer c1-a."""
    return on_command(timeline, merge_command("c2-b", "c1-a", NOW, "link"), Policy()).commands


def test_a_timeline_moves_in_commands_that_fit_into_records() -> None:
    """Moved entries arrive in order and complete, at most so many and so many bytes a command."""
    for held in (entries(450), entries(90, "x" * 20_000)):
        commands = moved(Timeline(entries=held))
        arrived = tuple(decode_entry(data) for command in commands for data in command.entries)
        assert arrived == tuple(replace(entry, identifier="c2-b") for entry in held)
        assert len({command.command_id for command in commands}) == len(commands) > 1
        assert all(len(command.entries) <= ENTRIES_PER_COMMAND for command in commands)
        assert all(sum(map(len, command.entries)) <= BYTES_PER_COMMAND for command in commands)


def test_an_empty_timeline_moves_nothing() -> None:
    """A customer without touches only remembers where it went."""
    effect = on_command(EMPTY, merge_command("c2-b", "c1-a", NOW, "link"), Policy())
    assert (effect.timeline, effect.commands) == (Timeline(merged_into="c1-a"), ())


def test_moved_entries_with_absurd_times_are_refused() -> None:
    """An entry outside the years 2000 to 9999 is refused with a reason, and the timeline stays as it was."""
    wrong = encode_entry(replace(entries(1)[0], at=10**17))
    command = Command("id", "c1-a", "timeline_moved", NOW, "link", source_customer_id="c2-b", entries=(wrong,))
    effect = on_command(EMPTY, command, Policy())
    assert effect.refused == ("not_a_touch", "entry t0 lies outside the years 2000 to 9999")
    assert effect.timeline is EMPTY


ERASED_AT = NOW * 1000
FRESH, REFUSE = Policy(erasure=ErasurePolicy("fresh")), Policy()


def alone(occurred_at: int, published_at: int) -> IdentifiedTouch:
    """A touch of somebody, looked up while the index was away."""
    one = Touch(
        touch_id="t", occurred_at=occurred_at, channel="email", department="marketing", direction="outbound", kind="sent",
        customer=Customer(email="a"),
    )  # fmt: skip
    return IdentifiedTouch("c2-b", one, (), published_at)


@pytest.mark.parametrize(
    ("occurred_at", "published_at", "policy", "outcome"),
    [
        (NOW + 1, NOW + 2, FRESH, "applied"),
        (NOW, NOW + 2, FRESH, "erased"),
        (NOW + 1, NOW, FRESH, "erased"),
        (NOW + 1, NOW + 2, REFUSE, "erased"),
    ],
)
def test_who_returned_after_an_erasure_while_the_index_is_away(
    occurred_at: int, published_at: int, policy: Policy, outcome: str
) -> None:
    """Where later touches are taken, a touch or a plan that was decided without the index goes by its own time: of before the erasure it is
    part of it, of after it it is taken. Where they are refused, the mark of the erasure refuses both."""
    for timeline in (Timeline(erased_at=ERASED_AT), Timeline(entries=entries(1), erased_at=ERASED_AT)):
        touch = alone(occurred_at, published_at)
        assert on_touch(timeline, touch, policy).outcome == outcome
        plan = encode_entry(entry_of(touch))
        told = Command("p", "c2-b", plans.PLANNED, NOW, "plan", entries=(plan,))
        assert on_command(timeline, told, policy).outcome == outcome
    asked = replace(alone(NOW - 5, NOW - 4), resolved_at=ERASED_AT + 1)
    assert on_touch(Timeline(erased_at=ERASED_AT), asked, FRESH).outcome == "applied"
