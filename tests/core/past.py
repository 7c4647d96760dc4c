"""Histories of change by seed, many and fast: `python -m tests.core.past --seeds 20000`. A failing one is made small and printed."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from streams.core import segments
from streams.core.consent import ConsentChange
from streams.core.identify import nodes
from streams.core.leads.policy import Team
from streams.core.policy import (
    CampaignFacts,
    DoubleContactPolicy,
    HandoffPolicy,
    IncongruencePolicy,
    Policy,
    TimelinePolicy,
    TouchPolicy,
)
from streams.core.touch import Actor, Customer, Message, Touch
from tests.core.oracle import DoubtfulError
from tests.core.past_events import Acknowledge, Consented, Erase, Event, Plan, happened
from tests.core.past_people import Cut, Joined
from tests.core.past_world import World, scheduled, wrong
from tests.core.strategies import HOUR, ID_KEY, REGION, START

KNOWN: tuple[dict[str, str], ...] = (
    {"crm_id": "C-1"},
    {"email": "dana@example.com"},
    {"email": "lee@example.com"},
    {"phone": "+14155550100"},
    {"phone": "+14155550101"},
)
GUARDED: tuple[dict[str, str], ...] = (
    *KNOWN,
    {"crm_id": "C-2"},
    {"crm_id": "C-3"},
    {"email": "kim@example.com"},
    {"email": "info@example.com"},
)
"""Records that contradict each other, numbers that many share, an office's address."""
WHAT: tuple[tuple[Any, Any, Any], ...] = (
    ("email", "outbound", "sent"),
    ("email", "outbound", "sent"),
    ("calls", "outbound", "dialed"),
    ("calls", "outbound", "answered"),
    ("linkedin", "outbound", "message_sent"),
    ("email", "inbound", "unsubscribed"),
    ("email", "inbound", "clicked"),
    ("ads", "inbound", "lead_form"),
)
TEXTS = (None, None, "The Pro plan is €49 per month.", "The Pro plan is €59 per month.")
POLICY = Policy(
    touch=TouchPolicy(late_after_days=30_000),
    handoff=HandoffPolicy(threshold=20, cool_down_days=1),
    campaigns={"spring": CampaignFacts(product="Pro", price="49 EUR/month")},
)


RETENTIONS = (90, 0.5, 90, 1, 90, 2)
"""Days that a timeline holds: longer than any history, and so short that touches are pruned on the way."""


def touch(rng: random.Random, id_: str, who: Customer) -> Touch:
    """Any touch of a small world: some days, in which much collides."""
    channel, direction, kind = rng.choice(WHAT)
    text = rng.choice(TEXTS) if kind in ("sent", "message_sent") else None
    return Touch(
        id_, channel, rng.choice(("marketing", "sales")), direction, kind,
        START + rng.randrange(12) * 8 * HOUR, who,
        actor=rng.choice((None, Actor("jo", "J. Okafor"))),
        campaign=rng.choice((None, "spring")),
        message=Message(text=text) if text else None,
        category=rng.choice((None, None, "offer")),
    )  # fmt: skip


def history(
    rng: random.Random, known: Sequence[dict[str, str]], pairs: Sequence[dict[str, str]], more: str
) -> list[Event]:
    """Versions of some touches, mixed, and among them what `more` allows: "ack", "cut", "join", "erase", "plan", "consent"; "guard": some
    share identifiers."""
    events: list[Event] = []
    guarded = "guard" in more
    for n in range(rng.randint(4, 16) if guarded else rng.randint(1, 10)):
        of = pairs if guarded and rng.random() < 0.6 else rng.choice((known, pairs))
        who = Customer(**rng.choice(of), name=rng.choice((None, None, "Dana")))
        told = [touch(rng, f"t{n}", who)]
        for version in range(2, rng.choice((2, 2, 2, 3, 4))):
            if rng.random() < (0.05 if guarded else 0.2):
                who = Customer(**rng.choice(rng.choice((known, pairs))))
            told.append(replace(touch(rng, f"t{n}", who), version=version, deleted=rng.random() < 0.3))
        events += told + rng.choice(([], [], [], told[:1]))
    for _ in range(rng.randint(0, 5)):
        what = rng.choice(more.split(","))
        if what == "ack":
            events.append(Acknowledge(rng.randrange(9)))
        ids = nodes(Customer(**rng.choice(pairs)), ID_KEY, REGION)
        if what == "cut" and len(ids) > 1:
            events.append(Cut(*ids))
        if what == "join":
            one, other = (nodes(Customer(**of), ID_KEY, REGION)[:1] for of in rng.sample(known, 2))
            if one and other:
                events.append(Joined(*sorted((*one, *other))))
                events += rng.choice(([], [Cut(*events[-1])], [Cut(*events[-1]), events[-1]]))
        if what == "erase" and rng.random() < 0.5:
            events.append(Erase(nodes(Customer(**rng.choice(known)), ID_KEY, REGION)[0]))
    for n in range(rng.randint(0, 4) if "plan" in more else 0):
        events += plans(rng, f"p{n}", Customer(**rng.choice(rng.choice((known, pairs)))))
    for n in range(rng.randint(0, 4) if "consent" in more else 0):
        events += consents(rng, f"c{n}", Customer(**rng.choice(rng.choice((known, pairs)))))
    rng.shuffle(events)
    return happened(events)


