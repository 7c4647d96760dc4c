"""`python -m tests.benchmarks.forecasting`: seconds that the core takes for the forecast of a large plan, histories included.

70 % of the contacts are mails of a campaign, each to somebody else; the rest are calls to some of the same customers, most within a day.
"""

from __future__ import annotations

import argparse
import random
import time

from streams.core.entry import Entry
from streams.core.govern.check import known
from streams.core.govern.forecast import forecast, sentence
from streams.core.govern.records import Contact
from streams.core.policy import Policy
from streams.core.timeline import Timeline, decode, encode

START, HOUR, DAY = 1_774_483_200_000, 3_600_000, 86_400_000


def timeline(rng: random.Random, touches: int) -> bytes:
    """A customer's past as the changelog has it."""
    times = sorted(START - rng.randrange(60 * DAY) for _ in range(touches))
    kinds = ("sent", "sent", "delivered", "opened", "clicked")
    entries = [
        Entry(at, f"t{n}", "email", "marketing", "inbound" if kind in ("opened", "clicked") else "outbound", kind)
        for n, (at, kind) in enumerate((at, rng.choice(kinds)) for at in times)
    ]
    if rng.random() < 0.03:
        entries[-1] = Entry(times[-1], "o", "email", "marketing", "inbound", "unsubscribed")
    return encode(Timeline(entries=tuple(entries)))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.forecasting", description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000, metavar="N")
    parser.add_argument("--touches", type=int, default=10, metavar="N", help="of each customer's past (10)")
    options = parser.parse_args()
    rng = random.Random(7)
    mails = options.contacts * 7 // 10
    plans = [
        (f"c{n}", Contact(START + 5 * DAY + 10 * HOUR, "email", "marketing", campaign="spring")) for n in range(mails)
    ]
    for _ in range(options.contacts - mails):
        at = START + 5 * DAY + rng.choice((4, 15, 15, 80)) * HOUR
        plans.append((f"c{rng.randrange(mails)}", Contact(at, "calls", "sales", actor_id="jo", actor_kind="person")))
    values = {f"c{n}": timeline(rng, options.touches) for n in range(mails)}
    policy = Policy()
    began = time.process_time()
    found = forecast(plans, lambda customer: known(decode(values[customer]), policy, START), policy, START)
    took = time.process_time() - began
    for outlook in found:
        print(sentence(outlook))
    print(f"{len(plans):,} contacts of {mails:,} customers: {took:.1f} s of CPU, {took / len(plans) * 1e6:.0f} us each")


if __name__ == "__main__":
    main()
