"""All that the ledger's topics say now, for a report: read in slices, by as many processes as there are cores.

Most of a report's time goes into making facts of bytes, and Python does that on one core. Facts may be taken in any order, and joined facts
are as good as all that they were joined of (`streams.core.ledger.facts`): so each process gives back what its slice comes to. What
`touchstream ledger` has read stands in its own topic, and touches are not read a second time.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice

from streams.core.ledger.facts import ErasedFact, Fact, Facts, TouchFact, apart
from streams.core.outcome import Rejected
from streams.core.policy import Policy
from streams.edge.ledger_input import SOURCES, Input
from streams.edge.ledger_turn import AT_ONCE, group_of
from streams.edge.reader import ReadError, Stretch, batches, committed, learn_all, open_codec, stretches
from streams.edge.topics import IDENTIFIED, LEDGER_FACTS
from streams.settings import Settings

SLICE = 50_000
"""Offsets that are read at a time: about two seconds of work, and 10 MB to hand over."""

ALONE = 2 * SLICE
"""Up to so many records one process is as quick: more of them take a second to begin."""

MOST = 4
"""Processes at most: each takes 150 MB, and the one that joins what they give keeps up with some ten."""

Found = tuple[list[Fact], list[str]]
"""What a slice comes to, and what in it cannot be used."""


async def read_all(
    settings: Settings, policy: Policy, problems: list[str], processes: int | None = None, again: bool = False
) -> Facts:
    """All that the topics say now. What cannot be used is told in `problems`. `processes`: how many read, one for each core if None;
    `again`: touches that `touchstream ledger` has read are read again.

    Raises:
        ReadError: Kafka, a topic, or a schema registry that is needed is not there; or a process that read was killed.
        Damaged: see `ledger_input.Input.facts`.
    """
    known, erasures = Facts(), list[ErasedFact]()
    found = await _to_read(settings, again)
    slices = list(_slices(found))
    if processes is None:
        processes = 1 if sum(map(len, found)) <= ALONE else min(MOST, len(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        pool = None
        if processes > 1:
            # Not forked: a child of a process with threads may hang on a lock that one of them held.
            pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin)
            stack.callback(pool.shutdown, cancel_futures=True)
        async for facts, refused in _read(settings, policy, slices, pool, processes):
            problems += refused
            for fact in apart(facts, erasures):
                known.join(fact)
    known.erase(erasures)
    return known


async def _to_read(settings: Settings, again: bool) -> list[Stretch]:
    """The ledger's own topic, then the others: what they say again costs only a comparison."""
    touches = settings.topic(IDENTIFIED)
    # Asked before the ends: what was committed then is in the ledger's own topic, up to its end.
    read_up_to = {} if again else await committed(settings, group_of(settings), touches)
    own = await stretches(settings, [settings.topic(LEDGER_FACTS)])
    others = await stretches(settings, map(settings.topic, SOURCES))
    if not any(map(len, own)):  # it was deleted, and the group was not
        read_up_to = {}
    return own + [_unread(one, read_up_to) if one.topic == touches else one for one in others]


def _unread(one: Stretch, read_up_to: dict[int, int]) -> Stretch:
    """What the ledger has not read. Its last transaction may be seen in the offsets and not yet in its topic: that is read again."""
    at = read_up_to.get(one.partition, 0)
    if at > one.end:  # the topic was made anew
        at = 0
    return Stretch(one.topic, one.partition, max(one.first, at - AT_ONCE), one.end)


def _slices(found: Iterable[Stretch]) -> Iterator[Stretch]:
    for one in found:
        for first in range(one.first, one.end, SLICE):
            yield Stretch(one.topic, one.partition, first, min(first + SLICE, one.end))


async def _read(
    settings: Settings, policy: Policy, slices: Iterable[Stretch], pool: Executor | None, processes: int
) -> AsyncIterator[Found]:
    """What each slice comes to, in their order; a few are read ahead."""
    if pool is None:
        for one in slices:
            yield await _read_slice(settings, policy, one)
        return
    rest = iter(slices)
    ahead: deque[Future[Found]] = deque()
    try:
        while True:
            for one in islice(rest, 2 * processes - len(ahead)):
                ahead.append(pool.submit(_in_child, settings, policy, one))
            if not ahead:
                return
            yield await asyncio.wrap_future(ahead.popleft())
    except BrokenProcessPool:
        raise ReadError("a process that read the topics was killed; was there memory enough?") from None


async def _read_slice(settings: Settings, policy: Policy, one: Stretch) -> Found:
    known, refused = Facts(), list[str]()
    touches: list[Fact] = []
    erasures: list[ErasedFact] = []
    async with open_codec(settings) as codec:
        source = Input(settings, policy, codec)
        async for batch in batches(settings, one):
            if batch and one.topic != source.log:
                await learn_all(codec, [stored.value or b"" for stored in batch], batch[0].address)
            for stored in batch:
                found = source.facts(stored)
                if isinstance(found, Rejected):
                    refused.append(f"{stored.address}: {found.reason}: {found.detail}")
                else:
                    for fact in apart(found, erasures):
                        if isinstance(fact, TouchFact):
                            touches.append(fact)  # rarely twice: joining them once is enough
                        else:
                            known.join(fact)
    known.erase(erasures)
    return [*known, *touches], refused


def _in_child(settings: Settings, policy: Policy, one: Stretch) -> Found:
    return asyncio.run(_read_slice(settings, policy, one))


def _begin() -> None:
    """In a child. Ctrl-C is for the parent, without whom it ends; what goes wrong, the parent tells; what it keeps holds no cycle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()
    gc.disable()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
