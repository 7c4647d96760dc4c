"""The job `whole_worker` as the peers do it: the same pure core and codec as the worker, as two functions over bytes.

`Hop1` is ingest and identify (touches.<channel> -> touches.identified, identities, commands, dead letters), `hop2` is timeline and rules
(touches.identified, commands -> state, conflicts, handoffs). What is made easier for the peers than for touchstream: identities are
in a dict of the process and are lost with it, unless the run says that they are in Redis, too (`identities.py`); commands travel in
touches.identified, so that one stateful step sees both; no metrics, no schema registry, no fence, no limit on a timeline's size.
"""

from __future__ import annotations

from collections.abc import Iterator

import schemas
from streams.core import customer as customers
from streams.core import pipeline, touch_check
from streams.core.customer import Effect
from streams.core.identify import nodes
from streams.core.identity_facts import cause_of
from streams.core.identity_facts import encode as encode_fact
from streams.core.moving import merge_command
from streams.core.outcome import Rejected
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, decode, encode
from streams.core.touch import Origin
from streams.edge.codec import Codec, DecodeError
from streams.edge.topics import CONFLICTS, DEAD_LETTER, HANDOFFS, IDENTIFIED, IDENTITIES
from streams.edge.wire import single_object_header
from tests.benchmarks.identities import InMemory, InRedis, Who
from tests.benchmarks.plan import Run

Record = tuple[str, bytes, bytes]
"""Catalogued name of the topic, key, value."""

_COMMAND = single_object_header(schemas.load("command"))


class Hop1:
    """Decode, check, identify."""

    def __init__(self, run: Run, codec: Codec) -> None:
        settings, self._policy, self._codec = run.settings(), run.policy(), codec
        self._key, self._region = settings.id_key, settings.default_region
        self._who: Who = InRedis(settings, self._policy) if run.identities == "redis" else InMemory()

    def __call__(
        self, topic: str, partition: int, offset: int, timestamp: int, key: bytes | None, value: bytes
    ) -> list[Record]:
        """Outputs of one touch; the arguments are those of its Kafka record."""
        origin = Origin(topic, partition, offset)
        try:
            touch = self._codec.decode_touch(value)
            touch_check.check(touch)
        except DecodeError as error:
            return [self._dead(Rejected(error.reason, error.detail, "ingest", value, origin, key), timestamp)]
        except touch_check.TouchError as error:
            return [self._dead(Rejected(error.reason, str(error), "ingest", value, origin, key), timestamp)]
        problem = pipeline.receive(touch, timestamp, self._policy)
        ids = nodes(touch.customer, self._key, self._region)
        if problem is not None or not ids:
            reason, detail = problem or ("no_identifier", "no identifier is usable")
            return [self._dead(Rejected(reason, detail, "ingest", value, origin, key), timestamp)]
        who = self._who.resolve(ids, lambda: cause_of(touch, timestamp, origin))
        identified = pipeline.identify(touch, who.customer_id, timestamp, origin, who.identifier, who.resolved_at)
        out: list[Record] = [(IDENTIFIED, who.customer_id.encode(), self._codec.encode_identified(identified))]
        for fact in who.facts:
            if fact.kind == "told":
                command = merge_command(fact.a, who.customer_id, timestamp, touch.touch_id, who.resolved_at, fact.ids)
                out.append((IDENTIFIED, fact.a.encode(), self._codec.encode_command(command)))
            else:
                out.append((IDENTITIES, fact.key.encode(), encode_fact(fact)))
        return out

    def _dead(self, rejected: Rejected, timestamp: int) -> Record:
        return DEAD_LETTER, rejected.key or b"", self._codec.encode_dead_letter(rejected, timestamp)


class Hop2:
    """Timeline and rules. State goes in and out, as bytes or as a `Timeline`."""

    def __init__(self, policy: Policy, codec: Codec) -> None:
        self._policy, self._codec = policy, codec

    def step(self, before: bytes | None, value: bytes, timestamp: int) -> tuple[bytes | None, list[Record]]:
        """For engines that keep state as bytes: the new state (None: unchanged) and the outputs."""
        timeline = decode(before) if before else EMPTY
        after, out = self.advance(timeline, value, timestamp)
        return (None if after is timeline else encode(after)), out

    def advance(self, timeline: Timeline, value: bytes, timestamp: int) -> tuple[Timeline, list[Record]]:
        """One identified touch or command onto its customer's timeline."""
        if value.startswith(_COMMAND):
            effect = customers.on_command(timeline, self._codec.decode_command(value), self._policy)
        else:
            effect = customers.on_touch(timeline, self._codec.decode_identified(value), self._policy)
        return effect.timeline, list(self._outputs(effect, value, timestamp))

    def _outputs(self, effect: Effect, value: bytes, timestamp: int) -> Iterator[Record]:
        if effect.refused is not None:
            rejected = Rejected(effect.refused[0], effect.refused[1], "timeline", value)
            yield DEAD_LETTER, b"", self._codec.encode_dead_letter(rejected, timestamp)
        for finding in effect.findings:
            topic = CONFLICTS if finding.finding == "conflict" else HANDOFFS
            yield topic, finding.customer.encode(), self._codec.encode_finding(finding)
        for command in effect.commands:
            yield IDENTIFIED, command.customer_id.encode(), self._codec.encode_command(command)
        if effect.forward is not None:
            yield IDENTIFIED, effect.forward.customer_id.encode(), self._codec.encode_identified(effect.forward)
