"""Rules about a whole company, where everybody is at hand: a forecast says what checks of each plan would, told of all colleagues."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.entry import Entry, key
from streams.core.govern import counting
from streams.core.govern.check import check
from streams.core.govern.colleagues import Companies, belonging, companies
from streams.core.govern.forecast import forecast, plan_of
from streams.core.govern.records import NOTHING, Contact, Standing, Suppression
from streams.core.govern.windows import bucket_at
from streams.core.policy import Policy, parse
from tests.core.govern import oracle, worlds
from tests.core.govern.worlds import DAY, HOUR

TUESDAY = worlds.START + 5 * DAY + 10 * HOUR
WHO = ("ann", "bo", "cy", "dee")
WIDE = ("frequency_cap", "account_cap", "department_overlap", "minimum_gap", "duplicate_campaign", "duplicate_sequence")
named = st.sampled_from((None, None, "acme", "Acme ", "globex"))


@st.composite
def offices(draw: st.DrawFn) -> dict[str, tuple[Entry, ...]]:
    """What some people got, whose companies some of their touches name."""
    found = {}
    for who in WHO:
        entries = [replace(one, id=f"{who}-{one.id}", account=draw(named)) for one in draw(worlds.histories(4))]
        found[who] = tuple(sorted(entries, key=key))
    return found


planned = st.lists(st.tuples(st.sampled_from(WHO), worlds.contacts, named), max_size=7)
wide = st.one_of(
    worlds.policies(WIDE, scope="account", most=2),
    worlds.policies(("account_cap", "quiet_hours", "owner_collision", "opt_out"), most=3),
)


def plain(name: str | None) -> str:
    return (name or "").strip().lower()


def company_of(
    who: str, past: dict[str, tuple[Entry, ...]], plans: list[tuple[str, Contact, str | None]]
) -> str | None:
    """By the newest touch that says so, else by a plan."""
    told = [one.account for one in past[who] if one.account and not one.late]
    return told[-1] if told else next((name for of, _, name in plans if of == who and name), None)


def belongs(
    who: str, company: str, past: dict[str, tuple[Entry, ...]], plans: list[tuple[str, Contact, str | None]]
) -> bool:
    touched = any(plain(one.account) == company for one in past[who])
    return touched or any(of == who and plain(name) == company for of, _, name in plans)


def contact(one: Entry, who: str) -> Contact:
    offers = [claim.value for claim in one.claims if claim.kind == "offer"]
    return Contact(
        one.at, one.channel, one.department, one.kind, one.id, one.campaign, one.category, one.sequence, one.actor_id, one.actor_kind,
        one.priority, offers[0] if offers else None, customer=who,
    )  # fmt: skip


def made(entries: tuple[Entry, ...]) -> list[Entry]:
    return [one for one in entries if one.direction == "outbound" and one.kind in oracle.CONTACT and not one.late]


def all_of(past: dict[str, tuple[Entry, ...]], plans: list[tuple[str, Contact, str | None]]) -> Companies:
    told: dict[str, list[str]] = {}
    for who, _, name in plans:
        told.setdefault(who, []).extend([name] if name else [])
    return companies(told, {who: belonging(entries) for who, entries in past.items()})


@settings(max_examples=150, deadline=None)
@given(offices(), planned, wide, st.data())
def test_a_forecast_counts_colleagues(
    past: dict[str, tuple[Entry, ...]],
    asked: list[tuple[str, Contact, str | None]],
    policy: Policy,
    data: st.DataObject,
) -> None:
    """Each plan breaks what it breaks when all that colleagues got, and all that is planned for them, is looked at one by one."""
    plans = [(who, replace(one, id=f"p{n}"), name) for n, (who, one, name) in enumerate(asked)]

    def foreseen(plans: list[tuple[str, Contact, str | None]]) -> Any:
        known = lambda who: (past[who], NOTHING)  # noqa: E731
        return forecast([(who, one) for who, one, _ in plans], known, policy, 0, all_of(past, asked))

    found = foreseen(plans)
    assert found == foreseen(data.draw(st.permutations(plans)))
    broken = {}
    for who, one, _ in plans:
        company = company_of(who, past, asked)
        others: list[Contact] = []
        for mate in WHO if company else ():
            if mate != who and belongs(mate, plain(company), past, asked):
                others += [contact(each, mate) for each in made(past[mate])]
                others += [replace(each, customer=mate) for of, each, _ in plans if of == mate]
        own = tuple(each for of, each, _ in plans if of == who)
        standing = Standing(held=own, account_contacts=tuple(others), account=company)
        broken[one.id] = oracle.broken(past[who], one, policy, one.at, standing)
    for outlook in found:
        theirs = [one for _, one, _ in plans if plan_of(one) == outlook.plan]
        assert outlook.contacts == len(theirs)
        assert sum(each.contacts for each in outlook.collisions) == sum(len(broken[one.id]) for one in theirs)
        stops = {rule.name: rule.action for rule in policy.rules if rule.action != "alert"}
        assert outlook.stopped == sum(
            any(
                name in stops and not (stops[name] == "require_approval" and one.approved_by) for name in broken[one.id]
            )
            for one in theirs
        )


CAPPED = parse(
    """
    [[rules]]
    name = "three-people-a-week"
    kind = "account_cap"
    window = "7d"
    limit = 3
    [[rules]]
    name = "five-mails-a-day"
    kind = "frequency_cap"
    scope = "account"
    window = "day"
    limit = 5
    """
)


def test_a_plan_for_two_hundred_colleagues() -> None:
    """Two of Acme were called today, and a mail to 200 people is planned, a minute apart: of its 190 colleagues one more may get it by the
    cap on people, none by that on mails, where each is one too many for a later one. Five of Globex are two people too many, who is of no
    company gets it, and two are on the list of those who want no contact."""
    past = {
        f"c{n}": (Entry(TUESDAY - (n + 1) * HOUR, f"t{n}", "calls", "sales", "outbound", "dialed", account="acme"),)
        for n in (0, 1)
    }
    mail = Contact(TUESDAY, "email", "marketing", campaign="spring")
    plans = [(f"p{n}", replace(mail, at=TUESDAY + n * 60_000, id=f"m{n}")) for n in range(200)]
    told = {who: ["Acme"] if n < 190 else ["globex"] if n < 195 else [] for n, (who, _) in enumerate(plans)}
    firms = companies(told, {who: belonging(entries) for who, entries in past.items()})
    listed = Standing(do_not_contact=(Suppression("account", 0),))

    def known(who: str) -> tuple[tuple[Entry, ...], Standing]:
        return past.get(who, ()), listed if who in ("p191", "p199") else NOTHING

    (outlook,) = forecast(plans, known, CAPPED, worlds.START, firms)
    assert {(one.rule, one.against): one.contacts for one in outlook.collisions} == {
        ("three-people-a-week", "contacts already made or reserved and planned emails of marketing"): 189,
        ("three-people-a-week", "planned emails of marketing"): 2,
        ("five-mails-a-day", "contacts already made or reserved and planned emails of marketing"): 190,
        ("do-not-contact", ""): 2,
    }
    assert (outlook.contacts, outlook.stopped) == (200, 190 + 2 + 2)


WEEKLY = parse(
    """
    [[rules]]
    name = "twenty-a-week"
    kind = "frequency_cap"
    scope = "account"
    window = "week"
    limit = 20
    """
)


def test_a_plan_for_a_whole_company_does_not_look_at_everybody_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each of 400 planned mails, of which each is one too many for the others, a cap looks at some windows, not at those of all."""
    asked: list[int] = []

    def counted(window: str, at: int, zone: Any) -> tuple[int, int]:
        asked.append(at)
        return bucket_at(window, at, zone)

    monkeypatch.setattr(counting, "bucket_at", counted)
    mail = Contact(TUESDAY, "email", "marketing", campaign="spring")
    plans = [(f"p{n}", replace(mail, at=TUESDAY + n * 60_000, id=f"m{n}")) for n in range(400)]
    firms = companies({who: ["acme"] for who, _ in plans}, {})
    (outlook,) = forecast(plans, lambda who: ((), NOTHING), WEEKLY, worlds.START, firms)
    assert (outlook.stopped, len(asked) < 400 * 40) == (400, True)


