"""The SDK for code without asyncio: `Client.sync()`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from streams import settings as settings_module
from streams.core.consent import Status
from streams.core.consent_json import ConsentError
from streams.core.ledger.types import Cost, Deal
from streams.core.outcome import Finding
from streams.core.touch import Touch
from streams.core.touch_json import TouchError
from streams.edge.client import Client, HandoffAnswer, Recorded, Sent
from streams.edge.publisher import PublishError, Written
from streams.gateway.remote import Answer, Reservation, Reserved, Unanswered
from streams.settings import Settings

T = TypeVar("T")


class SyncClient:
    """`Client` for plain scripts: the same methods, blocking. Runs an event loop in a thread of its own while in `with`."""

    def __init__(self, *, settings: Settings | None = None, timeout: float = 30.0, **overrides: Any) -> None:
        if settings is not None and overrides:
            raise TypeError("give either settings or single values, not both")
        self._settings = settings_module.load(**overrides) if settings is None else settings
        self._timeout = timeout
        self._client: Client | None = None
        self._loop = asyncio.new_event_loop()
        # A daemon: a script that never leaves `with` must still be able to end.
        self._thread = threading.Thread(target=self._loop.run_forever, name="touchstream-client", daemon=True)

    def __enter__(self) -> SyncClient:
        self._thread.start()
        try:
            self._client = self._run(self._connect())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._run(self._connected().close())
        finally:
            self._client = None
            self._end()

    def send(self, touch: Touch | Mapping[str, Any]) -> Sent:
        """As `Client.send`."""
        return self._run(self._connected().send(touch))

    def send_many(self, touches: Iterable[Touch | Mapping[str, Any]]) -> list[Sent]:
        """As `Client.send_many`."""
        return self._run(self._connected().send_many(touches))

    def plan(self, touch: Touch | Mapping[str, Any]) -> Sent:
        """As `Client.plan`."""
        return self._run(self._connected().plan(touch))

    def consent(self, customer: Mapping[str, Any] | str, status: Status, **said: Any) -> Recorded:
        """As `Client.consent`."""
        return self._run(self._connected().consent(customer, status, **said))

    def attempt_consents(self, records: Iterable[Mapping[str, Any]]) -> list[Recorded | ConsentError | PublishError]:
        """As `Client.attempt_consents`."""
        return self._run(self._connected().attempt_consents(records))

    def deal(self, deal: Deal | Mapping[str, Any]) -> Written:
        """As `Client.deal`."""
        return self._run(self._connected().deal(deal))

    def cost(self, cost: Cost | Mapping[str, Any]) -> Written:
        """As `Client.cost`."""
        return self._run(self._connected().cost(cost))

    def answer_handoff(self, answer: HandoffAnswer, customer_id: str, *, by: str, **more: Any) -> str:
        """As `Client.answer_handoff`."""
        return self._run(self._connected().answer_handoff(answer, customer_id, by=by, **more))

    def acknowledge(self, finding: Finding, by: str) -> str:
        """As `Client.acknowledge`."""
        return self._run(self._connected().acknowledge(finding, by))

    def may_contact(self, customer: Mapping[str, Any] | str, **contact: Any) -> Answer:
        """As `Client.may_contact`."""
        return self._run(self._connected().may_contact(customer, **contact))

    def may_contact_all(
        self, customers: Iterable[Mapping[str, Any] | str], **contact: Any
    ) -> Iterator[Answer | Unanswered]:
        """As `Client.may_contact_all`: `for answer in client.may_contact_all(customers, channel="email", ...)`."""
        answers = self._connected().may_contact_all(customers, **contact)

        async def following() -> Answer | Unanswered | None:
            return await anext(answers, None)

        try:
            while (answer := self._run(following())) is not None:
                yield answer
        finally:
            self._run(answers.aclose())

    def reserve(self, customer: Mapping[str, Any] | str, **contact: Any) -> Reservation:
        """As `Client.reserve`."""
        return self._run(self._connected().reserve(customer, **contact))

    def commit(self, reserved: Reserved, touch_id: str | None = None) -> Reserved:
        """As `Client.commit`."""
        return self._run(self._connected().commit(reserved, touch_id))

    def release(self, reserved: Reserved) -> Reserved:
        """As `Client.release`."""
        return self._run(self._connected().release(reserved))

    def attempt(self, touches: Iterable[Touch | Mapping[str, Any]]) -> list[Sent | TouchError | PublishError]:
        """As `Client.attempt`."""
        return self._run(self._connected().attempt(touches))

    def _connected(self) -> Client:
        if self._client is None:
            raise RuntimeError("the client is not connected; use `with Client.sync(...) as client:`")
        return self._client

    async def _connect(self) -> Client:
        return await Client(settings=self._settings, timeout=self._timeout).__aenter__()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C in the calling thread: the work must not go on behind its back
            raise

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
