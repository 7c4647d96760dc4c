"""Histories of change through real Kafka, Redis and workers: `python -m tests.e2e.past --seeds 1000`.

The histories of many persons lie side by side in one installation, each with identifiers and touch ids of its own, and with records of
consent. Their first halves are published in random order; then persons are erased, cut, joined, and findings acknowledged while the
second halves arrive, and a worker is killed in between and another one started. What stands in the end is compared with the
oracle's, history by history.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from streams import Client
from streams.core import backtest
from streams.core.erasure import IDENTITY
from streams.core.identify import nodes
from streams.core.outcome import Finding
from streams.core.policy import parse
from streams.core.touch import Customer, Touch
from streams.edge import reader, topic_admin
from streams.edge.codec import Codec
from streams.edge.publisher import PublishError
from streams.edge.topics import CONFLICTS, ERASURES, HANDOFFS
from streams.settings import Settings
from tests.core import past, past_oracle
from tests.core.oracle import Claimed, DoubtfulError
from tests.core.past_events import Consented, Erase
from tests.core.past_oracle import Facts
from tests.core.past_people import Cut, Erased, Joined, Pair, Published, together
from tests.core.past_world import taken_away
from tests.core.strategies import ID_KEY, REGION
from tests.support.drained import wait_drained
from tests.support.lanes import contents
from tests.support.stack import fresh_settings, started
from tests.support.waiting import wait_until, wait_until_async
from tests.support.worker import Worker

CODEC = Codec()
RULES = ("double_contact", "contact_after_opt_out", "incongruent_message", "handoff")
POLICY = parse(Path(__file__).parents[1].joinpath("support", "policy.toml").read_text(encoding="utf-8"))
CONFLICT = "identity_conflict"
EARLIER, LATER = 0, 2
ASKED = 1
"""Moments of publication as the oracle sees them: before and after what is asked for."""


class Group(NamedTuple):
    """One history: touches of its first half, what is asked then, touches of its second half, and what must hold."""

    first: list[Touch]
    cut: Cut | None
    erased: str | None
    second: list[Touch]
    wanted: list[Claimed]
    joined: Joined | None = None
    conflicts: int = 0
    """How many contradictions of two records nobody has decided."""
    said: tuple[list[Consented], list[Consented]] = ([], [])
    """Records of consent of both halves."""


def known_of(seed: int) -> list[dict[str, str]]:
    """Identifiers that only this history has."""
    phones = [f"+1415{2_000_000 + 2 * seed + n:07d}" for n in range(2)]
    return [
        {"crm_id": f"C-{seed}"},
        *({"email": f"{n}.{seed}@example.com"} for n in "ab"),
        *({"phone": p} for p in phones),
    ]


def crowd_of(seed: int) -> list[dict[str, str]]:
    """A number and more addresses than one person may have with it."""
    return [*({"email": f"{n}.{seed}@example.com"} for n in "abcde"), {"phone": f"+1415{2_000_000 + 2 * seed:07d}"}]


def records_of(seed: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Two records of a CRM, alone and with one address."""
    records = [{"crm_id": f"C-{seed}-{n}"} for n in range(2)]
    return records, [record | {"email": f"a.{seed}@example.com"} for record in records]


def said_of(
    seed: int, known: list[dict[str, str]], pairs: list[dict[str, str]]
) -> tuple[list[Consented], list[Consented]]:
    """Records of consent of both halves; what is said anew under an id, or taken back, is of the second."""
    rng = random.Random(f"{seed} says")
    first: list[Consented] = []
    second: list[Consented] = []
    for n in range(rng.randint(0, 4)):
        told = past.consents(rng, f"{seed}-c{n}", Customer(**rng.choice(rng.choice((known, pairs)))))
        earlier, *later = [event for event in told if isinstance(event, Consented)]
        (first if rng.random() < 0.6 else second).append(_proved(earlier))
        second += map(_proved, [one for one in later[:1] if _proved(earlier) in first])
    return first, second


def _proved(said: Consented) -> Consented:
    return Consented(said.touch, replace(said.change, source="cmp", recorded_by="cmp"))


