"""The view in Redis against a real server: what changes is copied, what is lost is mended, what is gone does not stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry

from streams.edge import view as view_module
from streams.edge.metrics import Metrics
from streams.edge.store import Store
from streams.edge.view import View
from streams.settings import Settings
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.stack
Test = Callable[[View, Store, redis.Redis], Coroutine[Any, Any, None]]


def store_of(**values: bytes) -> Store:
    """A store that holds these in partition 0."""
    store = Store.__new__(Store)
    Store.__post_init__(store)
    store.write(0, {key.encode(): value for key, value in values.items()})
    return store


def held(client: redis.Redis, settings: Settings) -> dict[bytes, bytes]:
    """What the view holds of partition 0, without its own fields."""
    found: dict[bytes, bytes] = client.hgetall(f"{view_module.prefix(settings)}0")  # type: ignore[assignment]
    return {key: value for key, value in found.items() if not key.startswith(b"#")}


def run(settings: Settings, store: Store, ends: dict[int, int], test: Test) -> Metrics:
    """The test beside a running view."""
    metrics = Metrics(CollectorRegistry())

    async def main() -> None:
        view = View(settings, metrics, store, lambda: ends, lambda: None)
        task = asyncio.create_task(view.run(lambda: False))
        try:
            with redis.Redis.from_url(settings.redis_url) as client:
                await test(view, store, client)
        finally:
            task.cancel()
            await asyncio.wait({task})
            await view.close()
        assert task.cancelled(), task.exception()

    asyncio.run(main())
    return metrics


def filled(metrics: Metrics) -> float:
    """Records that were copied because a partition was copied whole."""
    return metrics.registry.get_sample_value("touchstream_view_writes_total", {"result": "filled"}) or 0.0


async def is_whole(client: redis.Redis, settings: Settings) -> bool:
    """Whether the copy of partition 0 says that nothing is missing."""
    return bool(client.hexists(f"{view_module.prefix(settings)}0", "#whole"))


def test_a_new_partition_is_copied_and_what_nobody_holds_goes(settings: Settings) -> None:
    """The first beat copies the store, changes follow, a deleted key and one that only Redis had are gone."""

    async def test(view: View, store: Store, client: redis.Redis) -> None:
        client.hset(f"{view_module.prefix(settings)}0", "c1-erased", "secret")
        view.beat({0: 0}, {0: 1})
        await wait_until_async(lambda: is_whole(client, settings), 30, "the copy")
        assert held(client, settings) == {b"c1-a": b"one", b"c1-b": b"two"}
        store.write(0, {b"c1-a": b"three", b"c1-b": None})
        await view.take(0, {b"c1-a": b"three", b"c1-b": None})

        async def changed() -> bool:
            return held(client, settings) == {b"c1-a": b"three"}

        await wait_until_async(changed, 30, "the change")

    run(settings, store_of(**{"c1-a": b"one", "c1-b": b"two"}), {0: 7}, test)


def test_a_flushed_redis_is_copied_again(settings: Settings) -> None:
    """After a flush the next beat finds the copy gone, and all of the store is copied, not only what changes."""

    async def test(view: View, store: Store, client: redis.Redis) -> None:
        view.beat({0: 0}, {0: 1})
        await wait_until_async(lambda: is_whole(client, settings), 30, "the copy")
        client.flushdb()
        store.write(0, {b"c1-b": b"two"})
        await view.take(0, {b"c1-b": b"two"})

        async def mended() -> bool:
            view.beat({0: 0}, {0: 1})
            return await is_whole(client, settings)

        await wait_until_async(mended, 30, "the copy after the flush")
        assert held(client, settings) == {b"c1-a": b"one", b"c1-b": b"two"}

    run(settings, store_of(**{"c1-a": b"one"}), {0: 7}, test)


def test_a_copy_that_goes_as_far_as_the_changelog_is_not_made_again(settings: Settings) -> None:
    """A worker that takes a partition over copies nothing when the copy ends where the changelog does, and all when it does not."""

    async def test(view: View, store: Store, client: redis.Redis) -> None:
        view.beat({0: 0}, {0: 1})
        await wait_until_async(lambda: is_whole(client, settings), 30, "the copy")

        async def told() -> bool:
            return bool(client.hexists(f"{view_module.prefix(settings)}beats", "0"))

        await wait_until_async(told, 30, "the beat")

    values = {"c1-a": b"one"}
    assert filled(run(settings, store_of(**values), {0: 7}, test)) == 1
    assert filled(run(settings, store_of(**values), {0: 7}, test)) == 0

    async def until_copied(view: View, store: Store, client: redis.Redis) -> None:
        async def copied() -> bool:
            return client.hget(f"{view_module.prefix(settings)}0", "#at") == b"8"

        view.beat({0: 0}, {0: 1})
        await wait_until_async(copied, 30, "the copy")

    assert filled(run(settings, store_of(**values), {0: 8}, until_copied)) == 1


def test_an_absent_redis_costs_no_change(settings: Settings) -> None:
    """What changed while Redis was away is there when it is back."""

    async def test(view: View, store: Store, client: redis.Redis) -> None:
        view.beat({0: 0}, {0: 1})
        await wait_until_async(lambda: is_whole(client, settings), 30, "the copy")
        pool: Any = view._redis.connection_pool
        right = pool.connection_kwargs["port"]

        async def move(port: int) -> None:
            pool.connection_kwargs["port"] = port
            for connection in pool._available_connections:
                connection.port = port
            await pool.disconnect()

        await move(1)
        store.write(0, {b"c1-b": b"two"})
        await view.take(0, {b"c1-b": b"two"})
        failed = view._metrics.view_writes.labels("failed")._value

        async def failed_once() -> bool:
            return bool(failed.get())

        await wait_until_async(failed_once, 30, "a failed write")
        await move(right)

        async def mended() -> bool:
            return held(client, settings) == {b"c1-a": b"one", b"c1-b": b"two"}

        await wait_until_async(mended, 30, "the change")

    run(settings, store_of(**{"c1-a": b"one"}), {0: 7}, test)
