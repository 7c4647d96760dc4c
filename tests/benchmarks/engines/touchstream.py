"""touchstream. `whole_worker` is `touchstream worker`, unchanged; `rule_only` is its lane (transport, store, producer) with a stage
that applies the 24 h rule: what `streams.edge.app` builds, less identities, codec and Redis."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import faust
import uvloop

from streams.core.policy import Policy
from streams.edge import app as app_module
from streams.edge.agents import by_partition, follow
from streams.edge.lane import Out, Write
from streams.edge.store import Store
from streams.edge.topics import TIMELINES_TABLE
from streams.edge.transport import Records
from tests.benchmarks.engines import say
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Run
from tests.benchmarks.rule import State, advance, decode_contact, decode_state, encode


class Rule:
    """A stage, as those of `streams.edge.stages`."""

    def __init__(self, store: Store, output: str) -> None:
        self._store, self._output, self._first = store, output, True

    async def run(self, batches: list[Records]) -> AsyncIterator[Write]:
        """What has been gathered."""
        if self._first:
            self._first = False
            say("first")
        for partition, records in by_partition(batches).items():
            yield self.decide(partition, records)

    def decide(self, partition: int, records: Sequence[Any]) -> Write:
        """Its effect."""
        outputs: list[Out] = []
        changed: dict[bytes, State] = {}
        for record in records:
            key, contact = record.key, decode_contact(record.value)
            state = changed.get(key)
            if state is None:
                before = self._store.read(partition, key)
                state = changed[key] = decode_state(before) if before else []
            outputs += [Out(self._output, key, encode(pair)) for pair in advance(state, contact) or ()]
        changelog = {key: encode(state) for key, state in changed.items()}
        self._store.write(partition, changelog)
        return Write(outputs, partition, changelog)


def rule_app(run: Run) -> app_module.App:
    """The worker's app with one agent in place of its two."""
    from streams.edge import agents

    def register(app: app_module.App, *_: object) -> None:
        stage = Rule(app.tables[TIMELINES_TABLE].data, run.topic(RULE_OUTPUT))
        follow(app, (RULE_INPUT,), stage.run)

    agents.register = register
    return app_module.create(run.settings(), Policy())


def main(run: Run) -> None:
    """Until killed."""
    logging.basicConfig(level="WARNING", stream=sys.stderr, force=True)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    worker = faust.Worker(
        rule_app(run), loglevel="WARNING", override_logging=False, redirect_stdouts=False, console_port=None, quiet=True
    )
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(Run.decode(sys.argv[1]))
