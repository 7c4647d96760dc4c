"""The SDK: publish touches from Python.

    from streams import Client

    async with Client(bootstrap="kafka:9092") as client:
        sent = await client.send({"channel": "email", "department": "sales", ...})

    with Client.sync(bootstrap="kafka:9092") as client:      # the same from a plain script
        client.send_many(touches)

    if await client.may_contact("dana@example.com", channel="email", department="marketing"):    # asks the gateway

    await client.plan({"channel": "email", "department": "sales", "occurred_at": <a time to come>, ...})

    await client.consent("dana@example.com", "withdrawn", channel="email", purpose="offer", source="cmp", recorded_by="cmp")

A touch sent again with a higher `version` corrects the one of its `touch_id`, with `deleted` it takes it back. A touch is a
`streams.core.touch.Touch` or a dict of the names in `streams.core.touch_json`. It is checked before it is sent;
`send` returns when all replicas have it. Settings come from the environment (TOUCHSTREAM_...), keyword arguments win.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from streams import settings as settings_module
from streams.core import consent_json
from streams.core.commands import Command
from streams.core.consent import Status
from streams.core.consent_json import ConsentError
from streams.core.ids import command_id
from streams.core.leads import asked
from streams.core.ledger import records
from streams.core.ledger.records import RecordError
from streams.core.ledger.types import Cost, Deal, LeadReason, Stage
from streams.core.outcome import Finding
from streams.core.touch import Touch
from streams.core.touch_json import TouchError, from_mapping
from streams.edge.acknowledged import acknowledged, chunks
from streams.edge.encoding import Encoding
from streams.edge.publisher import Publisher, PublishError, Record, Written
from streams.edge.reader import make_codec, make_registry
from streams.edge.registry import RegistryRefused, RegistryUnavailable
from streams.edge.topics import COMMANDS
from streams.gateway.remote import Answer, Remote, Reservation, Reserved, Unanswered, asked_of
from streams.settings import Settings

__all__ = ["Client", "ConsentError", "PublishError", "RecordError", "SendManyError", "Sent", "TouchError"]

if TYPE_CHECKING:
    from streams.edge.sync_client import SyncClient

IN_FLIGHT = 1000
"""Records that are under way at once; bounds memory, and is more than one round trip needs."""

HandoffAnswer = Literal["accept", "reject", "recycle", "disqualify", "qualify", "won", "lost"]
ANSWERS: dict[HandoffAnswer, tuple[asked.AskedKind, Stage | None]] = {
    "accept": ("lead_accepted", None), "reject": ("lead_rejected", None), "recycle": ("lead_recycled", None),
    "disqualify": ("lead_disqualified", None), "qualify": ("lead_qualified", None), "won": ("lead_deal", "won"),
    "lost": ("lead_deal", "lost"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """Where an acknowledged touch stands: topic (full name), partition, offset; and the id it goes by."""

    topic: str
    partition: int
    offset: int
    touch_id: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The same of a record of consent."""

    topic: str
    partition: int
    offset: int
    consent_id: str


class SendManyError(PublishError):
    """Some touches of `send_many` were not acknowledged. `failures` says why, by position from 0; `sent` holds the rest.

    To send all of them again is safe: a touch that is stored twice is one touch, by its id.
    """

    def __init__(self, results: list[Sent | TouchError | PublishError]) -> None:
        self.failures = {i: result for i, result in enumerate(results) if not isinstance(result, Sent)}
        self.sent = [result for result in results if isinstance(result, Sent)]
        super().__init__(f"{len(self.failures)} of {len(results)} touches were not sent: {_listed(self.failures)}")


