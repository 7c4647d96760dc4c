"""The rules of the books: each can be broken, and is then named; what is allowed is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from streams.core.commands import Command
from streams.core.outcome import Finding, Rejected
from streams.core.touch import IdentifiedTouch, Origin
from streams.edge.codec import Codec
from streams.settings import Settings
from tests.faults.books import WHOLE, Books, longest_pause
from tests.support import histories
from tests.support.bad_records import touch
from tests.support.samples import CONFLICT, replace

CODEC = Codec()
SETTINGS = Settings(app_id="books")
MAIL, IDENTIFIED, CHANGELOG = "touches.email", "touches.identified", "books-timelines-changelog"
HERE = {(MAIL, 0): 10, (IDENTIFIED, 0): 10}


def books(*records: tuple[str, int, bytes | None]) -> Books:
    """Books that have these records (topic, offset, value), in partition 0; the changelog's customer is "c2-b"."""
    kept = Books(SETTINGS)
    for topic, offset, value in records:
        record: Any = SimpleNamespace(topic=topic, partition=0, offset=offset, key=b"c2-b", value=value, timestamp=0)
        kept.take(record)
    return kept


def identified(number: int = 1, customer: str = "c2-b", offset: int = 0) -> bytes:
    """A touch sent on from the mail topic."""
    return CODEC.encode_identified(
        IdentifiedTouch(customer, touch(number), (), histories.START, Origin(MAIL, 0, offset))
    )


def timeline(*ids: str, into: str | None = None) -> bytes:
    """As much of a timeline in layout 1 as the books read."""
    return WHOLE + msgspec.msgpack.encode([into, [[0, id_] for id_ in ids], []])


def letter(topic: str, offset: int, reason: Any = "undecodable", payload: bytes = b"") -> bytes:
    """A dead letter of the record at that place."""
    return CODEC.encode_dead_letter(Rejected(reason, "d", "ingest", payload, Origin(topic, 0, offset)), 0)


def violations(kept: Books, **offsets: int) -> list[str]:
    """What the books say once these offsets are committed."""
    kept.commit({({"mail": MAIL, "identified": IDENTIFIED}[name], 0): at for name, at in offsets.items()}, HERE)
    return kept.violations


def test_input_that_left_no_trace_is_lost() -> None:
    """A committed input record must stand in touches.identified or in the dead letters, by its address; an uncommitted one need not."""
    kept = books((MAIL, 0, b""), (MAIL, 1, b""), (MAIL, 2, b""), (IDENTIFIED, 0, identified(offset=0)))
    kept.take(SimpleNamespace(topic="touches.dead-letter", partition=0, offset=0, key=None, value=letter(MAIL, 2)))
    assert violations(kept, mail=1) == []
    assert violations(kept, mail=3) == [
        "lost: touches.email[0]@1 is committed, and neither identified nor a dead letter"
    ]


def test_touch_that_is_in_no_timeline_is_lost() -> None:
    """A committed touch must be in its customer's changelog."""
    assert violations(books((IDENTIFIED, 0, identified()), (CHANGELOG, 0, timeline("bad-1"))), identified=1) == []
    (broken,) = violations(books((IDENTIFIED, 0, identified()), (CHANGELOG, 0, timeline("bad-2"))), identified=1)
    assert broken == "lost: bad-1 at touches.identified[0]@0 is committed, not in the changelog of c2-b"


def test_touch_of_a_merged_customer_must_be_sent_on() -> None:
    """A touch of a customer who was merged must stand under the smaller id, or be among the touches that moved."""
    merged = (CHANGELOG, 0, timeline(into="c1-a"))
    moved = Command(
        "m",
        "c1-a",
        "timeline_moved",
        0,
        "x",
        source_customer_id="c2-b",
        entries=(msgspec.msgpack.encode([0, "bad-1"]),),
    )
    assert len(violations(books((IDENTIFIED, 0, identified()), merged), identified=1)) == 1
    forwarded = (IDENTIFIED, 1, identified(customer="c1-a"))
    assert violations(books((IDENTIFIED, 0, identified()), merged, forwarded), identified=1) == []
    told = (IDENTIFIED, 1, CODEC.encode_command(moved))
    assert violations(books((IDENTIFIED, 0, identified()), merged, told), identified=1) == []


