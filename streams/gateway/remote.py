"""The gateway from afar: what the SDK and `touchstream check` use. Answers are those of /openapi.json, as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import aiohttp
import msgspec
from msgspec import Struct, field

from streams.settings import PREFIX, Settings

T = TypeVar("T")
TIMEOUT = 30.0


class GatewayError(Exception):
    """The gateway could not be asked, or refused to answer; the text says why and what to do. `status` is 0 when it was not reached."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Proof(Struct, frozen=True):
    """A touch, reservation, plan or record that a violation rests on. `planned`: it is a tool's plan, and was not made yet."""

    id: str
    at: str
    channel: str
    department: str
    planned: bool = False


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
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        try:
            async with self._session.request(method, self._url + path, json=body) as answer:
                raw, status = await answer.read(), answer.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise GatewayError(
                f"the gateway at {self._url} cannot be asked: {error or type(error).__name__}; `touchstream gateway` starts one,"
                f" {PREFIX}GATEWAY_URL says where it is"
            ) from error
        if status >= 400:
            raise _refused(path, status, raw)
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            raise GatewayError(
                f"{self._url}{path} answered what no gateway of this release answers: {error}", status
            ) from error


def _refused(path: str, status: int, raw: bytes) -> GatewayError:
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        return GatewayError(f"{path}: {status}, and what answers is no gateway; is {PREFIX}GATEWAY_URL right?", status)
    wrong = "; ".join(f"{one['pointer']}: {one['detail']}" for one in problem.get("errors", []))
    text = f"{problem.get('detail', status)}{': ' + wrong if wrong else ''} (request {problem.get('request_id', 'unknown')})"
    return GatewayError(text, status)


def asked_of(customer: Mapping[str, Any] | str, **contact: Any) -> dict[str, Any]:
    """The body of a request. A customer given as text is a mail address; `datetime` and `date` become text, None is left out."""
    who = {"email": customer} if isinstance(customer, str) else dict(customer)
    values = {name: value for name, value in contact.items() if value is not None}
    for name, value in values.items():
        if hasattr(value, "isoformat"):
            values[name] = value.isoformat()
    return {"customer": who, **values}