def plans(rng: random.Random, id_: str, who: Customer) -> list[Event]:
    """A touch that is planned for after all others, changed or withdrawn, and perhaps made."""
    told: list[Event] = []
    for version in range(1, rng.choice((2, 2, 3, 4))):
        planned = replace(touch(rng, id_, who), version=version, deleted=version > 1 and rng.random() < 0.3)
        channel, _, kind = rng.choice(WHAT[:5])
        later = START + (500 + rng.randrange(12) * 8) * HOUR
        told.append(Plan(replace(planned, channel=channel, direction="outbound", kind=kind, occurred_at=later)))
    return told + rng.choice(([], [], told[:1], [touch(rng, id_, who)]))


def consents(rng: random.Random, id_: str, who: Customer) -> list[Event]:
    """A record of consent, perhaps once more with other words, or taken back."""
    told: list[Event] = []
    for again in range(rng.choice((1, 1, 1, 2))):
        at = START + rng.randrange(12) * 8 * HOUR
        change = ConsentChange(
            id_, who, rng.choice(("granted", "granted", "denied", "withdrawn")), at,
            rng.choice(("", "email", "email", "calls")), rng.choice(("", "", "offer")),
            rng.choice((None, None, at + 8 * HOUR, at + 30 * HOUR)),
            deleted=again > 0 and rng.random() < 0.5,
        )  # fmt: skip
        told.append(Consented(Touch(id_, "email", "marketing", "inbound", "opened", at, who), change))
    return told + rng.choice(([], [], told[:1]))


def contacts(rng: random.Random) -> list[Event]:
    """Mails and cuts only, of three identifiers in a row: whatever is on a wrong timeline, or on none, makes a difference."""
    crm, email, phone = KNOWN[0], KNOWN[1], KNOWN[3]
    whom = (crm, email, phone, email | phone, crm | rng.choice((email, phone)))
    events: list[Event] = []
    for n in range(rng.randint(3, 7)):
        department = rng.choice(("marketing", "sales", "service"))
        who = Customer(**rng.choice(whom))
        events.append(Touch(f"t{n}", "email", department, "outbound", "sent", START + n * HOUR, who))
    for _ in range(rng.randint(1, 2)):
        events.append(Cut(*nodes(Customer(**rng.choice(whom[3:])), ID_KEY, REGION)))
    last = events.pop()
    events.insert(rng.randrange(2, len(events) + 1), last)
    return events


class Case(NamedTuple):
    """A history, the choices of its world, and what the world is like."""

    events: list[Event]
    schedule: list[int]
    partitions: int
    crashes: bool
    refuse: bool
    retention: float = 90
    teams: bool = False
    shared_after: int = 3


