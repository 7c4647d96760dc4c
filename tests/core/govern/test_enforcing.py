"""A policy enforced on the past of many customers: by companies, in one order of time, as an obvious reading of it does."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.entry import Entry
from streams.core.govern.backtest import difference
from streams.core.govern.enforcing import circles, stopped
from streams.core.govern.loading import on_companies, on_timelines
from streams.core.govern.records import Contact, Standing
from streams.core.policy import Policy, parse
from streams.core.timeline import Timeline
from tests.core.govern import oracle, worlds
from tests.core.govern.test_colleagues import WHO, WIDE, contact, made, offices, plain
from tests.core.govern.test_governed_findings import ON_TIMELINES
from tests.core.govern.worlds import DAY, HOUR, START

wide = st.one_of(
    worlds.policies(WIDE, scope="account", most=2),
    worlds.policies(("account_cap",), most=1),
    worlds.policies(("account_cap", *ON_TIMELINES), most=4),
)


def enforced(past: Mapping[str, tuple[Entry, ...]], policy: Policy) -> dict[str, set[tuple[str, ...]]]:
    """Whom the policy would have stopped, with the rules: all that was so far is looked at anew for each contact."""
    judged = {rule.name for rule in policy.rules if on_timelines(rule) or on_companies(rule)}
    alerts = {rule.name for rule in policy.rules if rule.action == "alert"}
    found: dict[str, set[tuple[str, ...]]] = {who: set() for who in past}
    gone: set[tuple[str, str]] = set()
    events = sorted(((one.at, one.id, who, n) for who, some in past.items() for n, one in enumerate(some)))
    for k, (at, id_, who, n) in enumerate(events):
        now = past[who][n]
        if not made((now,)):
            continue
        seen: dict[str, list[Entry]] = {mate: [] for mate in past}
        for _, _, mate, m in events[: k + 1]:
            one = past[mate][m]
            silent = (mate, one.id) in gone or (mate, one.id) == (who, id_)
            seen[mate].append(replace(one, kind="opened") if silent else one)
        accounts = [one.account for one in seen[who] if one.account and not one.late]
        others: list[Contact] = []
        for mate in past if accounts else ():
            if mate != who and any(plain(one.account) == plain(accounts[-1]) for one in seen[mate]):
                others += [contact(one, mate) for one in made(tuple(seen[mate]))]
        asked = replace(contact(now, ""), customer="")
        names = oracle.broken(seen[who], asked, policy, at, Standing(account_contacts=tuple(others)))
        stops = (names & judged) - alerts
        if stops:
            found[who].add((id_, *sorted(stops)))
            gone.add((who, id_))
    return found


@settings(max_examples=150, deadline=None)
@given(offices(), wide)
def test_what_is_stopped_is_what_an_obvious_reading_stops(past: dict[str, tuple[Entry, ...]], policy: Policy) -> None:
    """Of people who belong to companies, or come to one by a later touch, each contact is stopped by the rules that it breaks with what
    everybody of its company got until then and was not stopped; who has nothing to do with each other is looked at apart."""
    timelines = {who: Timeline(entries=entries) for who, entries in past.items()}
    found: dict[str, set[tuple[str, ...]]] = {who: set() for who in WHO}
    for circle in circles(timelines, policy):
        for who, theirs in stopped(circle, policy).items():
            found[who] = {(id_, *sorted(one.rules)) for id_, one in theirs.items()}
    assert found == enforced(past, policy)


def mail(who: str, hours: int, account: str | None = "acme", **values: str) -> Entry:
    """A mail to somebody, after so many hours."""
    named = {"channel": "email", "department": "marketing", "direction": "outbound", "kind": "sent"} | values
    return Entry(START + hours * HOUR, f"{who}-{hours}", account=account, **named)


TWO = parse('[[rules]]\nname = "two"\nkind = "account_cap"\nwindow = "7d"\nlimit = 2\n')


def test_two_people_of_a_company_a_week() -> None:
    """Cy may be written to, since nobody knows yet that Bo, who got a mail, is of Acme; from then on the company has had its two people and
    more, so Eve may not, while those who got something may again. Dee of another company may, and a week later all are free."""
    past = {
        "ann": (mail("ann", 0), mail("ann", 3)),
        "bo": (mail("bo", 1, None), mail("bo", 2, "ACME ", kind="opened", direction="inbound")),
        "cy": (mail("cy", 1), mail("cy", 4), mail("cy", 24 * 7 + 5)),
        "dee": (mail("dee", 5, "globex"),),
        "eve": (mail("eve", 5),),
    }
    timelines = {
        who: Timeline(entries=tuple(replace(one, campaign=one.id) for one in some)) for who, some in past.items()
    }
    assert sorted(sorted(circle) for circle in circles(timelines, TWO)) == [["ann", "bo", "cy", "eve"], ["dee"]]
    assert sorted(sorted(circle) for circle in circles(timelines, Policy())) == [[who] for who in (*WHO, "eve")]
    found = difference(timelines, TWO, Policy())
    assert (found.contacts, found.newly.by_rule, found.no_longer.contacts) == (8, {"two": 1}, 0)
    (gone,) = [one for circle in circles(timelines, TWO) for one in stopped(circle, TWO).items()]
    assert (gone[0], list(gone[1])) == ("eve", ["eve-5"])
    assert difference(timelines, TWO, Policy(), START + 7 * DAY).newly.contacts == 0
