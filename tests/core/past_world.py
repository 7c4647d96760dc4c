"""The workers without Kafka, Redis and time, but with all their races, drawn from a schedule.

Lanes take what was published, ask the identity index and write into partitions; what a lane has decided reaches the partitions any time
later. Partitions are processed in any interleaving; what timelines tell each other goes to the end of the partition of its key. A lane
or a partition may crash: it starts again where it last committed, and what it has written since stays written.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from streams.core import backtest, pipeline
from streams.core import customer as customers
from streams.core.commands import Command
from streams.core.consent import CHANGED, ConsentChange, consent_of, decode_consent, encode_consent
from streams.core.entry import decode_entry, encode_entry, entry_of
from streams.core.identify import nodes
from streams.core.outcome import Finding
from streams.core.plans import PLANNED
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, decode, records, segment_key
from streams.core.touch import IdentifiedTouch, Touch
from tests.core import past_oracle
from tests.core.oracle import Claimed
from tests.core.past_events import Acknowledge, Consented, Erase, Event, Plan, event_text, published_at
from tests.core.past_index import Index
from tests.core.past_oracle import Facts
from tests.core.past_people import Cut, Joined, Published
from tests.core.strategies import ID_KEY, REGION

LANES = 3
ENDLESS = 20_000
TOLD = ("customer_merged", "customer_split", "finding_acknowledged")


Record = IdentifiedTouch | Command
Named = Touch | Plan | Consented
"""Events that say by identifiers whose they are."""

Choose = Callable[[int], int]
"""Which of n possibilities comes next: 0 to n - 1."""


def scheduled(schedule: Sequence[int]) -> Choose:
    """Choices as drawn, then always the first."""
    rest = iter(schedule)
    return lambda count: next(rest, 0) % count


class Partition:
    """A partition of touches.identified and the timelines of its customers, as the changelog has them."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.position = 0
        self._store: dict[bytes, bytes] = {}
        self._committed: tuple[int, dict[bytes, bytes]] = (0, {})

    def timeline(self, customer: str) -> Timeline:
        """As it is now."""
        key = customer.encode()
        held = self._store.get(key)
        return EMPTY if held is None else decode(held, lambda digest: self._store.get(segment_key(key, digest)))

    def keep(self, customer: str, before: Timeline, after: Timeline) -> None:
        """What it has become."""
        for key, value in records(customer.encode(), before, after).items() if after is not before else ():
            if value is None:
                self._store.pop(key, None)
            else:
                self._store[key] = value

    def commit(self) -> None:
        self._committed = self.position, dict(self._store)

    def crash(self) -> None:
        self.position, self._store = self._committed[0], dict(self._committed[1])


