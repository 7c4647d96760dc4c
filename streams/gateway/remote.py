"""The gateway from afar: what the SDK and `touchstream check` use. Answers are those of /openapi.json, as records."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import aiohttp
import msgspec
from msgspec import Struct, field

from streams.gateway.bounds import BATCH, BATCH_BYTES, BATCH_CUSTOMERS, LINE_BYTES, NDJSON
from streams.settings import PREFIX, Settings

T = TypeVar("T")
TIMEOUT = 30.0


class GatewayError(Exception):
    """The gateway could not be asked, or refused to answer; the text says why and what to do. `status` is 0 when it was not reached."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Said(Struct, frozen=True):
    """What a record of consent says: its purpose ("": every one), the system where it was said, the text or form, who recorded it."""

    status: str
    purpose: str
    source: str
    form: str
    recorded_by: str


class Proof(Struct, frozen=True):
    """A touch, reservation, plan or record that a violation rests on. `planned`: it is a tool's plan, and was not made yet. `said`: of a
    record of consent."""

    id: str
    at: str
    channel: str
    department: str
    planned: bool = False
    said: Said | None = None


class Violation(Struct, frozen=True):
    """A rule that the contact would break. `until` (RFC 3339): not before then can it pass; None: never, as things stand."""

    rule: str
    reason: str
    action: str
    severity: str
    priority: int
    text: str
    until: str | None
    evidence: list[Proof]


class Degraded(Struct, frozen=True):
    """What could not be seen, and what was answered for that."""

    gaps: list[str]
    answered: str


class View(Struct, frozen=True):
    """How fresh what the check saw is."""

    age_seconds: float
    lag_records: int


class PolicyId(Struct, frozen=True):
    """Which policy decided."""

    version: str
    fingerprint: str


class Answer(Struct, frozen=True):
    """May the contact be made? True in a condition when it may. Times are RFC 3339; `slots` by channel."""

    allowed: bool
    at: str
    action: str | None
    violations: list[Violation]
    slots: dict[str, str | None]
    route_to: str | None
    customer_id: str
    policy: PolicyId
    view: View | None
    degraded: Degraded | None
    ref: str | None = None

    def __bool__(self) -> bool:
        return self.allowed


class Unanswered(Struct, frozen=True):
    """One of many customers about whom the gateway could not be asked; the text says why. False in a condition, as a no is."""

    text: str
    status: int

    def __bool__(self) -> bool:
        return False


class Reserved(Struct, frozen=True):
    """A reservation. Publish the touch with its `touch_id`."""

    reservation_id: str
    state: Literal["held", "committed", "released"]
    touch_id: str
    customer_id: str
    channel: str
    department: str
    at: str
    expires_at: str


class Reservation(Struct, frozen=True):
    """What `reserve` answers; `reservation` is None when the contact is not allowed. True in a condition when it is held."""

    check: Answer
    reservation: Reserved | None = field(default=None)

    def __bool__(self) -> bool:
        return self.reservation is not None


