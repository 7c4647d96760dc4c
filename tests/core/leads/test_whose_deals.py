"""Whose a deal is: the ledger knows by its facts, and timelines by what it tells them. Versions, merges, splits, touches that show one
more identifier, commands that are under way and a ledger that ends too early come in any order, and all timelines agree with it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from msgspec.structs import replace

from streams.core.entry import DELETED, Entry
from streams.core.govern.check import check, known
from streams.core.govern.records import Contact
from streams.core.identify import RANKS, kind_of, trust
from streams.core.leads.acts import INTERNAL, derived_id, place
from streams.core.leads.deal_acts import counts_from
from streams.core.leads.states import LeadDeal
from streams.core.ledger.types import Money, Stage
from streams.core.policy import parse
from streams.core.timeline import EMPTY
from tests.core.leads.company import CRM, DAY, IDS, MAIL, NOW, PHONE, POLICY, Company
from tests.core.leads.world import TEAM


class Ledgers(RuleBasedStateMachine):
    """One deal of whom three identifiers may be."""

    @initialize()
    def begin(self) -> None:
        self.company = Company()

    @rule(id_=st.sampled_from(IDS))
    def touch(self, id_: str) -> None:
        self.company.touch(id_)

    @rule(pair=st.sampled_from([(MAIL, CRM), (PHONE, CRM), (PHONE, MAIL)]))
    def a_touch_shows_one_beside_another(self, pair: tuple[str, str]) -> None:
        self.company.beside(*pair)

    @rule(
        ids=st.sets(st.sampled_from(IDS), min_size=1), stage=st.sampled_from(["open", "proposal", "won", "lost"]),
        other=st.sampled_from([{}, {}, {}, {"deleted": True}, {"amount": Money("-1", "EUR")}]),
    )  # fmt: skip
    def deal(self, ids: set[str], stage: Stage, other: dict[str, object]) -> None:
        self.company.deal(sorted(ids), stage, **other)

    @rule(topic=st.sampled_from(["touches", "deals"]), many=st.integers(1, 3))
    def the_ledger_reads(self, topic: str, many: int) -> None:
        for _ in range(many):
            self.company.learn(topic)

    @rule()
    def it_has_written(self) -> None:
        self.company.save()

    @rule()
    def it_ends_and_starts(self) -> None:
        self.company.crash()

    @rule(id_=st.sampled_from(IDS))
    def a_timeline_is_told(self, id_: str) -> None:
        self.company.deliver(id_)

    @rule(two=st.sampled_from([(CRM, MAIL), (CRM, PHONE), (MAIL, PHONE)]))
    def merge(self, two: tuple[str, str]) -> None:
        self.company.merge(*two)

    @rule(id_=st.sampled_from(IDS))
    def split(self, id_: str) -> None:
        self.company.split(id_)

    @rule()
    def all_is_told(self) -> None:
        self.company.settle()
        self.company.check()

    @rule()
    def they_are_one(self) -> None:
        """Once all is told a merge of all customers ends in the newest version, and nothing else is needed for that."""
        self.company.settle()
        self.company.merge(CRM, MAIL)
        self.company.merge(CRM, PHONE)
        self.company.check(one=True)

    def teardown(self) -> None:
        if hasattr(self, "company"):
            self.all_is_told()
            self.they_are_one()
            self.all_is_told()


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def moved(ids: Iterable[str] = (CRM, MAIL)) -> Company:
    """A deal of somebody with a CRM id and a mail address is the second's, then the first's, since a touch has shown the CRM id, too."""
    company = Company()
    company.touch(MAIL)
    company.deal([MAIL])
    company.deal(ids, "proposal")
    company.settle()
    company.check()
    assert [act.version for act in company.acts(MAIL)] == [1, 2]
    company.touch(CRM)
    company.settle()
    return company


def test_a_deal_goes_to_whom_a_touch_shows_by_a_more_trusted_identifier() -> None:
    """No version of the deal says so, only the touch: the opportunity of the one is retracted, the other's lead becomes one."""
    company = moved()
    company.check()
    assert company.acts(MAIL) == [] and [(act.version, act.stage) for act in company.acts(CRM)] == [(2, "proposal")]
    one, other = company.lead(MAIL), company.lead(CRM)
    assert one is not None and other is not None and (one.state, other.state) == ("handed_off", "opportunity")
    assert [event.kind for event in company.people.standing(MAIL)] == ["new", "mql", "handed_off"]