class Client(Encoding):
    """Publishes touches. An async context manager; see the module.

    `timeout` (seconds) bounds the connection and each acknowledgement. The other keywords are fields of
    `streams.settings.Settings` (`bootstrap`, `topic_prefix`, `security_protocol`, ...). `id_key` and `default_region` must be
    the workers', so that a contact keeps its partition.
    """

    def __init__(self, *, settings: Settings | None = None, timeout: float = 30.0, **overrides: Any) -> None:
        if settings is not None and overrides:
            raise TypeError("give either settings or single values, not both")
        self.settings = settings_module.load(**overrides) if settings is None else settings
        self.publisher = Publisher(self.settings, timeout)
        self._registry = make_registry(self.settings)
        self.codec = make_codec(self.settings, self._registry)
        self.gateway = Remote(self.settings)

    @staticmethod
    def sync(*, settings: Settings | None = None, timeout: float = 30.0, **overrides: Any) -> SyncClient:
        """The same client for code without asyncio."""
        from streams.edge.sync_client import SyncClient  # it needs this module

        return SyncClient(settings=settings, timeout=timeout, **overrides)

    async def __aenter__(self) -> Client:
        try:
            await self.codec.prepare()
            await self.publisher.start()
        except (RegistryUnavailable, RegistryRefused) as error:
            await self.close()
            raise PublishError(f"the schemas cannot be registered: {error}") from error
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect; leaving `async with` does it."""
        await self.gateway.close()
        await self.publisher.close()
        if self._registry is not None:
            await self._registry.close()

    async def send(self, touch: Touch | Mapping[str, Any]) -> Sent:
        """Publish one touch and wait until all replicas have it.

        Raises:
            TouchError: the touch is not valid; nothing was sent.
            PublishError: Kafka did not acknowledge it.
        """
        return _one(await self.attempt([touch]))

    async def plan(self, touch: Touch | Mapping[str, Any]) -> Sent:
        """Publish a touch that is planned: as it will be sent, with its time to come, under the id that it will have. A changed plan
        has the same id; with `deleted` it is withdrawn. What it collides with are findings, `planned_conflict`.

        Raises:
            TouchError: the touch is not valid, or not outbound; nothing was sent.
            PublishError: Kafka did not acknowledge it.
        """
        return _one(await self.attempt_plans([touch]))

    async def attempt_plans(
        self, touches: Iterable[Touch | Mapping[str, Any]]
    ) -> list[Sent | TouchError | PublishError]:
        """As `plan` for many; one that fails is its error in the list, and does not hold up the rest."""
        return await self._attempted(touches, self.encode_plan)

    async def send_many(self, touches: Iterable[Touch | Mapping[str, Any]]) -> list[Sent]:
        """Publish touches in batches and wait for all acknowledgements; results stand in the order of the touches.

        Raises:
            TouchError: some touches are not valid; the text names them by position, and nothing was sent.
            SendManyError: Kafka did not acknowledge some; it says which, and holds those that it did.
        """
        prepared = [self._prepared(touch, self.encode) for touch in touches]
        wrong = {i: item for i, item in enumerate(prepared) if isinstance(item, TouchError)}
        if wrong:
            reason = next(iter(wrong.values())).reason
            raise TouchError(
                f"{len(wrong)} of {len(prepared)} touches are wrong, none was sent: {_listed(wrong)}", reason
            )
        results: list[Sent | TouchError | PublishError] = []
        for chunk in chunks(prepared, IN_FLIGHT):
            results += await self._published(chunk)
        sent = [result for result in results if isinstance(result, Sent)]
        if len(sent) != len(results):
            raise SendManyError(results)
        return sent

    async def attempt(self, touches: Iterable[Touch | Mapping[str, Any]]) -> list[Sent | TouchError | PublishError]:
        """As `send_many`, but a touch that fails is its error in the list, and does not hold up the rest."""
        return await self._attempted(touches, self.encode)

    async def _attempted(
        self, touches: Iterable[Touch | Mapping[str, Any]], encode: Callable[[Touch], Record]
    ) -> list[Sent | TouchError | PublishError]:
        results: list[Sent | TouchError | PublishError] = []
        for chunk in chunks((self._prepared(touch, encode) for touch in touches), IN_FLIGHT):
            results += await self._published(chunk)
        return results

    async def consent(self, customer: Mapping[str, Any] | str, status: Status, **said: Any) -> Recorded:
        """Publish what a customer agreed to: `status` is granted, denied or withdrawn, `said` are the other names of
        `streams.core.consent_json`: `channel` and `purpose` (without them all), `at` (now), `until`, `basis`, and the proof: `source`,
        `form`, `recorded_by`. `customer` is a mail address, or a dict of identifiers.

        Raises:
            ConsentError: it is no record of consent; nothing was sent.
            PublishError: Kafka did not acknowledge it.
        """
        (recorded,) = await self.attempt_consents([{"customer": customer, "status": status, **said}])
        if isinstance(recorded, Recorded):
            return recorded
        raise recorded

    async def attempt_consents(
        self, records: Iterable[Mapping[str, Any]], ahead_ms: int = consent_json.AHEAD_MS
    ) -> list[Recorded | ConsentError | PublishError]:
        """As `consent` for many, each a dict with `customer` and `status`, too; one that fails is its error in the list, in its place, and
        does not hold up the rest. `ahead_ms`: by how much clocks may differ."""
        now = time.time_ns() // 1_000_000
        results: list[Recorded | ConsentError | PublishError] = []
        for chunk in chunks((self._said(record, now, ahead_ms) for record in records), IN_FLIGHT):
            results += await acknowledged(self.publisher, chunk, Recorded, ConsentError)
        return results

    def _said(self, record: Mapping[str, Any], now: int, ahead_ms: int) -> tuple[str, Record] | ConsentError:
        try:
            change = consent_json.from_mapping(record, now, ahead_ms)
            return change.consent_id, self.encode_consent(change)
        except ConsentError as error:
            return error

    async def deal(self, deal: Deal | Mapping[str, Any]) -> Written:
        """Publish a deal as the CRM sees it now, and wait until all replicas have it. A dict has the names of
        `streams.core.ledger.records`; a change of the deal has a higher `version`.

        Raises:
            RecordError: the deal is not valid; nothing was sent.
            PublishError: Kafka did not acknowledge it.
        """
        return await self.publisher.publish(self.encode_book(deal if isinstance(deal, Deal) else records.deal(deal)))

    async def cost(self, cost: Cost | Mapping[str, Any]) -> Written:
        """The same for money spent by a department over some days."""
        return await self.publisher.publish(self.encode_book(cost if isinstance(cost, Cost) else records.cost(cost)))

    async def request(
        self,
        kind: str,
        customer_id: str,
        *,
        by: str,
        identifiers: tuple[str, ...] = (),
        finding_id: str | None = None,
        rule: str | None = None,
        because: str = "",
    ) -> str:
        """Ask for what is no touch, by a command (`streams.core.commands.FROM_OUTSIDE`); returns its id once all replicas have it.
        `because` is for people: why `by` asks.

        Raises:
            PublishError: Kafka did not acknowledge it.
        """
        now = time.time_ns() // 1_000_000
        id_ = command_id(kind, customer_id, finding_id or "", by, str(now), *identifiers)
        command = Command(
            id_,
            customer_id,
            kind,
            now,
            because or by,
            identifiers=identifiers,
            finding_id=finding_id,
            requested_by=by,
            rule=rule,
        )
        return await self.publish_command(command)

    async def publish_command(self, command: Command) -> str:
        """Publish a command; returns its id once all replicas have it.

        Raises:
            PublishError: Kafka did not acknowledge it.
        """
        value = self.codec.encode_command(command)
        await self.publisher.publish(Record(self.settings.topic(COMMANDS), command.customer_id.encode(), value))
        return command.command_id

    async def acknowledge(self, finding: Finding, by: str) -> str:
        """Say that `by` acts on a finding: from then on it is amended, also when it does not hold any more (`withdrawn`), and never
        retracted. Returns the command's id.

        Raises:
            PublishError: Kafka did not acknowledge it.
        """
        return await self.request(
            "finding_acknowledged", finding.customer, by=by, finding_id=finding.finding_id, rule=finding.rule
        )

    async def answer_handoff(
        self, answer: HandoffAnswer, customer_id: str, *, by: str, lead_id: str | None = None, reason: LeadReason | None = None,
        recycle_at: int | None = None, nurture_with: str | None = None, deal_id: str | None = None,
    ) -> str:  # fmt: skip
        """Say that `by` of sales accepts, rejects, recycles, disqualifies or qualifies the lead of a customer (ids as in the topic
        `leads`), or that its deal (`deal_id`, if it has one) is won or lost; returns the command's id. To reject, recycle or disqualify
        needs a reason; rejected and recycled ones may say when to look at it again (UTC ms) and what marketing should nurture with.
        Workers answer in the topic `leads`, or with a dead letter when the lead is not in such a state.

        Raises:
            ValueError: the answer lacks something, or has too much.
            PublishError: Kafka did not acknowledge it.
        """
        now = time.time_ns() // 1_000_000
        kind, stage = ANSWERS[answer]
        command = asked.lead_command(
            kind, customer_id, by, now, lead_id, reason, recycle_at, nurture_with, deal_id, stage
        )
        if (wrong := asked.problem(command)) is not None:
            raise ValueError(wrong)
        return await self.publish_command(command)

    async def may_contact(self, customer: Mapping[str, Any] | str, **contact: Any) -> Answer:
        """Ask the gateway whether a contact may be made: `if await client.may_contact("dana@example.com", channel="email", ...)`.

        `customer` is a mail address, or a dict of identifiers; `contact` are the fields of POST /v1/checks (`channel`, `department`,
        `at`, `campaign`, ...). GatewayError when it cannot be asked.
        """
        return await self.gateway.check(asked_of(customer, **contact))

    def may_contact_all(
        self, customers: Iterable[Mapping[str, Any] | str], **contact: Any
    ) -> AsyncGenerator[Answer | Unanswered, None]:
        """The same for all customers of a campaign: `async for answer in client.may_contact_all(customers, channel="email", ...)`.

        One answer for each, in their order, as they come: 10,000 customers are one request. Who has fields of their own (`at`, `standing`,
        `ref`, ...) is a dict of these with the identifiers under `customer`. About whom the gateway cannot be asked, for want of a usable
        identifier for one, there is an `Unanswered`, which is false, too. GatewayError when the gateway is away.
        """
        return self.gateway.check_all(_question(one, contact) for one in customers)

    async def reserve(self, customer: Mapping[str, Any] | str, **contact: Any) -> Reservation:
        """The same, and hold the slot for `hold_seconds`. Publish the touch with the reservation's `touch_id`."""
        return await self.gateway.reserve(asked_of(customer, **contact))

    async def commit(self, reserved: Reserved, touch_id: str | None = None) -> Reserved:
        """The contact is being made. GatewayError when it was not held any more."""
        return await self.gateway.commit(reserved.reservation_id, touch_id)

    async def release(self, reserved: Reserved) -> Reserved:
        """The contact is not made: the slot is free again."""
        return await self.gateway.release(reserved.reservation_id)

    def _prepared(
        self, touch: Touch | Mapping[str, Any], encode: Callable[[Touch], Record]
    ) -> tuple[str, Record] | TouchError:
        try:
            value = touch if isinstance(touch, Touch) else from_mapping(touch)
            return value.touch_id, encode(value)
        except TouchError as error:
            return error

    async def _published(self, items: list[tuple[str, Record] | TouchError]) -> list[Sent | TouchError | PublishError]:
        return await acknowledged(self.publisher, items, Sent, lambda text: TouchError(text, "too_large"))


def _question(customer: Mapping[str, Any] | str, contact: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(customer, str) or "customer" not in customer:
        return asked_of(customer, **contact)
    return asked_of(**{**contact, **customer})


def _one(results: list[Sent | TouchError | PublishError]) -> Sent:
    (result,) = results
    if not isinstance(result, Sent):
        raise result
    return result


def _listed(failures: Mapping[int, Exception]) -> str:
    """The first five failures by position (from 1, as people count), and how many more there are."""
    shown = [f"touch {i + 1}: {error}" for i, error in islice(failures.items(), 5)]
    more = len(failures) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
