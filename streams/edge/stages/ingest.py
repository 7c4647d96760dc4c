"""touches.<channel> -> touches.identified, identities, commands, dead letters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from streams.core import pipeline, touch_check
from streams.core.customer import merge_command
from streams.core.identify import Link, Resolved, nodes
from streams.core.outcome import RejectReason
from streams.core.policy import Policy
from streams.core.touch import Touch
from streams.edge import crash_points
from streams.edge.codec import Codec, DecodeError
from streams.edge.identity_index import IdentityIndex
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.stages.base import Stage, origin
from streams.edge.topics import IDENTIFIED, IDENTITIES, TOUCH_TOPICS
from streams.settings import Settings


class _Refused(Exception):
    """Why a record is no touch we can take: a dead letter's reason and detail."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectReason = reason


class Ingest(Stage):
    """See the module."""

    name = "ingest"

    def __init__(
        self, settings: Settings, policy: Policy, codec: Codec, metrics: Metrics, index: IdentityIndex
    ) -> None:
        super().__init__(settings, policy, codec, metrics)
        self._index = index
        self._channels = {settings.topic(topic): channel for channel, topic in TOUCH_TOPICS.items()}

    async def run(self, records: Sequence[Any]) -> Write:
        """One micro-batch of raw records of one partition."""
        await self.learn(records)
        with self._metrics.stage_seconds.labels("ingest").time():
            outputs, taken = self._receive(records)
        crash_points.reach("after_decode")
        resolved = await self._index.resolve([ids for _, _, ids in taken])
        with self._metrics.stage_seconds.labels("identify").time():
            outputs, links = self._forward(outputs, taken, resolved)
        self.count()
        return Write(outputs, done=lambda: self._index.logged(links))

    async def mend(self) -> Write:
        """Merges that no touch came by to publish, with the ids they lead to. Empty as a rule."""
        now = time.time_ns() // 1_000_000
        outputs: list[Out] = []
        links: list[Link] = []
        for who in await self._index.overdue():
            for link in (Link(who.customer_id, who.customer_id), *who.links):
                links.append(link)
                outputs += self._linked(link, who.customer_id, "identity index", now)
        return Write(outputs, done=lambda: self._index.logged(links))

    def _receive(self, records: Sequence[Any]) -> tuple[list[Out], list[tuple[Any, Touch, tuple[str, ...]]]]:
        """Dead letters of what is no touch; the rest as (record, touch, node ids)."""
        dead, taken = [], []
        for record in records:
            try:
                taken.append((record, *self._read(record)))
            except _Refused as error:
                dead.append(self.dead(record, error.reason, str(error)))
                self._outcomes[self._channels.get(record.topic, "unknown"), "rejected"] += 1
        return dead, taken

    def _read(self, record: Any) -> tuple[Touch, tuple[str, ...]]:
        if record.value is None:
            raise _Refused("undecodable", "the record has no value; touch topics are not compacted, so it says nothing")
        try:
            touch = self._codec.decode_touch(record.value)
            touch_check.check(touch)
        except DecodeError as error:
            raise _Refused(error.reason, error.detail) from None
        except touch_check.TouchError as error:
            raise _Refused(error.reason, str(error)) from None
        expected = self._channels.get(record.topic)
        if touch.channel != expected:
            right = self._topic(TOUCH_TOPICS[touch.channel])
            raise _Refused(
                "wrong_channel",
                f"a touch of channel {touch.channel} stands in the topic of {expected}; publish it to {right}",
            )
        problem = pipeline.receive(touch, record.timestamp, self._policy)
        if problem is not None:
            raise _Refused(*problem)
        ids = nodes(touch.customer, self._settings.id_key, self._settings.default_region)
        if not ids:
            raise _Refused(
                "no_identifier",
                "email, phone, linkedin_url, crm_id and click_id are missing, malformed or placeholders",
            )
        return touch, ids

    def _forward(
        self, outputs: list[Out], taken: list[tuple[Any, Touch, tuple[str, ...]]], resolved: list[Resolved]
    ) -> tuple[list[Out], list[Link]]:
        """The touches under their customers' ids, and the links that came to light."""
        links: dict[Link, None] = {}
        for (record, touch, _), who in zip(taken, resolved, strict=True):
            identified = pipeline.identify(touch, who.customer_id, record.timestamp, origin(record))
            value = self._codec.encode_identified(identified, record.value)
            outputs.append(Out(self._topic(IDENTIFIED), who.customer_id.encode(), value, record.timestamp))
            self._outcomes[touch.channel, "identified"] += 1
            for link in who.links:
                if link not in links:
                    links[link] = None
                    outputs += self._linked(link, who.customer_id, touch.touch_id, record.timestamp)
        return outputs, list(links)

    def _linked(self, link: Link, customer: str, touch_id: str, timestamp: int) -> list[Out]:
        outputs = [Out(self._topic(IDENTITIES), f"{link.a}|{link.b}".encode(), b"link")]
        if link.loser:
            command = merge_command(link.loser, customer, timestamp, touch_id)
            outputs.append(
                Out(self._topic(IDENTIFIED), link.loser.encode(), self._codec.encode_command(command), timestamp)
            )
        return outputs