def test_marketing_holds_for_whom_the_deal_is() -> None:
    """It may write again to whom the deal was said to be of, once a touch has shown whose it is, and holds with that customer."""
    company = Company()
    company.touch(MAIL, "clicked")
    company.deal([CRM, MAIL])
    company.settle()
    assert [holds(company, id_) for id_ in (MAIL, CRM)] == [True, False]
    company.touch(CRM, "clicked")
    company.settle()
    assert [holds(company, id_) for id_ in (MAIL, CRM)] == [False, True]


def holds(company: Company, id_: str) -> bool:
    """Whether marketing must wait since sales has the customer's lead."""
    now = company.now + 30 * DAY
    history_, standing = known(company.people.timeline(id_), POLICY, now)
    verdict = check(history_, Contact(now, "email", "marketing", campaign="autumn"), POLICY, now, standing, None)
    return "sales-has-the-lead" in [one.rule for one in verdict.violations]


@pytest.mark.parametrize("merged_first", [False, True])
def test_the_two_customers_of_a_deal_turn_out_to_be_one(merged_first: bool) -> None:
    """Before the timelines hear that the deal went from one to the other, or afterwards: they have the newest version, and the lead is an
    opportunity. The next version moves it on, and split apart again the deal goes with the more trusted identifier."""
    company = Company()
    company.touch(MAIL)
    company.deal([CRM, MAIL], "proposal")
    company.settle()
    company.touch(CRM)
    if not merged_first:
        company.settle()
    company.merge(CRM, MAIL)
    company.settle()
    company.check()
    assert {act.version for act in company.acts(CRM)} == {1} and company.people.timeline(MAIL).merged_into == CRM
    company.deal([CRM, MAIL], "won")
    company.settle()
    company.check()
    company.split(MAIL)
    company.settle()
    company.check()
    lead = company.lead(CRM)
    assert lead is not None and lead.state == "won" and company.acts(MAIL) == []


def test_a_deal_that_goes_and_comes_back() -> None:
    """By the next version it names the mail address alone, so it is of whom it was at first; as one person they have that version."""
    company = moved()
    company.deal([MAIL], "negotiation")
    company.settle()
    company.check()
    assert [act.version for act in company.acts(MAIL)] == [3] and company.acts(CRM) == []
    company.merge(CRM, MAIL)
    company.check(one=True)
    assert [act.version for act in company.acts(CRM)] == [3]


def test_all_that_is_said_of_a_deal_stays_together() -> None:
    """Told by the mail address at first, then by the CRM id of the same customer: when the mail address is split off, all of it stays."""
    company = Company()
    company.touch(MAIL)
    company.deal([MAIL])
    company.settle()
    company.touch(CRM)
    company.merge(CRM, MAIL)
    company.deal([CRM, MAIL], "won")
    company.settle()
    company.split(MAIL)
    assert [act.version for act in company.acts(CRM)] == [1, 2] and company.acts(MAIL) == []
    company.settle()
    company.check()


def test_an_identifier_that_comes_only_beside_another_leads_to_its_customer() -> None:
    """The deal names a phone that was shown beside a mail address, so it is of whose that is; a touch with its CRM id takes it away."""
    company = Company()
    company.beside(PHONE, MAIL)
    company.deal([CRM, PHONE])
    company.settle()
    company.check()
    assert [act.trust for act in company.acts(MAIL)] == [trust(PHONE)]
    company.touch(CRM)
    company.settle()
    company.check()
    assert company.acts(MAIL) == [] and len(company.acts(CRM)) == 1