def case(seed: int, more: str) -> Case:
    """The case of a seed."""
    rng = random.Random(seed)
    guarded = "guard" in more and seed % 3 == 0
    more = ",".join(what for what in more.split(",") if what != ("erase" if guarded else "guard")) or "ack"
    known = rng.sample(GUARDED if guarded else KNOWN, rng.randint(4 if guarded else 2, len(KNOWN)))
    pairs = [one | other for one in known for other in known if min(one) < min(other)] or [{**known[0]}]
    schedule = [rng.randrange(60) for _ in range(rng.choice((0, 20, 60, 150)))]
    if guarded:  # one identifier that many have
        hub = rng.choice([one for one in known if "crm_id" not in one] or known)
        pairs += 3 * [pair for pair in pairs if hub.items() <= pair.items()]
    events = contacts(rng) if rng.random() < 0.3 and "cut" in more and not guarded else history(rng, known, pairs, more)
    retention = RETENTIONS[seed % len(RETENTIONS)]
    teams, shared_after = seed // len(RETENTIONS) % 4 == 3, rng.randint(1, 3) if guarded else 3
    partitions, crashes, refuse = rng.randint(1, 4), rng.random() < 0.5, rng.random() < 0.5
    return Case(events, schedule, partitions, crashes, refuse, retention, teams, shared_after)


def policy_of(of: Case) -> Policy:
    """The policy of its world: no window is longer than the retention, as everywhere."""
    identity = replace(POLICY.identity, shared_after=of.shared_after)
    policy = replace(POLICY, teams=(Team("sales"),) if of.teams else (), identity=identity)
    if of.retention == RETENTIONS[0]:
        return policy
    return replace(
        policy,
        timeline=TimelinePolicy(retention_days=of.retention),
        double_contact=DoubleContactPolicy(window_hours=of.retention * 12),
        incongruent_message=IncongruencePolicy(window_days=of.retention / 2),
    )


def problem(of: Case, outcomes: Counter[str] | None = None, trace: bool = False) -> str | None:
    """What is wrong in the end; None when nothing is, or nobody can say."""
    policy = policy_of(of)
    world = World(policy, of.partitions, of.crashes, of.refuse)
    if trace:
        world.trace = print
    try:
        world.run(of.events, scheduled(of.schedule))
        found = wrong(world, policy)
    except DoubtfulError:
        if outcomes is not None:
            outcomes["nobody can say"] += 1
        return None
    except AssertionError as error:
        return str(error)
    if outcomes is not None:
        outcomes.update(world.outcomes)
        outcomes.update(
            {"touches": sum(isinstance(event, Touch) for event in of.events), "findings": len(world.emitted)}
        )
        outcomes.update(world.happened())
    return found


def smaller(of: Case) -> Case:
    """The case without whatever it does not need to fail."""
    while True:
        events, schedule = of.events, of.schedule
        tries = [of._replace(events=[*events[:n], *events[n + 1 :]]) for n in range(len(events))]
        tries += [of._replace(schedule=schedule[: len(schedule) // 2])]
        tries += [of._replace(schedule=[*schedule[:n], *schedule[n + 1 :]]) for n in range(len(schedule))]
        tries += [
            of._replace(schedule=[*schedule[:n], 0, *schedule[n + 1 :]]) for n, choice in enumerate(schedule) if choice
        ]
        tries += [of._replace(partitions=n) for n in range(1, of.partitions)]
        fitting = next((one for one in tries if one != of and problem(one)), None)
        if fitting is None:
            return of
        of = fitting


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.past", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many histories (1000)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first seed (0)")
    parser.add_argument(
        "--with",
        dest="more",
        default="ack,cut,join,erase,plan,consent,guard",
        help="what may happen besides (ack,cut,join,erase,plan,consent,guard)",
    )
    parser.add_argument("--segment", type=int, default=32, metavar="N", help="touches in a segment of a timeline (32)")
    options = parser.parse_args()
    started, outcomes, failed = time.monotonic(), Counter[str](), []
    seeds = range(options.first, options.first + options.seeds)
    segments.LENGTH = options.segment
    for seed in seeds:
        if problem(case(seed, options.more), outcomes):
            failed.append(seed)
    print(
        f"{len(seeds)} histories in {time.monotonic() - started:.1f} s, {len(failed)} wrong; {dict(sorted(outcomes.items()))}"
    )
    if not failed:
        return 0
    print(f"seeds {failed[:20]}")
    found = [smaller(case(seed, options.more)) for seed in failed[:5]]
    least = min(found, key=lambda of: (len(of.events), len(of.schedule)))
    print(f"{problem(least, trace=True)}\n{least.partitions} partitions, schedule {least.schedule}")
    for event in least.events:
        print(f"  {event}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