class Lane:
    """A worker's way in: takes events, and writes what it has decided in order, but whenever it comes to it."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, Event]] = []
        self.outbox: deque[Record] = deque()
        self.told: list[Command] = []
        self.pauses = False


class World:
    """See the module. `emitted` are all findings ever published, in order; `facts` what the oracle is to know."""

    def __init__(self, policy: Policy, partitions: int, crashes: bool = True, refuse: bool = False) -> None:
        self._policy, self._crashes = policy, crashes
        self._index = Index(refuse, policy.identity.shared_after)
        self._lanes = [Lane() for _ in range(LANES)]
        self._partitions = [Partition() for _ in range(partitions)]
        self._steps = 0
        self.emitted: list[Finding] = []
        self.outcomes: dict[str, int] = {}
        self.trace: Callable[[str], object] = lambda line: None

    @property
    def facts(self) -> Facts:
        return self._index.facts

    def happened(self) -> dict[str, int]:
        """What the index decided, by kind: pairs that link, that are blocked, cut and joined, identifiers that are shared."""
        return {f"pairs {kind}" if kind != "shared" else kind: n for kind, n in self._index.counted().items()}

    def run(self, events: Sequence[Event], choose: Choose) -> None:
        """All events in order of publication, and on until nothing is left to do."""
        waiting = deque(enumerate(events, 1))
        while moves := list(self._moves(waiting)):
            moves[choose(len(moves))]()
            self._steps += 1
            assert self._steps < ENDLESS, "records go round in circles"

    def _partition(self, customer: str) -> Partition:
        return self._partitions[zlib.crc32(customer.encode()) % len(self._partitions)]

    def _moves(self, waiting: deque[tuple[int, Event]]) -> Iterator[Callable[[], None]]:
        """What may happen next. The first are enough to come to an end."""
        busy = [part for part in self._partitions if part.position < len(part.log)]
        full = [lane for lane in self._lanes if lane.outbox]
        for part in busy:
            yield lambda part=part: self._process(part)
        for lane in full:
            if lane.pauses:
                continue
            yield lambda lane=lane: self._write(lane)
        for lane in self._lanes:
            if lane.taken and not lane.outbox:
                yield lambda lane=lane: self._commit(lane)
        for lane in self._lanes if waiting and isinstance(waiting[0][1], Named) else self._lanes[:1]:
            if waiting:
                yield lambda lane=lane: self._take(lane, *waiting.popleft())
            if len(waiting) > 1 and all(isinstance(event, Named) for _, event in islice(waiting, 2)):
                yield lambda lane=lane: self._take_two(lane, waiting)
        if not (busy or full or waiting) and (self._index.open or self._index.parted):
            yield self._mend
        for lane in self._lanes:
            if full and (lane.pauses or waiting):  # it goes on, or is slow until there is nothing else to do
                yield lambda lane=lane: setattr(lane, "pauses", not lane.pauses)
        if self._crashes and (busy or full or waiting):
            for part in self._partitions:
                yield part.commit
                yield lambda part=part: (self.trace(f"partition {self._partitions.index(part)} crashes"), part.crash())
            for lane in self._lanes:
                if lane.taken:
                    yield lambda lane=lane: self._crash(lane)

    def _take(self, lane: Lane, at: int, event: Event) -> None:
        lane.taken.append((at, event))
        self._index.now = max(self._index.now, published_at(at))
        self.trace(f"lane {self._lanes.index(lane)} takes {event_text(event)}")
        if isinstance(event, Acknowledge):
            held = [finding for finding in self.emitted if finding.state != "retracted"]
            if held:
                finding = held[event.nth % len(held)]
                command = Command(
                    f"ack{at}", finding.customer, "finding_acknowledged", published_at(at), "ack",
                    finding_id=finding.finding_id, requested_by="jo",
                )  # fmt: skip
                lane.outbox.append(command)
        elif isinstance(event, Cut):
            lane.outbox += self._index.cut(event, at)
        elif isinstance(event, Joined):
            told = self._index.join(event, at)
            lane.outbox += told
            lane.told += told
        elif isinstance(event, Erase):
            lane.outbox += self._index.erase(event.identifier, published_at(at))
        else:
            self._resolve(lane, [(at, event)])

    def _resolve(self, lane: Lane, events: Sequence[tuple[int, Named]]) -> None:
        """One call of the index for some touches, plans of some, or records of consent."""
        clock = self._index.tick()
        answers = []
        for at, event in events:
            touch = event if isinstance(event, Touch) else event.touch
            change = event.change if isinstance(event, Consented) else None
            published = Published(touch, published_at(at), isinstance(event, Plan), change)
            answer = self._index.resolve(nodes(touch.customer, ID_KEY, REGION), published, clock)
            if answer is not None:
                who = pipeline.identify(touch, answer.customer, published_at(at), None, answer.identifier, answer.at)
                answers.append((told_of(event, who), answer))
        for record, answer in answers:
            lane.outbox.append(record)
            told = [*self._index.parted, *self._index.merges(clock, self._index.root(answer.customer))]
            lane.outbox += told
            lane.told += told

    def _write(self, lane: Lane) -> None:
        record = lane.outbox.popleft()
        self.trace(f"lane {self._lanes.index(lane)} writes {short(record)}")
        self._partition(record.customer_id).log.append(record)

    def _commit(self, lane: Lane) -> None:
        self._index.logged(lane.told)
        lane.taken, lane.told = [], []

    def _crash(self, lane: Lane) -> None:
        again = lane.taken
        self.trace(f"lane {self._lanes.index(lane)} crashes")
        lane.taken, lane.told, lane.outbox = [], [], deque()
        for at, event in again:
            self._take(lane, at, event)

    def _take_two(self, lane: Lane, waiting: deque[tuple[int, Event]]) -> None:
        """Two touches in one micro-batch."""
        (at, one), (also_at, other) = waiting.popleft(), waiting.popleft()
        assert isinstance(one, Named) and isinstance(other, Named)
        lane.taken += [(at, one), (also_at, other)]
        self._index.now = max(self._index.now, published_at(also_at))
        self.trace(f"lane {self._lanes.index(lane)} takes {event_text(one)} and {event_text(other)}")
        self._resolve(lane, [(at, one), (also_at, other)])

    def _mend(self) -> None:
        told = [*self._index.parted, *self._index.merges(self._index.tick())]
        for command in told:
            self._partition(command.customer_id).log.append(command)
        self._index.logged(told)

    def _process(self, part: Partition) -> None:
        record = part.log[part.position]
        part.position += 1
        before = part.timeline(record.customer_id)
        on = customers.on_command if isinstance(record, Command) else customers.on_touch
        effect = on(before, record, self._policy)  # type: ignore[operator]
        part.keep(record.customer_id, before, effect.timeline)
        told = isinstance(record, Command) and record.kind in TOLD and effect.outcome == "applied"
        for what in (effect.outcome, *([record.kind] if told and isinstance(record, Command) else [])):
            self.outcomes[what] = self.outcomes.get(what, 0) + 1
        self.emitted += effect.findings
        self.trace(f"partition {self._partitions.index(part)}: {short(record)} -> {effect.outcome}")
        for finding in effect.findings:
            self.trace(
                f"    {finding.state} {finding.rule} {finding.customer[:6]} {finding.touch_ids} r{finding.revision}"
            )
        for sent in (*effect.commands, *([effect.forward] if effect.forward else [])):
            self._partition(sent.customer_id).log.append(sent)


def told_of(event: Named, identified: IdentifiedTouch) -> Record:
    """What the timeline is told of an event."""
    if isinstance(event, Consented):
        return told_of_consent(event.change, identified)
    return told_of_plan(identified) if isinstance(event, Plan) else identified


def told_of_consent(change: ConsentChange, identified: IdentifiedTouch) -> Command:
    """The record of consent as its timeline is told of it."""
    at, held = identified.published_at, consent_of(change, identified.published_at, identified.identifier)
    return Command(
        f"consent {change.consent_id} {at}", identified.customer_id, CHANGED, at, change.consent_id,
        entries=(encode_consent(held),), decided_at=identified.resolved_at,
    )  # fmt: skip


def told_of_plan(identified: IdentifiedTouch) -> Command:
    """The plan as its timeline is told of it."""
    touch, at = identified.touch, identified.published_at
    return Command(
        f"plan {touch.touch_id} {at}", identified.customer_id, PLANNED, at, touch.touch_id,
        entries=(encode_entry(entry_of(identified)),), decided_at=identified.resolved_at,
    )  # fmt: skip


def short(record: Record) -> str:
    """For a trace."""
    if isinstance(record, Command):
        ids = ",".join(i[:6] for i in record.identifiers)
        decode_ = decode_consent if record.kind == CHANGED else decode_entry
        held = ",".join(decode_(e).id for e in record.entries)
        return f"{record.kind} of {record.customer_id[:6]} into {(record.into or '')[:6]} at {record.decided_at} ids {ids} {held}"
    return f"{record.touch.touch_id} of {record.identifier[:6]} for {record.customer_id[:6]} at {record.resolved_at}"


def taken_away(emitted: Iterable[Finding]) -> list[Finding]:
    """Retractions of findings that somebody acts on; an erasure may take them away."""
    acted_on: set[str] = set()
    found = []
    for finding in sorted(emitted, key=lambda finding: finding.revision):
        if finding.cause and finding.cause.kind == "erasure":
            acted_on.discard(finding.finding_id)
        elif finding.acknowledged_by:
            acted_on.add(finding.finding_id)
        elif finding.state == "retracted" and finding.finding_id in acted_on:
            found.append(finding)
    return found


def wrong(world: World, policy: Policy) -> str | None:
    """What is wrong in the end of a world; None when nothing is.

    Raises:
        DoubtfulError: it cannot be said.
    """
    wanted = past_oracle.holding(world.facts, policy, ID_KEY)
    contents: dict[tuple[str, int], Finding] = {}
    known: dict[str, Finding] = {}
    for finding in world.emitted:
        if contents.setdefault((finding.finding_id, finding.revision), finding) != finding:
            return f"{finding.rule} {finding.touch_ids} has two contents of revision {finding.revision}"
    for finding in taken_away(world.emitted):
        return f"{finding.rule} {finding.touch_ids} was retracted though somebody acts on it"
    backtest.fold(known, world.emitted)
    found = sorted(Claimed(f.event_time, f.rule, f.customer, f.touch_ids) for f in backtest.standing(known))
    missing, many = ([c for c in one if c not in other] for one, other in ((wanted, found), (found, wanted)))
    doubtful = {claimed for claimed in (*missing, *many) if not past_oracle.sure(claimed, world.facts, policy)}
    if {*missing, *many} <= doubtful and (len(set(found)) == len(found) or found == wanted):
        return None
    return f"missing {missing}, too many {many}"
