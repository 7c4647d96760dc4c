"""commands -> touches.identified: what others ask for, put in one line with the customer's touches.

Two topics interleave differently when they are read again after a crash; so the timeline stage reads only one. What workers tell each
other of merges and splits nobody else may say: such a command from outside is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from redis.exceptions import RedisError

from streams.core import consent, erasure, identity_conflict, plans, published
from streams.core.commands import FROM_OUTSIDE, LEAD_KINDS, Command
from streams.core.identify import is_node
from streams.core.identity_facts import Erased, Fact, Request, Resolved
from streams.core.leads import asked
from streams.core.policy import Policy, PolicyError, fingerprint
from streams.edge.codec import Codec, DecodeError
from streams.edge.gather import NotNow
from streams.edge.identity_index import IdentityIndex, IndexUnavailable, SharedIdentifier
from streams.edge.lane import Out, Write
from streams.edge.metrics import Metrics
from streams.edge.reader import ReadError
from streams.edge.reservations import Reservations
from streams.edge.stages import consenting, erasures, planning, splits
from streams.edge.stages.base import Stage
from streams.edge.stages.ingest import Ingest, Refused, dated
from streams.edge.topics import IDENTIFIED, POLICIES
from streams.settings import Settings

log = logging.getLogger("touchstream.stages")


BY_IDENTIFIERS = {plans.PLANNED: planning.asked, consent.CHANGED: consenting.asked}
"""Kinds of commands that say by a customer's identifiers whose they are."""


class _Unroutable(Exception):
    """Why a command is refused, in one sentence."""


class _Gone(NamedTuple):
    """A person whom the index has forgotten: by which command, with what marks, and which timelines are told."""

    command: Command
    gone: Erased
    marks: list[Fact]
    timelines: tuple[str, ...]


