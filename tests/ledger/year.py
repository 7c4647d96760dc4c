"""A year of a made-up B2B company with a fixed seed: touches, deals, costs and leads that hang together, to look at the report by.

Marketing warms up contacts by campaigns, some ask, sales calls them, some calls fall into a campaign, some contacts become deals.
`python -m tests.ledger.year FOLDER` writes the files for `touchstream report --period 2025`.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONTACTS = 1500
YEAR = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
REPS = (("jokafor", "Joy Okafor"), ("rlindqvist", "Rune Lindqvist"), ("mduarte", "Marta Duarte"))
CAMPAIGNS = (
    "spring-launch",
    "webinar-series",
    "always-on-search",
    "retargeting",
    "customer-stories",
    "partner-event-lisbon",
)
PAID = ("always-on-search", "retargeting", "spring-launch")
REASONS = ("bad_timing", "not_icp", "no_budget", "unresponsive", "no_authority", "bad_data")
MACHINE = {"id": "mailer", "name": "Mailer", "kind": "automation"}
Record = dict[str, Any]


class Company:
    """All records of the year, by file."""

    def __init__(self, seed: int = 11, contacts: int = CONTACTS) -> None:
        self._rng = random.Random(seed)
        self.touches: list[Record] = []
        self.deals: list[Record] = []
        self.leads: list[Record] = []
        self.costs = list(_costs())
        for number in range(contacts):
            self._contact(number)

    def _contact(self, number: int) -> None:
        rng = self._rng
        who = {"email": f"contact{number}@company{number // 3}.example", "name": f"Contact {number}"}
        at = YEAR + DAY * rng.uniform(0, 340) + HOUR * rng.uniform(0, 9)
        if rng.random() < 0.25:  # found by sales
            rep = rng.choice(REPS)
            for _ in range(rng.randint(1, 5)):
                kind = rng.choices(("message_sent", "sent", "dialed"), (3, 2, 2))[0]
                self._touch(
                    who,
                    at,
                    {"message_sent": "linkedin", "sent": "email", "dialed": "calls"}[kind],
                    "sales",
                    kind,
                    rep=rep,
                )
                at += DAY * rng.uniform(1, 9)
            if rng.random() < 0.08:
                self._deal(who, at, rep[0], 0.35)
            return
        campaign = rng.choices(CAMPAIGNS, (3, 4, 5, 2, 2, 1))[0]
        if campaign in PAID:
            self._touch(who, at, "ads", "marketing", "ad_click", campaign)
        warm = 0.0
        for _ in range(rng.randint(2, 9)):
            at += DAY * rng.uniform(2, 14)
            self._touch(who, at, "email", "marketing", "sent", campaign)
            if rng.random() < 0.3:
                warm += 1
                self._touch(who, at + HOUR * rng.uniform(0.2, 30), "email", "marketing", "clicked", campaign)
        if rng.random() < 0.05 + 0.09 * warm:
            self._asks(who, at + DAY, campaign)

    def _asks(self, who: Record, at: dt.datetime, campaign: str) -> None:
        rng, rep = self._rng, self._rng.choice(REPS)
        self._touch(who, at, "ads", "marketing", "lead_form", campaign)
        self._lead(who, at + HOUR / 60, "handed_off")
        answer = rng.choices(("accepted", "rejected", "recycled", None), (60, 20, 8, 12))[0]
        if answer is None:
            return
        said = at + HOUR * rng.uniform(0.5, 40)
        self._lead(who, said, answer, None if answer == "accepted" else rng.choice(REASONS))
        if answer != "accepted":
            if rng.random() < 0.06:  # sales was wrong: somebody else of the company has bought
                self._deal(who, said + 60 * DAY, rep[0], 1)
            return
        if rng.random() < 0.12:
            return  # accepted, and never called
        for n in range(rng.randint(1, 5)):
            said += HOUR * rng.uniform(1, 70)
            kind = rng.choice(("dialed", "answered", "voicemail"))
            self._touch(who, said, "calls", "sales", kind, rep=rep)
            if n == 0 and rng.random() < 0.3:  # marketing writes on while sales is at it
                self._touch(who, said + 5 * HOUR, "email", "marketing", "sent", campaign)
        if rng.random() < 0.45:
            self._touch(who, said + DAY, "calls", "sales", "meeting", rep=rep)
            self._deal(who, said + 2 * DAY, rep[0], 0.4)

    def _touch(
        self, who: Record, at: dt.datetime, channel: str, department: str, kind: str, campaign: str | None = None,
        rep: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        inbound = kind in ("clicked", "ad_click", "lead_form")
        actor = {"id": rep[0], "name": rep[1]} if rep else MACHINE
        touch = {
            "touch_id": f"year-{len(self.touches)}", "channel": channel, "department": department, "kind": kind,
            "direction": "inbound" if inbound else "outbound", "occurred_at": at.isoformat(timespec="milliseconds"), "customer": who,
            "campaign": campaign, "actor": None if inbound else actor,
        }  # fmt: skip
        self.touches.append({name: value for name, value in touch.items() if value is not None})

    def _lead(self, who: Record, at: dt.datetime, state: str, reason: str | None = None) -> None:
        event = {"customer": who, "at": at.isoformat(timespec="milliseconds"), "state": state}
        self.leads.append(event if reason is None else event | {"reason": reason})

    def _deal(self, who: Record, at: dt.datetime, owner: str, chance: float) -> None:
        rng = self._rng
        closed = at + DAY * rng.uniform(15, 100)
        stage = (
            "won" if rng.random() < chance else rng.choice(("lost", "lost", "proposal", "negotiation", "qualification"))
        )
        amount = round(rng.lognormvariate(9.6, 0.8), 2)
        deal = {
            "deal_id": f"opp-{len(self.deals) + 1:04d}", "customer": who, "stage": stage, "owner": owner,
            "opened_at": at.isoformat(timespec="milliseconds"), "amount": {"amount": f"{amount:.2f}", "currency": "EUR"},
        }  # fmt: skip
        self.deals.append(
            deal if stage not in ("won", "lost") else deal | {"closed_at": closed.isoformat(timespec="milliseconds")}
        )


def _costs() -> Iterator[Record]:
    for month in range(1, 13):
        first = dt.date(2025, month, 1)
        last = dt.date(2025 + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)
        for campaign, amount in (
            ("always-on-search", 4200),
            ("retargeting", 1250),
            ("spring-launch", 9000 if 2 < month < 6 else 0),
        ):
            if amount:
                yield _cost(
                    f"ads-{campaign}-{month}",
                    "marketing",
                    "ad_spend",
                    first,
                    last,
                    amount,
                    channel="ads",
                    campaign=campaign,
                )
    first, last = dt.date(2025, 1, 1), dt.date(2025, 12, 31)
    yield _cost(
        "event",
        "marketing",
        "other",
        dt.date(2025, 10, 6),
        dt.date(2025, 10, 8),
        18_500,
        campaign="partner-event-lisbon",
    )
    yield _cost("mailer", "marketing", "tool", first, last, "9588.00", channel="email")
    yield _cost("crm", "sales", "tool", first, last, "14400.00")
    yield _cost("pay-marketing", "marketing", "salary", first, last, 138_000)
    for rep, amount in zip(REPS, (71_000, 68_500, 64_000), strict=True):
        yield _cost(f"pay-{rep[0]}", "sales", "salary", first, last, amount, rep=rep[0])


def _cost(
    id_: str, department: str, kind: str, first: dt.date, last: dt.date, amount: float | str, **where: str
) -> Record:
    return {"cost_id": id_, "department": department, "kind": kind, "first_day": first.isoformat(), "last_day": last.isoformat(),
            "amount": {"amount": amount, "currency": "EUR"}} | where  # fmt: skip


def write(folder: Path) -> None:
    """All four files."""
    folder.mkdir(parents=True, exist_ok=True)
    company = Company()
    for name in ("touches", "deals", "costs", "leads"):
        lines = "".join(f"{json.dumps(record)}\n" for record in getattr(company, name))
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