class Remote:
    """One connection pool to the gateway of the settings. Close it."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.gateway_url.rstrip("/")
        self._token = settings.gateway_token
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def check(self, asked: Mapping[str, Any]) -> Answer:
        """POST /v1/checks. Raises GatewayError."""
        return await self._call("POST", "/v1/checks", asked, Answer)

    async def check_all(self, asked: Iterable[Mapping[str, Any]]) -> AsyncGenerator[Answer | Unanswered, None]:
        """POST /v1/checks/batch, in as many requests as it takes: an answer for each, in order, as they come. Raises GatewayError when the
        gateway cannot be asked, or answers no more: then so many were answered."""
        for batch in _batches(map(_line, asked)):
            lines = [one for one in batch if isinstance(one, bytes)]
            answers = self._batch(lines) if lines else None
            for one in batch:
                if isinstance(one, Unanswered):
                    yield one
                    continue
                assert answers is not None
                answer = await anext(answers, None)
                if answer is None:
                    raise GatewayError(f"{self._url}{BATCH} ended before all were answered; ask for the rest again")
                yield answer
            if answers is not None:
                await answers.aclose()

    async def _batch(self, lines: Sequence[bytes]) -> AsyncGenerator[Answer | Unanswered, None]:
        """Answers to the lines of one request."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
        headers = {"Content-Type": NDJSON}
        try:
            async with self._opened().post(
                self._url + BATCH, data=b"\n".join(lines), headers=headers, timeout=patience
            ) as told:
                if told.status >= 400:
                    raise _refused(BATCH, told.status, await told.read())
                rest = b""
                async for part in told.content.iter_any():
                    *whole, rest = (rest + part).split(b"\n")
                    for line in whole:
                        yield _answer_of(line)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._away(error) from error

    async def reserve(self, asked: Mapping[str, Any]) -> Reservation:
        """POST /v1/reservations. Raises GatewayError."""
        return await self._call("POST", "/v1/reservations", asked, Reservation)

    async def commit(self, reservation_id: str, touch_id: str | None = None) -> Reserved:
        """POST /v1/reservations/{id}/commit. Raises GatewayError."""
        body = {} if touch_id is None else {"touch_id": touch_id}
        return await self._call("POST", f"/v1/reservations/{reservation_id}/commit", body, Reserved)

    async def release(self, reservation_id: str) -> Reserved:
        """DELETE /v1/reservations/{id}. Raises GatewayError."""
        return await self._call("DELETE", f"/v1/reservations/{reservation_id}", None, Reserved)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None, kind: type[T]) -> T:
        try:
            async with self._opened().request(method, self._url + path, json=body) as answer:
                raw, status = await answer.read(), answer.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._away(error) from error
        if status >= 400:
            raise _refused(path, status, raw)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            raise GatewayError(
                f"{self._url}{path} answered what no gateway of this release answers: {error}", status
            ) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self._session

    def _away(self, error: BaseException) -> GatewayError:
        if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
            return GatewayError(
                f"{self._url!r} is no address of a gateway: {PREFIX}GATEWAY_URL or --gateway is written as http://127.0.0.1:8484"
            )
        return GatewayError(
            f"the gateway at {self._url} cannot be asked: {str(error) or type(error).__name__}; `touchstream gateway` starts one,"
            f" {PREFIX}GATEWAY_URL says where it is"
        )


def _line(asked: Mapping[str, Any]) -> bytes | Unanswered:
    line = msgspec.json.encode(asked)
    if len(line) > LINE_BYTES:
        return Unanswered(f"{len(line)} bytes, and a question may have {LINE_BYTES}", 413)
    return line


def _batches(lines: Iterable[bytes | Unanswered]) -> Iterator[list[bytes | Unanswered]]:
    """As many as one request may have."""
    batch: list[bytes | Unanswered] = []
    size = 0
    for line in lines:
        length = len(line) + 1 if isinstance(line, bytes) else 0
        if len(batch) == BATCH_CUSTOMERS or size + length > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += length
    if batch:
        yield batch


def _answer_of(line: bytes) -> Answer | Unanswered:
    """Raises GatewayError for what is neither an answer nor a problem."""
    try:
        if line.startswith(b'{"problem":'):
            problem = msgspec.json.decode(line, type=dict[str, dict[str, Any]])["problem"]
            return Unanswered(_said(problem), problem.get("status", 0))
        return msgspec.json.decode(line, type=Answer)
    except msgspec.MsgspecError as error:
        raise GatewayError(f"{BATCH} answered what no gateway of this release answers: {error}") from error


def _said(problem: Mapping[str, Any]) -> str:
    """A problem (RFC 9457) in one line: the mistakes that it names, else its detail."""
    wrong = "; ".join(f"{_place(one['pointer'])}: {one['detail']}" for one in problem.get("errors", []))
    return wrong or str(problem.get("detail", "no answer"))


def _place(pointer: str) -> str:
    return pointer.removeprefix("/body").strip("/").replace("/", ".") or "the request"


def _refused(path: str, status: int, raw: bytes) -> GatewayError:
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        return GatewayError(f"{path}: {status}, and what answers is no gateway; is {PREFIX}GATEWAY_URL right?", status)
    hint = (
        f"; {PREFIX}GATEWAY_TOKEN holds it, or the file that {PREFIX}GATEWAY_TOKEN_FILE names" if status == 401 else ""
    )
    return GatewayError(f"{_said(problem)}{hint} (request {problem.get('request_id', 'unknown')})", status)


def asked_of(customer: Mapping[str, Any] | str, **contact: Any) -> dict[str, Any]:
    """The body of a request. A customer given as text is a mail address; `datetime` and `date` become text, None is left out."""
    who = {"email": customer} if isinstance(customer, str) else dict(customer)
    values = {name: value for name, value in contact.items() if value is not None}
    for name, value in values.items():
        if hasattr(value, "isoformat"):
            values[name] = value.isoformat()
    return {"customer": who, **values}