class Requests(Stage):
    """See the module. While the index is away that a command needs, `run` raises `NotNow`."""

    name = "requests"

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        codec: Codec,
        metrics: Metrics,
        index: IdentityIndex,
        ingest: Ingest,
        reservations: Reservations,
    ) -> None:
        super().__init__(settings, policy, codec, metrics)
        self._index = index
        self._ingest = ingest
        self._reservations = reservations
        self._done: list[str] = []

    async def run(self, records: Sequence[Any]) -> Write:
        """One micro-batch of raw records."""
        await self.learn(records)
        records = self.believed(records)
        write, planned, erased = Write([]), list[planning.Asked](), list[_Gone]()
        for record in records:
            try:
                command = self._codec.decode_command(record.value or b"")
                if command.kind in BY_IDENTIFIERS:
                    planned.append(BY_IDENTIFIERS[command.kind](record, command, self._policy, self._ingest))
                    continue
                await self._plan(planned, write)
                await self._one(record, command, write, erased)
            except DecodeError as error:
                write.outputs.append(self.dead(record, error.reason, error.detail))
            except Refused as error:
                write.outputs.append(self.dead(record, error.reason, str(error)))
            except _Unroutable as error:
                write.outputs.append(self.dead(record, "unroutable", str(error)))
        await self._plan(planned, write)
        await self._forget(erased, write)
        return write

    async def tidy(self) -> None:
        """Tell the index of erasures that are in Kafka, which it could not be told of at once."""
        while self._done:
            request_id = self._done.pop()
            try:
                await self._index.erasure_done(request_id)
            except IndexUnavailable:
                self._done.append(request_id)
                return

    async def _one(self, record: Any, command: Command, write: Write, erased: list[_Gone]) -> None:
        if command.kind not in FROM_OUTSIDE:
            known = ", ".join(sorted(FROM_OUTSIDE))
            raise _Unroutable(f"command {command.kind!r} is unknown here, or only for workers; known: {known}")
        if command.kind == erasures.ERASE:
            erased.append(await self._erase(record, command, write))
            return
        if command.kind in (splits.SPLIT, splits.MERGE):
            await self._decide(command, write)
            return
        if command.kind == published.CHANGED:
            self._change_policy(record, command, write)
            return
        if not is_node(command.customer_id):
            raise _Unroutable(
                f"{command.kind} needs the pseudonymous id of a customer as its customer_id, such as findings and lead events bear"
            )
        if command.kind in LEAD_KINDS:
            self._say(record, command, write)
            return
        if not command.finding_id:
            raise _Unroutable("finding_acknowledged needs the finding_id that it is about")
        # What is surely a timeline's does not wait for the index.
        if command.rule not in (None, identity_conflict.RULE) or not await self._acted(command, write):
            write.outputs.append(self._passed_on(command, record.timestamp))

    async def _acted(self, command: Command, write: Write) -> bool:
        """Whether somebody acts on a finding of the identity index, and not of a timeline."""
        severity = self._policy.identity.conflict_severity
        try:
            for conflict in await self._index.conflicts(command.customer_id):
                finding = identity_conflict.finding(conflict, severity)
                if finding is None or finding.finding_id != command.finding_id:
                    continue
                act = await self._index.act(conflict, command.command_id, splits.cause(command))
                if act.standing == "ended":
                    raise _Unroutable(
                        f"finding {command.finding_id} does not hold any more: there is nothing to acknowledge"
                    )
                facts = [] if act.fact is None else [act.fact]
                write.outputs += [out for fact in facts for out in self._ingest.published(fact, Resolved(fact.a))]
                _then(write, partial(self._ingest.logged, facts))
                return True
        except IndexUnavailable as error:
            raise NotNow(f"an acknowledgement waits: {error}") from None
        return False

    def _say(self, record: Any, command: Command, write: Write) -> None:
        """What sales says of a lead; it cannot have been said after Kafka received it."""
        wrong = asked.problem(command)
        if wrong is not None:
            raise _Unroutable(wrong)
        said_at = min(command.issued_at, record.timestamp) if record.timestamp > 0 else command.issued_at
        write.outputs.append(self._passed_on(replace(command, issued_at=said_at, decided_at=0), record.timestamp))

    def _passed_on(self, command: Command, timestamp: int) -> Out:
        value = self._codec.encode_command(command)
        return Out(self._topic(IDENTIFIED), command.customer_id.encode(), value, timestamp)

    async def _plan(self, asked: list[planning.Asked], write: Write) -> None:
        """Plans and records of consent that came one behind the other, looked up together; nothing waits in `asked` behind it."""
        some, asked[:] = asked[:], []
        facts: dict[Fact, Fact] = {}
        for one, who in zip(some, await planning.resolved(some, self._index), strict=True):
            if not who.refused:
                write.outputs.append(self._passed_on(one.told(who), one.record.timestamp))
                write.outputs += self._ingest.news(who, facts)
            elif not erasure.dropped(who.erased_at, one.record.timestamp, self._policy.erasure):
                write.outputs.append(self.dead(one.record, "erased", erasure.DETAIL, whole=False))
        if facts:
            _then(write, lambda: self._ingest.logged(list(facts.values())))

    def _change_policy(self, record: Any, command: Command, write: Write) -> None:
        """A marker for each partition of touches; once Kafka has them all, the record that says so."""
        try:
            (told,) = map(published.decode, command.entries)
            policy = published.policy_of(told)
        except (ValueError, PolicyError) as error:  # msgspec's errors are ValueErrors
            raise _Unroutable(
                f"policy_changed needs one publication that can be read, as `touchstream policy publish` makes it: {error}"
            ) from None
        if fingerprint(policy) != told.fingerprint or command.customer_id != published.KEY:
            raise _Unroutable(
                f"the policy {told.fingerprint} is read by this worker as {fingerprint(policy)}: `touchstream policy publish` must be of"
                f" the workers' release, and the command's key and customer_id {published.KEY!r}"
            )
        key, value = published.KEY.encode(), self._codec.encode_command(command)
        write.outputs += [
            Out(self._topic(IDENTIFIED), key, value, record.timestamp, partition)
            for partition in range(self._settings.partitions)
        ]
        said = self._codec.encode_policy(told)
        write.last.append(Out(self._topic(POLICIES), told.publication_id.encode(), said))
        log.info("policy %s@%s of %s goes to all partitions", told.version, told.fingerprint, told.published_by)

    async def _decide(self, command: Command, write: Write) -> None:
        """What somebody decided of two identifiers."""
        problem = splits.problem(command)
        if problem is not None:
            raise _Unroutable(problem)
        a, b = command.identifiers
        decide = self._index.cut if command.kind == splits.SPLIT else self._index.join
        try:
            decision = await decide(a, b, command.command_id, splits.cause(command))
        except IndexUnavailable as error:
            raise NotNow(f"a {splits.verb(command)} waits: {error}") from None
        refused = splits.refusal(decision, a, b)
        if refused is not None:
            raise _Unroutable(refused)
        decided = splits.decided(decision)
        write.outputs += [out for fact, who in decided for out in self._ingest.published(fact, who)]
        _then(write, lambda: self._ingest.logged([dated(fact, who) for fact, who in decided]))
        log.info("%s of %s and %s for %s", splits.verb(command), a, b, command.requested_by or "somebody")

    async def _erase(self, record: Any, command: Command, write: Write) -> _Gone:
        """Touches of events up to the decision are those that it is about. What is left to do: `_forget`."""
        problem = erasures.problem(command)
        if problem is not None:
            raise _Unroutable(problem)
        by = command.requested_by or "somebody"
        cause = msgspec.json.encode(Request(command.command_id, by, command.issued_at))
        try:
            gone = await self._index.erase(command.customer_id, command.command_id, record.timestamp, cause)
        except SharedIdentifier as error:
            raise _Unroutable(f"{error}: name another id of the person who is to be erased") from None
        except IndexUnavailable as error:
            raise NotNow(f"an erasure waits: {error}") from None
        until = gone.decided_at // 1000
        marks = [Fact(id_, id_, "erased", cause, at=gone.decided_at, until=until) for id_ in gone.identifiers]
        write.outputs += map(self.fact, marks)
        for fact in gone.decided:
            write.outputs += self._decided_before(fact, gone, command.command_id)
        timelines = erasures.timelines(gone, self._policy.erasure.for_good)
        write.outputs += erasures.told(self._settings, self._codec, command, gone, record.timestamp, timelines)
        return _Gone(command, gone, marks, timelines)

    async def _forget(self, erased: list[_Gone], write: Write) -> None:
        """The reservations of all who were erased, and the receipts, which count them. Kafka is read once for all of them: so many erasures
        at once would otherwise take longer than a worker may without a commit. Where Redis was lost with the index's answer, and later
        touches are refused, it is the index that was built anew that says what the log still has of them."""
        if not erased:
            return
        try:
            held = await self._reservations.erase([one.gone.identifiers for one in erased])
            back = await self._index.to_take_back()
        except (RedisError, ReadError, IndexUnavailable) as error:
            raise NotNow(f"an erasure waits: {error}") from None
        write.last += [out for fact in back for out in self.taken_back(fact)]
        if back:
            _then(write, lambda: self._ingest.logged(back))
        for one, theirs in zip(erased, held, strict=True):
            decided, done = erasures.identity_part(
                self._settings, self._codec, one.command, one.gone, one.timelines, len(theirs)
            )
            write.outputs.append(decided)
            write.after.append(done)
            write.last += erasures.null_values(self._settings, one.gone, theirs)
        _then(write, lambda: self._erased(erased))

    def _decided_before(self, fact: Fact, gone: Erased, request_id: str) -> list[Out]:
        """What an erasure must not swallow: timelines are told of a cut, and a finding about two records is withdrawn."""
        if fact.kind == "cut":
            return self._ingest.told_of_cut(fact)
        if fact.kind == "acted":
            return []
        acted = any((one.kind, one.a, one.b) == ("acted", fact.a, fact.b) for one in gone.decided)
        finding = identity_conflict.withdrawn(fact, self._policy.identity.conflict_severity, request_id, acted)
        return [] if finding is None else [self._ingest.told_people(finding)]

    async def _erased(self, erased: list[_Gone]) -> None:
        """Kafka has all of it."""
        await self._index.logged([mark for one in erased for mark in one.marks])
        self._done += [one.command.command_id for one in erased]
        await self.tidy()
        for one in erased:
            gone = one.gone
            log.info(
                "erased %s: %d ids, %d records of the log", gone.customer_id, len(gone.identifiers), len(gone.log_keys)
            )


class _Steps:
    """What is to be done once Kafka has all of a write, one after the other: thousands, so not each inside the next."""

    def __init__(self, first: Callable[[], Awaitable[None]] | None) -> None:
        self.calls = [] if first is None else [first]

    async def __call__(self) -> None:
        for call in self.calls:
            await call()


def _then(write: Write, call: Callable[[], Awaitable[None]]) -> None:
    """One more thing to do once Kafka has all of a write, behind what is to be done already, whoever said so."""
    steps = write.done if isinstance(write.done, _Steps) else _Steps(write.done)
    steps.calls.append(call)
    write.done = steps
