"""The registry's client when the registry misbehaves, as a real one cannot be made to: a local server plays it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import BasicAuth, web

import schemas
from streams.edge.codec import Codec, DecodeError
from streams.edge.embedded.ports import free_port
from streams.edge.registry import Registry, RegistryRefused, RegistryUnavailable, UnusableSchema
from tests.support.samples import TOUCH

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANSWER = json.dumps({"schema": schemas.text("touch")})


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on loopback that gives every request to `handler`; its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def fetched(handler: Handler, user: str = "", timeout: float = 30) -> str:
    """What a client gets for id 1 from such a server."""

    async def run() -> str:
        async with serving(handler) as url, Registry(url.replace("//", f"//{user}"), timeout) as registry:
            return await registry.fetch(1)

    return asyncio.run(run())


def answering(status: int, text: str, **more: Any) -> Handler:
    """A handler that always says the same."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, **more)

    return handle


def test_nobody_listening_is_unavailable_and_no_dead_letter() -> None:
    """A registry that is away raises, from learning and preparing; the ids stay to be learned."""

    async def run() -> None:
        async with Registry(f"http://127.0.0.1:{free_port()}") as registry:
            codec = Codec(registry)
            with pytest.raises(RegistryUnavailable, match=r"schema id 1 at http://127\.0\.0\.1"):
                await codec.learn({1})
            assert codec.unknown_ids([b"\x00\x00\x00\x00\x01body"]) == {1}
            with pytest.raises(RegistryUnavailable, match=r"registering the schema of touches\.email-value"):
                await codec.prepare()

    asyncio.run(run())


def test_an_error_that_passes_is_tried_again() -> None:
    """Two server errors before the answer do not reach the caller; the answer is then kept."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=503) if len(asked) < 3 else web.Response(text=ANSWER)

    async def run() -> None:
        async with serving(handle) as url, Registry(url + "/base/") as registry:
            assert await registry.fetch(1) == await registry.fetch(1) == schemas.text("touch")

    asyncio.run(run())
    assert asked == ["/base/schemas/ids/1"] * 3


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (500, "boom", "status 500: boom"),
        (429, "slow down", "status 429"),
        (401, "who are you", "status 401"),
        (302, "", "status 302"),
        (200, "<html>a proxy's page</html>", "not a JSON object"),
        (200, "[" * 100_000, "not a JSON object"),
        (200, "x" * 1_100_000, "longer than"),
    ],
)
def test_answers_that_say_nothing_about_the_schema_are_unavailable(status: int, text: str, words: str) -> None:
    """Server errors, a wrong password, a redirect, a proxy's page and an endless answer: wait, the record is not at fault."""
    elsewhere = {"Location": "http://127.0.0.1:9/"} if status == 302 else {}
    with pytest.raises(RegistryUnavailable) as caught:
        fetched(answering(status, text, headers=elsewhere))
    assert words in str(caught.value)


def test_a_silent_registry_is_given_up() -> None:
    """A registry that takes the connection and never answers is unavailable after the time limit."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    with pytest.raises(RegistryUnavailable, match="Timeout"):
        fetched(handle, timeout=0.2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"schema": "{}", "schemaType": "PROTOBUF"}, "PROTOBUF, not Avro"),
        ({"schema": '"string"', "references": [{"name": "x", "subject": "y", "version": 1}]}, "other schemas"),
        ({"schema": 5}, "not Avro"),
        ({}, "not Avro"),
    ],
)
def test_schemas_that_are_not_plain_avro_are_unusable(answer: dict[str, Any], words: str) -> None:
    """Other schema languages, references and answers without a schema are unusable: the record is a dead letter."""
    with pytest.raises(UnusableSchema, match=words):
        fetched(answering(200, json.dumps(answer)))


@pytest.mark.parametrize("text", ["{", "[" * 50_000, '{"type": "record"}', '"nonsense"', "5"])
def test_a_schema_text_that_is_no_schema_is_an_unknown_schema(text: str) -> None:
    """Whatever the registry holds under an id, decoding ends in a DecodeError."""

    async def run() -> DecodeError:
        async with serving(answering(200, json.dumps({"schema": text}))) as url, Registry(url) as registry:
            codec = Codec(registry)
            await codec.learn({1})
            with pytest.raises(DecodeError) as caught:
                codec.decode_touch(b"\x00\x00\x00\x00\x01body")
            return caught.value

    assert asyncio.run(run()).reason == "unknown_schema"


def test_the_password_is_sent_and_never_shown() -> None:
    """User and password of the address go into the Authorization header, and into no text."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response(status=403, text="no")

    with pytest.raises(RegistryUnavailable) as caught:
        fetched(handle, user="worker:s3cr%40t@")
    assert BasicAuth.decode(seen[0], "utf-8") == BasicAuth("worker", "s3cr@t", "utf-8")
    assert "s3cr" not in str(caught.value)
    assert "s3cr" not in repr(Registry("https://worker:s3cr%40t@registry.example/path"))


@pytest.mark.parametrize(
    "url",
    ["localhost:8081", "ftp://u:s3cret@host", "http://", "/path", "redis://u:s3cret@h:1", "http://u:s3cret@h:port"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """An address of another kind is refused at once, without showing its password."""
    with pytest.raises(ValueError, match=r"must be http\(s\)://") as caught:
        Registry(url)
    assert "s3cret" not in str(caught.value)


def test_a_registry_that_may_not_be_written_is_refused_at_start() -> None:
    """No permission to register is an error for an operator, with the subject, not a reason to wait."""

    async def run() -> None:
        async with serving(answering(403, "read only")) as url, Registry(url) as registry:
            with pytest.raises(RegistryRefused, match=r"touches\.email-value .* status 403: read only"):
                await Codec(registry).prepare()

    asyncio.run(run())


def test_no_registry_is_asked_for_nothing() -> None:
    """Without a registry nothing needs preparing or learning, and Confluent framing names the setting."""
    codec = Codec()
    asyncio.run(codec.prepare())
    asyncio.run(codec.learn({1}))
    assert codec.unknown_ids([b"\x00\x00\x00\x00\x01body"]) == set()
    assert codec.encode_touch(TOUCH)[:2] == b"\xc3\x01"
