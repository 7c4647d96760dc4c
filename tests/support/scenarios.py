"""Scenarios: stories as data, played through the stages as the workers play them, one touch after the other.

A file of `tests/scenarios` has `story`, `touches` (JSON as people write it, in the order of arrival), optionally `policy` (TOML) and
`now`, and `expected`: what is emitted, in order; what is refused; and what the backtest says in the end.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

from streams.core import backtest, customer, finding_json, identify, pipeline, touch_json
from streams.core.commands import Command
from streams.core.identity_graph import Graph
from streams.core.outcome import Finding
from streams.core.policy import Policy, parse
from streams.core.timeline import EMPTY, Timeline
from streams.core.touch import IdentifiedTouch, Touch

SCENARIOS = Path(__file__).parents[1] / "scenarios"
ID_KEY, REGION = "scenarios", "US"
WIDTH = 320


class Play:
    """The agents without Kafka: an identity graph, timelines, and commands that are done before the next touch."""

    def __init__(self, policy: Policy, now: int) -> None:
        self._policy, self._now = policy, now
        self._graph = Graph()
        self._timelines: dict[str, Timeline] = {}
        self.emitted: list[Finding] = []
        self.refused: list[tuple[str, str]] = []

    def touch(self, touch: Touch) -> None:
        """One touch as it comes from its topic."""
        problem = pipeline.receive(touch, self._now, self._policy)
        ids = identify.nodes(touch.customer, ID_KEY, REGION)
        if problem is not None or not ids:
            self.refused.append((touch.touch_id, problem[0] if problem else "no_identifier"))
            return
        before = {self._graph.find(node) for node in ids}
        winner = self._graph.link(ids)
        self._apply(pipeline.identify(touch, winner, touch.occurred_at))
        self._commands(customer.merge_command(loser, winner, self._now, touch.touch_id) for loser in before - {winner})

    def _apply(self, identified: IdentifiedTouch) -> None:
        effect = customer.on_touch(self._timelines.get(identified.customer_id, EMPTY), identified, self._policy)
        self._timelines[identified.customer_id] = effect.timeline
        self.emitted += effect.findings
        if effect.refused is not None:
            self.refused.append((identified.touch.touch_id, effect.refused[0]))
        assert effect.forward is None, "the graph knows of every merge before the touch comes"

    def _commands(self, commands: Any) -> None:
        waiting: deque[Command] = deque(sorted(commands, key=lambda command: command.customer_id))
        while waiting:
            command = waiting.popleft()
            effect = customer.on_command(self._timelines.get(command.customer_id, EMPTY), command, self._policy)
            self._timelines[command.customer_id] = effect.timeline
            self.emitted += effect.findings
            waiting.extend(effect.commands)


class Outcome:
    """What a scenario leads to. `emitted` and `final` are findings, `refused` are (touch id, reason)."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        touches = [touch_json.parse(json.dumps(values)) for values in scenario["touches"]]
        policy = parse(scenario.get("policy", ""))
        now = max(touch.occurred_at for touch in touches)
        if "now" in scenario:
            now = touch_json.parse(json.dumps({**scenario["touches"][0], "occurred_at": scenario["now"]})).occurred_at
        play = Play(policy, now)
        for touch in touches:
            play.touch(touch)
        self.emitted, self.refused = play.emitted, play.refused
        self.final = backtest.run(touches, policy, id_key=ID_KEY, region=REGION, now=now).findings

    def record(self) -> dict[str, Any]:
        """The outcome as the file has it."""
        return json.loads(
            json.dumps(
                {
                    "emitted": [finding_json.as_dict(finding) for finding in self.emitted],
                    "refused": self.refused,
                    "final": [finding_json.as_dict(finding) for finding in self.final],
                }
            )
        )


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
