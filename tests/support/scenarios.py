"""Scenarios: stories as data, played through the stages as the workers play them, one touch after the other.

A file of `tests/scenarios` has `story`, `touches`, optionally `policy` (TOML) and `now`, and `expected`: what is emitted, in order; what is
refused; and what the backtest says in the end (nothing where a story has requests or publication dates, which it does not know).

`touches` are JSON as people write it, in the order of arrival. One may have `published_at`, when that was not when it occurred. Between
them stand requests, with `at`, when they were made, and `by`:

    {"acknowledge": {"rule": "double_contact", "touch_ids": ["mail", "call"]}, "at": "...", "by": "rlee"}
    {"split": [{"email": "dana@example.com"}, {"phone": "+14155550100"}], "at": "...", "by": "rlee"}
    {"merge": [{"crm_id": "7"}, {"crm_id": "8"}], "at": "...", "by": "rlee", "reason": "a double"}
    {"erase": {"email": "dana@example.com"}, "at": "...", "by": "rlee"}
    {"lead": "rejected", "of": {"email": "dana@example.com"}, "at": "...", "by": "rlee", "reason": "bad_timing", "recycle_at": "..."}
    {"lead": "deal", "of": {...}, "at": "...", "by": "touchstream ledger", "deal_id": "opp-1", "stage": "won"}
    {"plan": {a touch, with its time to come}, "at": "...", "by": "mailer"}
    {"consent": {a record of consent}, "at": "...", "by": "preference centre"}

Timers fire at their times, up to that of the last line, or `now`. Where there are leads, `leads` are their events, in order.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streams.core import (
    backtest,
    consent_json,
    customer,
    erasure,
    finding_json,
    identify,
    moving,
    pipeline,
    plans,
    touch_json,
)
from streams.core.commands import Command
from streams.core.identity_graph import Graph
from streams.core.leads import event_json
from streams.core.leads.asked import lead_command, tick_command
from streams.core.leads.events import LeadEvent
from streams.core.outcome import Finding
from streams.core.policy import Policy, parse
from streams.core.timeline import EMPTY, Timeline, due
from streams.core.touch import Customer, IdentifiedTouch, Touch
from tests.core.oracle import Answer
from tests.core.past_events import Consented, Plan
from tests.core.past_oracle import Answered, Facts
from tests.core.past_people import Cut, Erased, Joined, Published
from tests.core.past_world import Named, told_of

SCENARIOS = Path(__file__).parents[1] / "scenarios"
ID_KEY, REGION = "scenarios", "US"
WIDTH = 320


def milliseconds(text: str) -> int:
    """An RFC 3339 time in UTC ms."""
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


class Play:
    """The agents without Kafka: an identity graph, timelines, and commands that are done before the next touch."""

    def __init__(self, policy: Policy, now: int) -> None:
        self._policy, self._now = policy, now
        self._graph = Graph()
        self.timelines: dict[str, Timeline] = {}
        self._ids: set[str] = set()
        self._clock = 0
        self._erased: dict[str, int] = {}
        self._published: list[Published] = []
        self._cuts: set[frozenset[str]] = set()
        self._joins: set[frozenset[str]] = set()
        self._said: list[Published | Cut | Joined] = []
        self._erasures: list[Erased] = []
        self._answered: list[Answered] = []
        self.emitted: list[Finding] = []
        self.refused: list[tuple[str, str]] = []
        self.leads: list[LeadEvent] = []

    @property
    def facts(self) -> Facts:
        """All that was said, for the oracle."""
        refuse = self._policy.erasure.later_touches == "refuse"
        said = (
            tuple(self._said) if self._joins and not self._erasures else ()
        )  # guards matter where two are joined all the same
        return Facts(
            tuple(self._published), frozenset(self._cuts), tuple(self._erasures), refuse, tuple(self._answered), said,
            frozenset(self._joins),
        )  # fmt: skip

    def touch(self, touch: Touch, published_at: int) -> None:
        """One touch as it comes from its topic."""
        problem = pipeline.receive(touch, self._now, self._policy)
        ids = identify.nodes(touch.customer, ID_KEY, REGION)
        if problem is not None or not ids:
            self.refused.append((touch.touch_id, problem[0] if problem else "no_identifier"))
            return
        self._published.append(Published(touch, published_at))
        self._take(touch, touch, ids, published_at)

    def _consent(self, asked: dict[str, Any], at: int) -> None:
        said = asked["consent"] | {
            name: dt.datetime.fromisoformat(asked["consent"][name])
            for name in ("at", "until")
            if name in asked["consent"]
        }
        change = consent_json.from_mapping({"source": asked["by"], "recorded_by": asked["by"]} | said, at)
        touch = Touch(change.consent_id, "email", "marketing", "inbound", "opened", change.at, change.customer)
        self._published.append(Published(touch, at, consent=change))
        self._take(Consented(touch, change), touch, identify.nodes(touch.customer, ID_KEY, REGION), at)

    def _take(self, event: Named, touch: Touch, ids: tuple[str, ...], published_at: int) -> None:
        """A touch, the plan of one, or a record of consent, by its identifiers."""
        self._said += self._published[-1:]
        erased = max((self._erased.get(id_, 0) for id_ in ids), default=0)
        later = self._policy.erasure.later_touches
        if erased and (later == "refuse" or min(touch.occurred_at, published_at) <= erased):
            if not erasure.dropped(erased, published_at, self._policy.erasure):
                self.refused.append((touch.touch_id, "erased"))
            return
        at = self._tick(published_at)
        self._ids.update(ids)
        before = {self._graph.find(node) for node in ids}
        winner = self._graph.link(ids)
        who = pipeline.identify(touch, winner, published_at, None, ids[0], at)
        told = told_of(event, who)
        if isinstance(told, Command):
            self._commands([told])
        else:
            self._apply(told)
        losers = sorted(before - {winner})
        self._commands(
            moving.merge_command(loser, winner, published_at, touch.touch_id, at, self._members(winner))
            for loser in losers
        )

    def wait(self, until: int) -> None:
        """Time passes, and what falls due is told."""
        while first := min(
            ((at, customer) for customer, held in self.timelines.items() if (at := due(held)) and at <= until),
            default=None,
        ):
            self._commands([tick_command(first[1], first[0], first[0])])

    def request(self, asked: dict[str, Any]) -> None:
        """What somebody asks for."""
        at, by = milliseconds(asked["at"]), asked["by"]
        if "lead" in asked:
            self._lead(asked, at, by)
            return
        if "acknowledge" in asked:
            wanted = asked["acknowledge"]
            (finding,) = (
                one
                for one in backtest.standing(folded(self.emitted))
                if one.rule == wanted["rule"] and set(one.touch_ids) == set(wanted["touch_ids"])
            )
            self._commands(
                [
                    Command(
                        f"request {asked['at']}",
                        finding.customer,
                        "finding_acknowledged",
                        at,
                        "",
                        finding_id=finding.finding_id,
                        requested_by=by,
                    )
                ]
            )
        elif "plan" in asked:
            touch = _touch(asked["plan"])
            plans.check(touch)
            self._published.append(Published(touch, at, True))
            self._take(Plan(touch), touch, identify.nodes(touch.customer, ID_KEY, REGION), at)
        elif "consent" in asked:
            self._consent(asked, at)
        elif "split" in asked:
            self._split(*(identify.nodes(Customer(**ids), ID_KEY, REGION)[0] for ids in asked["split"]), at)
        elif "merge" in asked:
            self._merge(
                *(identify.nodes(Customer(**ids), ID_KEY, REGION)[0] for ids in asked["merge"]), at, asked.get("reason")
            )
        else:
            self._erase(identify.nodes(Customer(**asked["erase"]), ID_KEY, REGION)[0], at, by)

    def _lead(self, asked: dict[str, Any], at: int, by: str) -> None:
        id_ = identify.nodes(Customer(**asked["of"]), ID_KEY, REGION)[0]
        named = self._graph.find(id_)
        again = milliseconds(asked["recycle_at"]) if "recycle_at" in asked else None
        kind: Any = f"lead_{asked['lead']}"
        said = lead_command(kind, named, by, at, None, asked.get("reason"), again, asked.get("nurture_with"),
                            asked.get("deal_id"), asked.get("stage"))  # fmt: skip
        effect = customer.on_command(self.timelines.get(named, EMPTY), said, self._policy)
        self.timelines[named] = effect.timeline
        self.emitted += effect.findings
        self.leads += effect.leads
        if effect.refused is not None:
            self.refused.append((kind, effect.refused[1]))
        elif asked["lead"] in ("rejected", "recycled", "disqualified", "deal"):
            kept = asked.get("reason") == "wrong_territory" or asked.get("stage", "won") not in ("won", "lost")
            self._answered.append(Answered(id_, Answer(at, kept)))

    def _split(self, a: str, b: str, at: int) -> None:
        whole = self._graph.find(a)
        members, clock = self._members(whole), self._tick(at)
        self._graph.cut(min(a, b), max(a, b))
        self._cuts.add(frozenset((a, b)))
        self._joins.discard(frozenset((a, b)))
        self._said.append(Cut(a, b))
        gone = {member for member in members if self._graph.find(member) != whole}
        self._commands([moving.split_command(whole, min(gone), gone, at, f"split of {at}", clock)])

    def _merge(self, a: str, b: str, at: int, reason: str | None) -> None:
        before, clock = {self._graph.find(a), self._graph.find(b)}, self._tick(at)
        self._graph.join(a, b)
        self._joins.add(frozenset((a, b)))
        self._cuts.discard(frozenset((a, b)))
        self._said.append(Joined(a, b))
        winner = self._graph.find(a)
        self._commands(
            moving.merge_command(loser, winner, at, f"merge of {at}", clock, self._members(winner), reason)
            for loser in before - {winner}
        )

    def _erase(self, id_: str, at: int, by: str) -> None:
        members, clock = self._members(self._graph.find(id_)), self._tick(at)
        self._graph = Graph(fact for fact in self._graph.facts() if not {fact.a, fact.b} & members)
        self._erased |= dict.fromkeys(members, at)
        self._erasures.append(Erased(frozenset(members), at))
        self._commands(
            Command(
                f"erasure {at}", member, "customer_erased", at, "", decided_at=clock,
                identifiers=tuple(sorted(members)), requested_by=by,
            )
            for member in members & self.timelines.keys()
        )  # fmt: skip

    def _members(self, root: str) -> set[str]:
        return {id_ for id_ in self._ids if self._graph.find(id_) == root}

    def _tick(self, at: int) -> int:
        self._clock = max(self._clock + 1, at * 1000)
        return self._clock

    def _apply(self, identified: IdentifiedTouch) -> None:
        effect = customer.on_touch(self.timelines.get(identified.customer_id, EMPTY), identified, self._policy)
        self.timelines[identified.customer_id] = effect.timeline
        self.emitted += effect.findings
        self.leads += effect.leads
        if effect.refused is not None:
            self.refused.append((identified.touch.touch_id, effect.refused[0]))
            self._published.pop()
        assert effect.forward is None, "the graph knows of every merge before the touch comes"

    def _commands(self, commands: Iterable[Command]) -> None:
        waiting: deque[Command] = deque(sorted(commands, key=lambda command: command.customer_id))
        while waiting:
            command = waiting.popleft()
            effect = customer.on_command(self.timelines.get(command.customer_id, EMPTY), command, self._policy)
            assert effect.refused is None, effect.refused
            self.timelines[command.customer_id] = effect.timeline
            self.emitted += effect.findings
            self.leads += effect.leads
            waiting.extend(effect.commands)


def folded(emitted: Iterable[Finding]) -> dict[str, Finding]:
    """The highest revision of each finding."""
    known: dict[str, Finding] = {}
    backtest.fold(known, emitted)
    return known


class Outcome:
    """What a scenario leads to. `emitted` and `final` are findings, `refused` are (touch id, reason); `steps` are what came, with what
    was emitted and refused because of it."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        rows = [(row, None if "at" in row else _touch(row)) for row in scenario["touches"]]
        touches = [touch for _, touch in rows if touch is not None]
        self.policy = parse(scenario.get("policy", ""))
        now = max(milliseconds(row.get("published_at") or row.get("occurred_at") or row["at"]) for row, _ in rows)
        if "now" in scenario:
            now = milliseconds(scenario["now"])
        play = Play(self.policy, now)
        self.steps: list[tuple[dict[str, Any], list[Finding], list[tuple[str, str]]]] = []
        for row, touch in rows:
            emitted, refused = len(play.emitted), len(play.refused)
            came = milliseconds(row.get("published_at") or row.get("occurred_at") or row["at"])
            play.wait(came)
            if touch is None:
                play.request(row)
            else:
                play.touch(touch, milliseconds(row["published_at"]) if "published_at" in row else touch.occurred_at)
            self.steps.append((row, play.emitted[emitted:], play.refused[refused:]))
        play.wait(now)
        self.leads, self.timelines = play.leads, play.timelines
        self.emitted, self.refused, self.facts = play.emitted, play.refused, play.facts
        self.is_plain = len(touches) == len(rows) and not any("published_at" in row for row, _ in rows)
        tested = backtest.run(touches if self.is_plain else (), self.policy, id_key=ID_KEY, region=REGION, now=now)
        self.final, self.final_leads = tested.findings, tested.leads

    def record(self) -> dict[str, Any]:
        """The outcome as the file has it."""
        final = {"final": [finding_json.as_dict(finding) for finding in self.final]} if self.is_plain else {}
        return json.loads(
            json.dumps(
                {
                    "emitted": [finding_json.as_dict(finding) for finding in self.emitted],
                    "refused": self.refused,
                    **final,
                    **({"leads": [lead_dict(event) for event in self.leads]} if self.leads else {}),
                }
            )
        )


def lead_dict(event: LeadEvent) -> dict[str, Any]:
    """An event without its ids, which are hashes of the rest."""
    hashes = ("event_id", "lead_id", "cause", "customer")
    return {name: value for name, value in event_json.as_dict(event).items() if name not in hashes}


def _touch(row: dict[str, Any]) -> Touch:
    return touch_json.parse(json.dumps({name: value for name, value in row.items() if name != "published_at"}))


def dump(value: Any, indent: int = 0) -> str:
    """JSON with what fits into a line on one line, so that a touch is a line and a finding can be read."""
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (indent and len(text) + indent <= WIDTH):
        return text
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(name)}: {dump(part, indent + 2)}" for name, part in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [f"{inner}{dump(part, indent + 2)}" for part in value]
        opening, closing = "[", "]"
    end = "" if indent else "\n"
    return f"{opening}\n" + ",\n".join(parts) + f"\n{' ' * indent}{closing}{end}"