@pytest.mark.parametrize(
    ("rule", "until"),
    [
        ('kind = "frequency_cap"\nscope = "account"\nwindow = "7d"\nlimit = 900', 7 * DAY - 900_000),
        ('kind = "account_cap"\nwindow = "7d"\nlimit = 900', 7 * DAY - 900_000),
        ('kind = "minimum_gap"\nscope = "account"\nwindow = "7d"', 7 * DAY - 1000),
    ],
)
def test_of_a_thousand_colleagues_the_nearest_are_the_evidence(rule: str, until: int) -> None:
    """Who asks hears that a thousand others were contacted, and until when that hinders; the evidence are the 200 nearest of them."""
    policy = parse(f'[[rules]]\nname = "wide"\n{rule}\n')
    now = TUESDAY
    others = [
        Contact(now - (n + 1) * 1000, "email", "marketing", "sent", f"m{n}", customer=f"c{n}")
        for n in reversed(range(1000))
    ]
    verdict = check((), Contact(now, "email", "marketing"), policy, now, Standing(account_contacts=tuple(others)), None)
    (found,) = [one for one in verdict.violations if one.rule == "wide"]
    assert [one.id for one in found.evidence] == [f"m{n}" for n in reversed(range(200))]
    assert found.until == now + until
    assert "1000 other" in found.text or "minimum_gap" in rule


def test_of_two_timelines_of_a_person_the_newest_touch_says_the_company() -> None:
    """Whichever of the two is read first: a person known by two ids is of the company that the later touch names."""
    older = belonging((Entry(1, "a", "email", "marketing", "outbound", "sent", account="acme"),))
    newer = belonging((Entry(2, "b", "email", "marketing", "outbound", "sent", account="globex"),))
    for known in ({"c2-a": older, "c3-b": newer}, {"c3-b": newer, "c2-a": older}):
        assert companies({"c2-a": []}, known, lambda id_: "c2-a").of == {"c2-a": "globex"}
