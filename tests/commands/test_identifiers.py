"""Whom an ID means, and what of the topics is theirs, as the policy in force has identifiers told."""

from __future__ import annotations

import pytest

from streams.commands import identifiers
from streams.commands.holding import Search
from streams.core.identify import nodes
from streams.core.identity_facts import Fact
from streams.core.identity_person import IdentityLog
from streams.core.policy import IdentityPolicy
from streams.core.touch import Customer
from streams.settings import Settings

SETTINGS = Settings(id_key="a key")
SAME = IdentityPolicy(same_mailbox=True)
WRITTEN = "dana.reyes+x@gmail.com"


def id_of(same_mailbox: bool) -> str:
    """Dana's id as workers make it."""
    return nodes(Customer(email=WRITTEN), SETTINGS.id_key, SETTINGS.default_region, same_mailbox=same_mailbox)[0]


def known(monkeypatch: pytest.MonkeyPatch, identity: IdentityPolicy, *ids: str) -> identifiers.Known:
    """Who has Dana's address, by a log that knows these ids."""
    log = IdentityLog()
    for id_ in ids:
        log.put(Fact(id_, id_, "link"), 0)

    async def read(_: Settings) -> tuple[IdentityLog, IdentityPolicy]:
        return log, identity

    monkeypatch.setattr(identifiers, "_log", read)
    return identifiers.look_up(WRITTEN, None, SETTINGS)


def test_a_mailbox_is_found_by_the_address_they_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """With identity.same_mailbox a person is known by the mailbox; the address as it is written leads to them, and touches and deals with
    it are theirs, and those of another are not."""
    person = known(monkeypatch, SAME, id_of(True))
    assert (person.id, person.plain) == (id_of(True), {id_of(True): "danareyes@gmail.com"})
    search = Search(SETTINGS, None, person)  # type: ignore[arg-type]
    theirs = [Customer(email=one) for one in (WRITTEN, "DanaReyes@googlemail.com", "lee@gmail.com")]
    assert [search._are_theirs(one) for one in theirs] == [True, True, False]


def test_who_was_known_before_the_policy_changed_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Touches from before identity.same_mailbox was asked for stand under the address as it is written; it leads there, too."""
    person = known(monkeypatch, SAME, id_of(False))
    assert person.id == id_of(False)
    assert Search(SETTINGS, None, person)._are_theirs(Customer(email=WRITTEN))  # type: ignore[arg-type]


def test_without_it_another_address_is_another_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the default policy the address is what it is."""
    person = known(monkeypatch, IdentityPolicy(), id_of(False))
    search = Search(SETTINGS, None, person)  # type: ignore[arg-type]
    assert person.id == id_of(False) and not search._are_theirs(Customer(email="danareyes@gmail.com"))
