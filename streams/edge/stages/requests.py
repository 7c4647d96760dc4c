"""commands -> touches.identified: what others ask for, put in one line with the customer's touches.

Two topics interleave differently when they are read again after a crash; so the timeline stage reads only one. What workers tell each
other of merges and splits nobody else may say: such a command from outside is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streams.core.commands import FROM_OUTSIDE, Command
from streams.edge.codec import DecodeError
from streams.edge.lane import Out, Write
from streams.edge.stages.base import Stage
from streams.edge.topics import IDENTIFIED


class Requests(Stage):
    """See the module."""

    name = "requests"

    async def run(self, records: Sequence[Any]) -> Write:
        """One micro-batch of raw records."""
        await self.learn(records)
        outputs: list[Out] = []
        for record in records:
            try:
                outputs += self._one(record, self._codec.decode_command(record.value or b""))
            except DecodeError as error:
                outputs.append(self.dead(record, error.reason, error.detail))
        return Write(outputs)

    def _one(self, record: Any, command: Command) -> list[Out]:
        if command.kind not in FROM_OUTSIDE:
            known = ", ".join(sorted(FROM_OUTSIDE))
            detail = f"command {command.kind!r} is unknown here, or only for workers; known: {known}"
            return [self.dead(record, "unroutable", detail)]
        if not command.finding_id:
            return [self.dead(record, "unroutable", "finding_acknowledged needs the finding_id that it is about")]
        return [self._passed_on(command, record.timestamp)]

    def _passed_on(self, command: Command, timestamp: int) -> Out:
        value = self._codec.encode_command(command)
        return Out(self._topic(IDENTIFIED), command.customer_id.encode(), value, timestamp)