def test_command_that_did_nothing_is_lost() -> None:
    """A committed merge must have merged its customer."""
    merge = CODEC.encode_command(Command("m", "c2-b", "customer_merged", 0, "x", into="c1-a"))
    assert len(violations(books((IDENTIFIED, 0, merge)), identified=1)) == 1
    assert violations(books((IDENTIFIED, 0, merge), (CHANGELOG, 0, timeline(into="c1-a"))), identified=1) == []


@pytest.mark.parametrize(
    ("later", "broken"),
    [
        (timeline("t-1", "t-2", "t-3"), []),
        (timeline(into="c1-a"), []),
        (
            timeline("t-2"),
            ["backwards: the timeline of c2-b at books-timelines-changelog[0]@1 lacks t-1, which it had"],
        ),
    ],
)
def test_timeline_must_not_shrink(later: bytes, broken: list[str]) -> None:
    """A changelog record may add touches or say where the customer went; one that lacks a touch was written by a zombie, unless the
    touch was sent on to another customer."""
    kept = books((CHANGELOG, 0, timeline("t-1", "t-2")), (CHANGELOG, 1, later))
    assert (kept.violations, kept.shrunk()) == ([], broken)
    entries = (msgspec.msgpack.encode([0, "t-1"]),)
    moved = Command("m", "c1-a", "timeline_moved", 0, "x", source_customer_id="c2-b", entries=entries)
    kept.take(SimpleNamespace(topic=IDENTIFIED, partition=0, offset=9, key=None, value=CODEC.encode_command(moved)))
    assert kept.shrunk() == []


def test_merged_customer_stays_merged() -> None:
    """A timeline after its customer was merged away is a zombie's."""
    (broken,) = books((CHANGELOG, 0, timeline(into="c1-a")), (CHANGELOG, 1, timeline("t-1"))).violations
    assert broken.startswith("backwards: c2-b was merged")


def test_committed_offsets_go_forward_and_not_too_far() -> None:
    """An offset that goes back, or lies behind the end of its partition, is named."""
    kept = books()
    assert violations(kept, mail=7) == []
    (back,) = violations(kept, mail=6)
    assert "went from 7 to 6" in back
    assert "11 is committed" in violations(kept, mail=11)[-1]


def test_second_content_under_one_id_is_doubled() -> None:
    """The same finding twice is counted; another content under its id and revision is a violation, a next revision is none."""
    value: bytes = CODEC.encode_finding(CONFLICT)
    other: Finding = replace(CONFLICT, reason="another")
    kept = books(("conflicts", 0, value), ("conflicts", 1, bytes(bytearray(value))))
    assert (kept.violations, kept.counts["findings republished"]) == ([], 1)
    kept = books(
        ("conflicts", 0, value), ("conflicts", 1, CODEC.encode_finding(replace(other, revision=CONFLICT.revision + 1)))
    )
    assert kept.violations == [] and kept.standing[CONFLICT.finding_id].reason == "another"
    kept = books(("conflicts", 0, value), ("conflicts", 1, CODEC.encode_finding(other)))
    assert len(kept.violations) == 1 and kept.violations[0].startswith("doubled: ")


def test_good_record_among_the_dead_is_told() -> None:
    """A dead letter whose payload nobody made bad is a good touch that was buried."""
    dead = "touches.dead-letter"
    assert books((dead, 0, letter(MAIL, 0, payload=b'{"touch_id": "t-1", "channel": "email"}'))).stray_letters() == []
    (stray,) = books((dead, 0, letter(MAIL, 4, payload=CODEC.encode_touch(touch(99))))).stray_letters()
    assert "touches.email[0]@4" in stray


def test_longest_pause_counts_both_ends() -> None:
    """The stretch before the first and after the last record counts, too."""
    assert longest_pause([4.0, 5.0], 0.0, 6.0) == 4.0
    assert longest_pause([1.0, 2.0], 0.0, 10.0) == 8.0
    assert longest_pause([], 0.0, 3.0) == 3.0