def test_what_a_ledger_told_that_ended_too_early_is_taken_back() -> None:
    """It told whom the mail address shows, and what it knew was not written; the next one reads the touch with the CRM id first."""
    company = Company()
    company.touch(MAIL)
    company.learn("touches")
    company.save()
    company.deal([CRM, MAIL])
    company.learn("deals")
    company.deliver(MAIL)
    assert len(company.acts(MAIL)) == 1
    company.crash()
    company.touch(CRM)
    company.learn("touches")
    company.settle()
    company.check()
    assert company.acts(MAIL) == [] and len(company.acts(CRM)) == 1


def test_what_an_earlier_version_named_is_told_of_too() -> None:
    """The ledger told of the first version and ended too early; the next one reads both versions before the touch. The second names another
    identifier, which nobody has shown, or says that the deal was a mistake."""
    for changes in ({}, {"deleted": True}):
        company = Company()
        company.touch(MAIL)
        company.deal([MAIL])
        company.settle()
        assert len(company.acts(MAIL)) == 1
        company.crash()
        company.deal([CRM] if not changes else [MAIL], **changes)
        company.learn("deals")
        company.learn("deals")
        company.settle()
        company.check()
        assert company.acts(MAIL) == []


def test_who_has_a_deal_has_its_newest_version_when_others_hear_that_it_is_not_theirs() -> None:
    """The second version brings no news, but the phone's customer hears of it; a merge in two parts has the ledger take the deal
    from them once more: the customer of both keeps it."""
    company = Company()
    company.merge(MAIL, PHONE)
    company.deal(IDS)
    company.touch(CRM)
    company.deal(IDS)
    company.settle()
    assert [act.version for act in company.acts(CRM)] == [1, 2]
    company.merge(CRM, MAIL)
    company.check(one=True)
    company.settle()
    company.check()
    assert [act.version for act in company.acts(CRM)][-1] == 2


def test_a_lead_keeps_a_deal_that_came_to_it_though_all_that_was_said_of_it_is_pruned() -> None:
    """Merged with whom the deal was of before, who has the mark: what the lead knows of the deal is of where it went."""
    company = moved()
    company.people.policy = parse(TEAM + "[touch]\nlate_after_days = 9000\n[timeline]\nmax_touches = 10\n")
    for n in range(14):
        company.people.touch(CRM, f"n{n:02d}", "opened", NOW + DAY + n)
    lead = company.lead(CRM)
    assert (
        company.acts(CRM) == [] and lead is not None and lead.deals == (LeadDeal("d1", "open", place(2, trust(CRM))),)
    )
    company.now += 2 * DAY
    company.merge(CRM, MAIL)
    lead = company.lead(CRM)
    assert lead is not None and lead.state == "opportunity"


def test_places_are_in_the_order_of_versions_then_of_trust() -> None:
    """The higher version first, within one the more trusted identifier; the highest that a CRM can give fits into a timeline."""
    kinds = [f"c{digit}-{'0' * 24}" for _, digit in RANKS]
    assert [kind_of(id_) for id_ in kinds] == [name for name, _ in RANKS]
    assert [trust(id_) for id_ in kinds] == [6, 5, 4, 3, 2, 1] and trust("") == trust("nobody") == 0
    places = [place(version, trust(id_)) for version in (1, 2, 9) for id_ in ("", *reversed(kinds))]
    assert places == sorted(set(places)) and place(0) == 0
    assert place((1 << 63) - 1, 6) < 1 << 64


def test_a_mark_of_an_earlier_release_counts() -> None:
    """Its version is the first of the deal that counts again."""
    entry = Entry(NOW, derived_id("gone", "d1"), "", "sales", INTERNAL, DELETED, NOW, version=3)
    timeline = replace(EMPTY, entries=(entry,))
    assert place(2, 6) < counts_from(timeline, "d1") <= place(3) and counts_from(timeline, "d2") == 0