def group(seed: int) -> Group | None:
    """The history of a seed; None when the oracle cannot say what must hold."""
    rng = random.Random(seed)
    crowded, contradicting = seed % 8 == 4, seed % 8 == 2
    known = crowd_of(seed) if crowded else rng.sample(known_of(seed), rng.randint(2, 5))
    pairs = [one | other for one in known for other in known if min(one) < min(other)] or known
    if contradicting:
        known, pairs = records_of(seed)
    events = past.history(rng, known, pairs, "guard" if crowded else ("erase" if seed % 8 == 0 else "ack"))
    touches = [replace(event, touch_id=f"{seed}-{event.touch_id}") for event in events if isinstance(event, Touch)]
    half = rng.randint(0, len(touches))
    first, second = touches[:half], touches[half:]
    erase = next((event for event in events if isinstance(event, Erase)), None)
    said = ([], []) if crowded or contradicting else said_of(seed, known, pairs)
    seen = [_ids(touch) for touch in (*first, *(one.touch for one in said[0]))]
    links = [frozenset((ids[0], weak)) for ids in seen for weak in ids[1:]]
    may_cut = links and not erase and not crowded
    cut = rng.choice(sorted(map(sorted, links))) if may_cut and rng.random() < 0.6 else None
    gone: set[str] = set()
    if erase and any(erase.identifier in ids for ids in seen):
        gone = together(erase.identifier, links, ())
        # Whether a stranger with an erased identifier is the erased person depends on who came first.
        second = [touch for touch in second if not _stranger(touch, gone)]
        said = (said[0], [one for one in said[1] if not _stranger(one.touch, gone)])
    joined = None if cut or erase or crowded else _apart(seed, seen, links, contradicting)
    published = [*(Published(t, EARLIER) for t in first), *(Published(t, LATER) for t in second)]
    published += [
        Published(one.touch, at, consent=one.change)
        for at, some in zip((EARLIER, LATER), said, strict=True)
        for one in some
    ]
    cuts: frozenset[Pair] = frozenset((frozenset(cut),)) if cut else frozenset()
    joins: frozenset[Pair] = frozenset((frozenset(joined),)) if joined else frozenset()
    facts = Facts(published, cuts, [Erased(frozenset(gone), ASKED)] if gone else [], refuse=True, joins=joins)
    if (
        crowded or contradicting
    ):  # whoever is first: the number holds nobody together in the end, and no touch names the address alone
        first_said, second_said = (published[: len(first)], published[len(first) :])
        asked = [*([Cut(*cut)] if cut else []), *([joined] if joined else [])]
        facts = facts._replace(said=[*first_said, *asked, *second_said])
    shown = {ids for ids in map(_ids, [*first, *second]) if len(ids) > 1}
    conflicts = int(
        contradicting and len(shown) == 2 and not (cut or joined)
    )  # a cut of one pair leaves the address to the other record
    try:
        wanted = past_oracle.holding(facts, POLICY, ID_KEY)
    except DoubtfulError:
        return None
    gone_by = erase.identifier if erase and gone else None
    return Group(first, Cut(*cut) if cut else None, gone_by, second, wanted, joined, conflicts, said)


def _stranger(touch: Touch, gone: set[str]) -> bool:
    return _ids(touch)[0] not in gone and bool(gone & set(_ids(touch)))


def _apart(seed: int, seen: list[tuple[str, ...]], links: list[Pair], contradicting: bool) -> Joined | None:
    """Two in some of the histories who are apart after the first half, for somebody to join: records that contradict each other, or
    strangers."""
    known = sorted({id_ for ids in seen for id_ in ids if id_.startswith("c1-") or not contradicting})
    if seed % 16 not in (2, 6, 14):
        return None
    pairs = [Joined(a, b) for a in known for b in known if a < b and (contradicting or b not in together(a, links))]
    return pairs[seed % len(pairs)] if pairs else None


def _ids(touch: Touch) -> tuple[str, ...]:
    return nodes(touch.customer, ID_KEY, REGION)


async def _erase(settings: Settings, groups: list[Group]) -> None:
    """Returns once all erasures are decided: what comes before that is what they are about, and how soon they are is not ours to say."""
    asked = [one.erased for one in groups if one.erased]
    async with Client(settings=settings) as client:
        for customer in asked:
            await client.request("customer_erased", customer, by="jo")

    async def decided() -> bool:
        records = await contents(settings, settings.topic(ERASURES))
        receipts = [CODEC.decode_receipt(record.value) for record in records]
        return len(asked) == len({one.request_id for one in receipts if one.part == IDENTITY})

    await wait_until_async(decided, 120, "the erasures to be decided")


