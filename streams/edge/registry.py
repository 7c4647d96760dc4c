"""Client of a Confluent-compatible schema registry: registers our schemas, fetches those that records name by id.

Speaks the part of the REST API that all such registries share (Confluent Schema Registry, Apicurio under `/apis/ccompat/v7`, Karapace):
`POST /subjects/<subject>/versions` and `GET /schemas/ids/<id>`. The address comes from the settings only, never from a message.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

TIMEOUT = 10.0
"""Seconds for one exchange, connection included. A registry is asked at start and once for each new id."""

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer. Ours have 10 kB; an answer beyond this is not read to its end."""

ATTEMPTS = 3
"""Tries of one call before it counts as unavailable; the pauses between them are 0.2 s and 0.4 s."""

_ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"
_NOT_FOUND = 404


class RegistryUnavailable(Exception):
    """The registry does not answer, or answers with a server error. Pause and try again; no record is at fault."""


class RegistryRefused(Exception):
    """The registry answers, and says no: wrong password, no permission, an incompatible schema. An operator must look."""


class UnusableSchema(Exception):
    """The registry has no schema of this id, or one that is not plain Avro. The text continues "the schema ..."."""


class Registry:
    """See the module. `url` may hold a user and a password (`https://user:secret@host/path`); they are never shown.

    One per event loop. `close` ends its connections; without a call there are none.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        try:
            address = URL(url)
        except ValueError:
            address = URL()
        if address.scheme not in {"http", "https"} or not address.host:
            # The text does not repeat the address: there may be a password in it.
            raise ValueError("the schema registry's address must be http(s)://[user:password@]host[:port][/path]")
        self._auth = aiohttp.BasicAuth(address.user, address.password or "", "utf-8") if address.user else None
        self._base = address.with_user(None).with_query(None).with_fragment(None)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None
        self._ids: dict[tuple[str, str], int] = {}
        self._texts: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"Registry({str(self._base)!r})"

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections. A later call opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def register(self, subject: str, schema: str) -> int:
        """The id of a schema (JSON text) under a subject; registers it when it is new.

        Raises:
            RegistryUnavailable: no answer.
            RegistryRefused: the schema is not compatible with the subject's older versions, or we may not write.
        """
        known = self._ids.get((subject, schema))
        if known is not None:
            return known
        what = f"registering the schema of {subject}"
        status, answer = await self._ask(
            "POST", f"subjects/{quote(subject, safe='')}/versions", what, {"schema": schema}
        )
        schema_id = answer.get("id")
        if status == _NOT_FOUND or not isinstance(schema_id, int):
            raise RegistryRefused(
                f"{what} at {self._base}: status {status}, no id in the answer; is the address right?"
            )
        self._ids[subject, schema] = schema_id
        return schema_id

    async def fetch(self, schema_id: int) -> str:
        """The schema of an id, as JSON text. Schemas never change under an id, so each is fetched once.

        Raises:
            RegistryUnavailable: no answer.
            UnusableSchema: the registry does not know the id (404), or the schema is not Avro or refers to other schemas.
        """
        known = self._texts.get(schema_id)
        if known is not None:
            return known
        try:
            status, answer = await self._ask("GET", f"schemas/ids/{schema_id}", f"fetching schema id {schema_id}", None)
        except RegistryRefused as error:
            # The record is not at fault when the registry refuses us: the worker must wait, not dead-letter.
            raise RegistryUnavailable(str(error)) from error
        if status == _NOT_FOUND:
            raise UnusableSchema(f"the schema registry at {self._base} does not know this id")
        text = answer.get("schema")
        if answer.get("schemaType", "AVRO") != "AVRO" or not isinstance(text, str):
            raise UnusableSchema(f"the schema is of type {answer.get('schemaType', 'unknown')}, not Avro")
        if answer.get("references"):
            raise UnusableSchema("the schema refers to other schemas, which is not supported")
        self._texts[schema_id] = text
        return text

    async def _ask(self, method: str, path: str, what: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Status and parsed answer; 404 is an answer, other client errors are RegistryRefused."""
        url = URL(f"{str(self._base).rstrip('/')}/{path}", encoded=True)
        for attempt in range(ATTEMPTS):
            try:
                status, text = await self._exchange(method, url, body)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                failure = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                if status == _NOT_FOUND:
                    return status, {}
                if status < 300:
                    return status, self._parsed(text, what)
                said = f"status {status}: {text[:300].decode('utf-8', 'replace')}"
                if status < 500 and status not in {408, 429}:
                    raise RegistryRefused(f"{what} at {self._base}: {said}")
                failure = said
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(0.2 * 2**attempt)
        raise RegistryUnavailable(f"{what} at {self._base}: {failure}")

    async def _exchange(self, method: str, url: URL, body: Any) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, auth=self._auth)
        # A redirect could lead the password anywhere; a registry does not need one.
        async with self._session.request(
            method, url, json=body, headers={"Accept": _ACCEPT}, allow_redirects=False
        ) as response:
            text = await response.content.read(MAX_ANSWER + 1)
            while len(text) <= MAX_ANSWER and not response.content.at_eof():
                text += await response.content.read(MAX_ANSWER + 1 - len(text))
            if len(text) > MAX_ANSWER:
                raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_ANSWER} bytes")
            return response.status, text

    def _parsed(self, text: bytes, what: str) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            # Most likely a proxy's page: nothing is known about the schema, so nothing may be dead-lettered for it.
            raise RegistryUnavailable(f"{what} at {self._base}: the answer is not a JSON object; is the address right?")
        return answer
