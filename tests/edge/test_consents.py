"""A record of consent on its way: a command from outside, its customer by the identity index, the timeline."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.consent import CHANGED, ConsentChange, decode_consent
from streams.core.identify import nodes
from streams.core.touch import Customer
from tests.edge.test_plans import DANA, identified, requests, told
from tests.edge.test_policy_stages import stage, take
from tests.edge.test_stages import CODEC, MINUTE, SETTINGS, T0, AbsentIndex, MemoryIndex, Record, changelog, story

GIVEN = ConsentChange(
    "cmp-1", DANA, "granted", T0 - MINUTE, "email", "offer", source="preference centre", form="v4", recorded_by="cmp"
)


def said(change: ConsentChange | None, at: int = T0) -> Record:
    """A record as another system writes it."""
    command = Command("c-1", "c9-whatever", CHANGED, at, "cmp", consent=change)
    return Record("x.commands", CODEC.encode_command(command), timestamp=at)


def dead(*records: Record) -> list[tuple[str, str]]:
    """Reason and detail of the dead letters of one micro-batch."""
    return [what for topic, _, what in story(requests(MemoryIndex(), *records)) if topic == "touches.dead-letter"]


@pytest.mark.parametrize("index", [MemoryIndex(), AbsentIndex()])
def test_a_record_goes_to_its_customer(index: Any) -> None:
    """Under the id of the strongest identifier, with its proof and nothing of the identifiers; identities learn from it as from a touch.
    Redis is not waited for."""
    (command,) = told(requests(index, said(GIVEN)))
    crm, mail = nodes(DANA, SETTINGS.id_key, SETTINGS.default_region)
    (held,) = map(decode_consent, command.entries)
    assert (command.customer_id, command.kind, command.consent) == (crm, CHANGED, None)
    assert (held.id, held.at, held.published_at, held.identifier) == ("cmp-1", T0 - MINUTE, T0, "")
    assert (held.source, held.form, held.recorded_by) == ("preference centre", "v4", "cmp")
    if isinstance(index, MemoryIndex):
        assert {frozenset((fact.a, fact.b)) for fact in index.log} == {frozenset((crm,)), frozenset((crm, mail))}


def test_what_is_no_record_is_a_dead_letter() -> None:
    """Without a record, without proof, nobody's, of a time to come, or from before all computers; the rest of the micro-batch goes on."""
    wrong = [
        said(None),
        said(replace(GIVEN, recorded_by="")),
        said(replace(GIVEN, customer=Customer(email="nobody"))),
        said(replace(GIVEN, at=T0 + 61 * MINUTE)),
        said(replace(GIVEN, at=0)),
        said(replace(GIVEN, channel="fax")),
    ]
    reasons = [reason for reason, *_ in dead(*wrong[:3], said(GIVEN), *wrong[3:])]
    assert reasons == ["unroutable", "unroutable", "no_identifier", "occurred_in_future", "unroutable", "unroutable"]
    assert len(told(requests(MemoryIndex(), *wrong[:3], said(GIVEN), *wrong[3:]))) == 1


def test_the_timeline_keeps_it() -> None:
    """The changelog has the record, and of two with one id the later."""
    again = replace(GIVEN, status="withdrawn")
    write = requests(MemoryIndex(), said(GIVEN), said(again, T0 + MINUTE), said(replace(GIVEN, consent_id="b")))
    taken = take(stage()[0], *identified(write))
    (timeline,) = changelog(taken).values()
    assert [(one.id, one.status) for one in timeline.consents or ()] == [("b", "granted"), ("cmp-1", "withdrawn")]
    assert not [topic for topic, *_ in story(taken) if topic == "touches.dead-letter"]


def test_another_worker_may_not_be_told_of_it_from_outside() -> None:
    """`entries` in a command from outside say nothing: only the record that can be checked is taken."""
    forged = Command("c", "c9-x", CHANGED, T0, "", entries=(b"\xc1",), consent=GIVEN, source_customer_id="c1-y")
    (command,) = told(requests(MemoryIndex(), Record("x.commands", CODEC.encode_command(forged), timestamp=T0)))
    assert (decode_consent(command.entries[0]).id, command.source_customer_id) == ("cmp-1", None)
