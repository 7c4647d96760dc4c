"""One fault in one epoch of load, and many of them in any order; and the table of what came of it."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from streams.core.outcome import Finding
from tests.faults.kinds import Fault
from tests.faults.load import Load, epoch
from tests.faults.site import Site
from tests.support.publishing import comparable, expected
from tests.support.waiting import wait_until

WARM = 2.0
"""Seconds of load before a fault, and after what it left behind is done."""

SETTLED = 30.0
"""Seconds within which the findings must be the right ones once all input is committed. A merge that touches brought about while Redis was
away may have to be published by `Ingest.mend`, which waits for 5 s whether a touch does it."""


@dataclass
class Row:
    """All tries of one fault. `problems` has what was lost, doubled, or otherwise not as it must be."""

    fault: str
    tries: int = 0
    touches: int = 0
    findings: int = 0
    lost: int = 0
    doubled: int = 0
    republished: int = 0
    recovery: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    """Seconds from quiet until the findings were the right ones, where it took some."""

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run(site: Site, fault: Fault, number: int, seed: int, rate: float, row: Row) -> None:
    """Load, fault, recovery, quiet; then this epoch's findings against the backtest's, and the books' violations."""
    books = site.checker.books
    known, republished = len(books.violations), books.counts["findings republished"]
    shrunk = set(books.shrunk())
    load = Load(site.settings, epoch(number, seed), rate, bad_from=number * 7)
    site.begin()
    site.load = load
    load.start()
    try:
        recovery = _hurt(site, fault, load, rate)
    except BaseException:
        load.give_up()
        raise

    row.tries += 1
    row.touches += len(load.acknowledged)
    row.recovery.append(recovery)
    row.republished += books.counts["findings republished"] - republished
    settled = _compare(site, load, f"s{seed * 1000 + number}-", row)
    for violation in [*books.violations[known:], *(one for one in books.shrunk() if one not in shrunk)]:
        row.problems.append(violation)
        row.lost += violation.startswith(("lost", "backwards"))
        row.doubled += violation.startswith("doubled")
    row.problems += _ends(site, fault)
    fault.confirm(site)
    row.notes += fault.notes
    if settled > 1:
        row.settled.append(settled)


def _hurt(site: Site, fault: Fault, load: Load, rate: float) -> float:
    """Seconds from the end of the fault until all input of that moment is committed; then quiet."""
    wait_until(lambda: len(load.acknowledged) >= rate * WARM, 120, "the load to begin")
    site.wait_recovered()
    try:
        fault.inject(site)
    finally:
        fault.heal(site)
        healed = time.monotonic()
    site.wait_recovered()
    recovery = time.monotonic() - healed
    time.sleep(WARM)
    load.stop()
    site.wait_drained()
    return recovery


def _findings(site: Site, wanted: list[Finding], prefix: str) -> tuple[dict[str, Finding], dict[str, Finding]]:
    """Those that there must be and those that stand, by id."""
    stand = [finding for finding in site.checker.books.standing.values() if finding.touch_ids[0].startswith(prefix)]
    held = comparable([finding for finding in stand if finding.state != "retracted"])
    return {finding.finding_id: finding for finding in wanted}, {finding.finding_id: finding for finding in held}


def _compare(site: Site, load: Load, prefix: str, row: Row) -> float:
    """Enters what is wrong; returns after how many seconds nothing was."""
    all_wanted, quiet = expected(site.settings, load.acknowledged), time.monotonic()
    while True:
        looked = time.monotonic() - quiet
        wanted, held = _findings(site, all_wanted, prefix)
        if wanted == held or looked > SETTLED:
            break
        time.sleep(0.5)
        site.checker.fresh()
    row.findings += len(wanted)
    missing = wanted.keys() - held.keys()
    different = {id_ for id_ in wanted.keys() & held.keys() if wanted[id_] != held[id_]}
    row.lost += len(missing) + len(different)
    row.doubled += len(held.keys() - wanted.keys())
    row.problems += [f"lost: finding {wanted[id_].rule} {id_}" for id_ in sorted(missing)]
    row.problems += [f"lost: finding {id_} stands as {held[id_]}, not as {wanted[id_]}" for id_ in sorted(different)]
    row.problems += [
        f"doubled: finding {held[id_].rule} {id_} must not stand" for id_ in sorted(held.keys() - wanted.keys())
    ]
    books = site.checker.books
    for address, reason in load.poison.items():
        places = books.stands_at[address] if reason in ("id_conflict", "too_old") else [address]
        for place in places or [address]:
            if books.dead.get(place) != reason:
                row.lost += 1
                row.problems.append(
                    f"lost: bad record at {address} is buried as {books.dead.get(place)}, not as {reason}"
                )
    row.problems += [f"doubled: a good record was buried: {letter}" for letter in books.stray_letters()]
    return looked


def _ends(site: Site, fault: Fault) -> list[str]:
    """Workers that ended otherwise than this fault makes them, or not though it must."""
    wrong = [end for end in site.said if fault.ends is None or not re.fullmatch(fault.ends, end.how)]
    problems = [f"{end.name} ended with {end.how}:\n{end.text}" for end in wrong]
    problems += site.unclear
    del site.unclear[:]
    if fault.must_end and not site.said:
        problems.append("no worker ended, and one had to")
    return problems


def order(faults: dict[str, Fault], rng: random.Random) -> Callable[[], Fault]:
    """Draws faults at random; every one comes once before one comes again."""
    bag: list[Fault] = []

    def draw() -> Fault:
        if not bag:
            bag.extend(faults.values())
            rng.shuffle(bag)
        return bag.pop()

    return draw


def soak(
    site: Site, faults: dict[str, Fault], seconds: float, seed: int, rate: float, say: Callable[[str], None]
) -> list[Row]:
    """Faults until the time is over; at least one."""
    rows = {name: Row(name) for name in faults}
    draw, ends, number = order(faults, random.Random(seed)), time.monotonic() + seconds, 0
    while not number or time.monotonic() < ends:
        number += 1
        fault = draw()
        row = rows[fault.name]
        before = len(row.problems)
        try:
            run(site, fault, number, seed, rate, row)
        except AssertionError as error:
            row.tries += 1
            row.problems.append(f"{type(error).__name__}: {error}")
            say(f"{number:3} {fault.name}: FAILED")
            say("\n".join(row.problems[before:]))
            break  # the site is in no state to go on in
        say(f"{number:3} {fault.name}: recovered in {row.recovery[-1]:.1f} s {'; '.join(fault.notes)}")
        for problem in row.problems[before:]:
            say(f"    {problem}")
    return [row for row in rows.values() if row.tries]


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| fault | tried | touches | findings | lost | doubled by id | republished | recovery, median (max) s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        times = f"{median(row.recovery):.1f} ({max(row.recovery):.1f})" if row.recovery else "never"
        cells = (row.fault, row.tries, row.touches, row.findings, row.lost, row.doubled, row.republished, times)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    notes = [f"{row.fault}: {'; '.join(dict.fromkeys(row.notes))}." for row in rows if row.notes]
    notes += [
        f"{row.fault}: findings were right {max(row.settled):.1f} s after quiet at most." for row in rows if row.settled
    ]
    return "\n".join([*lines, *(["", *notes] if notes else [])])