async def _request(settings: Settings, groups: list[Group], rng: random.Random) -> None:
    """Everything else that is asked for, and some findings are acknowledged."""
    held = sorted(backtest.standing(await reader.findings(settings)), key=lambda finding: finding.finding_id)
    acknowledged = rng.sample(
        [finding for finding in held if finding.rule in (*RULES, CONFLICT)], min(len(held) // 10, 40)
    )
    async with Client(settings=settings) as client:
        for one in groups:
            if one.cut:
                await client.request("identity_split", min(one.cut), by="jo", identifiers=tuple(one.cut))
            if one.joined:
                await client.request("identity_merge", min(one.joined), by="jo", identifiers=tuple(one.joined))
        for finding in acknowledged:
            await client.acknowledge(finding, "jo")


async def _emitted(settings: Settings) -> list[Finding]:
    found = []
    for name in (CONFLICTS, HANDOFFS):
        found += [CODEC.decode_finding(record.value) for record in await contents(settings, settings.topic(name))]
    return found


def wrong(emitted: list[Finding], groups: list[Group]) -> list[str]:
    """What is not as it must be in all that was ever published."""
    problems = []
    seen: dict[tuple[str, int], Finding] = {}
    known: dict[str, Finding] = {}
    for finding in emitted:
        if seen.setdefault((finding.finding_id, finding.revision), finding) != finding:
            problems.append(f"{finding.rule} {finding.touch_ids} has two contents of revision {finding.revision}")
    problems += [f"{one.rule} {one.touch_ids} was retracted though somebody acts on it" for one in taken_away(emitted)]
    backtest.fold(known, emitted)
    standing: dict[str, list[Claimed]] = defaultdict(list)
    conflicts = Counter[str]()
    for one in backtest.standing(known):
        seed = one.touch_ids[0].partition("-")[0]
        conflicts[seed] += one.rule == CONFLICT
        if one.rule in RULES:
            standing[seed].append(Claimed(one.event_time, one.rule, one.customer, one.touch_ids))
    for of in groups:
        seed = (of.first + of.second)[0].touch_id.partition("-")[0]
        if conflicts[seed] != of.conflicts:
            problems.append(
                f"seed {seed} (cut {of.cut}, joined {of.joined}): {conflicts[seed]} conflicts of records, not {of.conflicts}"
            )
        if sorted(standing[seed]) != of.wanted:
            missing = [claimed for claimed in of.wanted if claimed not in standing[seed]]
            many = [claimed for claimed in standing[seed] if claimed not in of.wanted]
            problems.append(
                f"seed {seed} (cut {of.cut}, joined {of.joined}, erased {of.erased}): missing {missing}, too many {many}"
            )
    return problems


def play(settings: Settings, seeds: range, workers: int) -> tuple[list[Group], list[Finding]]:
    """All histories of these seeds through workers, one of which is killed; the histories, and all findings ever published."""
    rng = random.Random(seeds.start)
    groups = [one for one in map(group, seeds) if one is not None and one.first + one.second]
    first, second = mixed([one.first for one in groups], rng), mixed([one.second for one in groups], rng)
    with ExitStack() as running:
        team = [running.enter_context(Worker(settings)) for _ in range(workers)]
        _publish(settings, first, [one for group in groups for one in group.said[0]])
        wait_drained(settings)
        asyncio.run(_erase(settings, groups))
        asyncio.run(_request(settings, groups, rng))
        _publish(settings, second[: len(second) // 2], [one for group in groups for one in group.said[1]])
        team[0].stop(signal.SIGKILL)
        _publish(settings, second[len(second) // 2 :])
        again = running.enter_context(Worker(settings))
        wait_drained(settings)
        emitted: list[Finding] = []

        def settled() -> bool:
            emitted[:] = asyncio.run(_emitted(settings))
            return not wrong(emitted, groups)

        with suppress(AssertionError):  # the caller tells what is wrong
            wait_until(settled, 30, "the findings to be the oracle's")
        for worker in (*team[1:], again):
            assert worker.stop() == 0, "".join(worker.log[-30:])
    return groups, emitted


def mixed(parts: list[list[Touch]], rng: random.Random) -> list[Touch]:
    """All parts, each in its order, mixed."""
    rest = [list(reversed(part)) for part in parts if part]
    found = []
    while rest:
        n = rng.randrange(len(rest))
        found.append(rest[n].pop())
        if not rest[n]:
            rest[n] = rest[-1]
            rest.pop()
    return found


def _publish(settings: Settings, touches: list[Touch], said: Sequence[Consented] = ()) -> None:
    async def publish() -> None:
        async with Client(settings=settings) as client:
            await client.send_many(touches)
            written = await client.publisher.publish_many([client.encode_consent(one.change) for one in said])
            assert not [one for one in written if isinstance(one, PublishError)]

    asyncio.run(publish())


def options(**more: object) -> dict[str, object]:
    """Settings under which the oracle speaks of the same ids."""
    return {"id_key": ID_KEY, "default_region": REGION, "partitions": 4, "session_timeout": 6.0, **more}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.past", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many histories (1000)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first seed (0)")
    parser.add_argument("--workers", type=int, default=3, metavar="N", help="how many workers (3)")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="touchstream-past-") as data, started(Path(data)) as stack:
        settings = fresh_settings(stack, **options())
        asyncio.run(topic_admin.create_missing(settings))
        groups, emitted = play(settings, range(asked.first, asked.first + asked.seeds), asked.workers)
    problems = wrong(emitted, groups)
    touches = sum(len(one.first) + len(one.second) for one in groups)
    cuts, erased = sum(one.cut is not None for one in groups), sum(one.erased is not None for one in groups)
    said = sum(len(one.said[0]) + len(one.said[1]) for one in groups)
    joined = sum(one.joined is not None for one in groups)
    contradictions = sum(one.conflicts for one in groups)
    print(
        f"{len(groups)} histories, {touches} touches, {said} records of consent, {cuts} cuts, {joined} joins, {erased} erasures,"
        f" {contradictions} contradictions,"
        f" {len(emitted)} revisions of findings,"
        f" {asked.workers} workers, one killed; {len(problems)} problems; {time.monotonic() - began:.0f} s"
    )
    print("\n".join(problems[:20]))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
