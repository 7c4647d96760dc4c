"""Made-up books of a company with a fixed seed: touches as in `tests.support.histories`, deals, costs and lead events that fit them.

`python -m tests.ledger.made_up FOLDER 1000000` writes them as files for `touchstream report`.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from streams.core import touch_json
from streams.core.touch import Touch
from tests.support import histories

DAY = dt.timedelta(days=1)
START = dt.datetime.fromtimestamp(histories.START / 1000, dt.UTC)
DAYS = 120
REASONS = ("not_icp", "no_budget", "bad_timing", "bad_data", "unresponsive")


def touches(seed: int, customers: int, count: int) -> Iterator[Touch]:
    """`count` touches within `DAYS`, some late, some twice; and of every fourth call that was dialed its second phase."""
    for n, touch in enumerate(histories.stream(seed, customers, count, days=DAYS)):
        yield touch
        if touch.kind == "dialed" and n % 4 == 0:
            yield replace(
                touch, touch_id=f"{touch.touch_id}-2", kind="answered", occurred_at=touch.occurred_at + 120_000
            )


def deals(seed: int, customers: int) -> Iterator[dict[str, Any]]:
    """One customer in ten has a deal, one in fifty two; one deal in ten is of somebody who was never touched."""
    rng = random.Random(seed)
    for n in range(customers // 10):
        number = rng.randrange(customers) if rng.random() < 0.9 else 10_000_000 + n
        opened = START + DAY * rng.uniform(2, DAYS - 10)
        closed = opened + DAY * rng.uniform(1, 40)
        stage = rng.choices(("won", "lost", "open", "proposal", "negotiation"), (5, 3, 1, 1, 1))[0]
        currency = rng.choices(("EUR", "USD", "JPY"), (7, 2, 1))[0]
        amount = rng.randrange(50_000, 9_000_000)
        yield {
            "deal_id": f"opp-{n}",
            "customer": {"email": f"person{number}@example.com"}
            | ({"crm_id": f"003{number:09d}"} if n % 3 == 0 else {}),
            "stage": stage,
            "opened_at": opened.isoformat(),
            "amount": {"amount": str(amount) if currency == "JPY" else f"{amount / 100:.2f}", "currency": currency},
            "owner": rng.choice(("jokafor", "rlindqvist")),
        } | ({"closed_at": closed.isoformat()} if stage in ("won", "lost") else {})


def costs() -> Iterator[dict[str, Any]]:
    """Ads by campaign and month, salaries of both departments by quarter, a tool."""
    for month, last in ((3, 31), (4, 30), (5, 31), (6, 30)):
        for campaign, amount in (("spring", 11_999.99), ("webinar", 7_000), ("onboarding", 1_000)):
            yield {"cost_id": f"ads-{campaign}-{month}", "department": "marketing", "kind": "ad_spend", "channel": "ads",
                   "campaign": campaign, "first_day": f"2026-{month:02d}-01", "last_day": f"2026-{month:02d}-{last}",
                   "amount": {"amount": amount, "currency": "EUR"}}  # fmt: skip
    for department, rep, amount in (
        ("marketing", None, 90_000),
        ("sales", "jokafor", 40_000),
        ("sales", "rlindqvist", 38_000),
    ):
        yield {"cost_id": f"pay-{department}-{rep}", "department": department, "kind": "salary", "first_day": "2026-01-01",
               "last_day": "2026-06-30", "amount": {"amount": amount, "currency": "EUR"}} | ({"rep": rep} if rep else {})  # fmt: skip
    yield {"cost_id": "mailer", "department": "marketing", "kind": "tool", "channel": "email", "first_day": "2026-01-01",
           "last_day": "2026-12-31", "amount": {"amount": "4999.99", "currency": "USD"}}  # fmt: skip


def leads(seed: int, customers: int) -> Iterator[dict[str, Any]]:
    """One customer in eight is handed off; most are answered."""
    rng = random.Random(seed)
    for _ in range(customers // 8):
        customer = {"email": f"person{rng.randrange(customers)}@example.com"}
        at = START + DAY * rng.uniform(5, DAYS - 5)
        yield {"customer": customer, "at": at.isoformat(), "state": "handed_off"}
        answer = rng.choices(("accepted", "rejected", "recycled", None), (6, 3, 1, 2))[0]
        if answer is not None:
            later = {"customer": customer, "at": (at + DAY * rng.uniform(0.01, 3)).isoformat(), "state": answer}
            yield later if answer == "accepted" else later | {"reason": rng.choice(REASONS)}


def write(folder: Path, count: int, seed: int = 7) -> None:
    """All four files, about ten touches a customer."""
    folder.mkdir(parents=True, exist_ok=True)
    customers = max(20, count // 10)
    with (folder / "touches.jsonl").open("wb") as out:
        out.writelines(touch_json.to_json(touch) + b"\n" for touch in touches(seed, customers, count))
    for name, records in (("deals", deals(seed, customers)), ("costs", costs()), ("leads", leads(seed, customers))):
        lines = chain.from_iterable((json.dumps(record), "\n") for record in records)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
