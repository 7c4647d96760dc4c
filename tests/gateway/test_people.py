"""Who somebody is, as the gateway reads it from the identity index."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as redis

from streams.core.policy import Policy
from streams.edge import reservations, view
from streams.edge.lane import partition_of
from streams.gateway.people import People
from streams.settings import Settings
from tests.support.identities import workers

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

A, B, C = "c1-a", "c2-b", "c3-c"


def test_a_link_that_was_cut_is_none(settings: Settings) -> None:
    """Two identifiers whose link a person cut are two customers for a check, too, as they are for a touch; before that
    they count together, and afterwards what was merged into each still does."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            await worker.touch((C,), (B, C), (A, B))
            people = People(settings, Policy(), worker.index._redis)
            first = await people.see([(A, B)])
            (before,) = first.people
            assert first.synced and before.customers == (A,)
            assert B in before.persons
            await worker.cut(A, B)
            both, other = (await people.see([(A, B), (B,)])).people
            assert (both.customers, other.customers) == ((A,), (B,))
            assert both.persons_apart(other.persons)
            assert (await worker.resolve((A, B)))[0].customer_id == A
            assert C in other.persons

    asyncio.run(run())


def test_an_identifier_that_never_was_a_customer_is_one_of_the_persons(settings: Settings) -> None:
    """What is kept under a number before any touch has it is found by the address that a touch links it to, also over two links."""

    async def run() -> None:
        async with workers(settings) as ((worker,), _):
            ids = first, second, third = "c1-d", "c2-e", "c3-f"
            await worker.touch((second, third), (first, second))
            people = People(settings, Policy(), worker.index._redis)
            found = (await people.see([(one,) for one in ids])).people
            assert [(set(one.persons), one.customers) for one in found] == [(set(ids), (first,))] * 3

    asyncio.run(run())


def test_one_trip_brings_what_stands_under_all_ids(settings: Settings) -> None:
    """Timelines are found in the partitions into which workers put them, whatever the length of an id; with them come what is held for
    each person and for the company, whether the partition's copy is whole, and the beats when they are asked for."""
    customers = [f"c2-{'9af3' * 6}"[: 24 + n] for n in range(4)] + [f"c4-0{n:x}" for n in range(60)]
    place, hold = view.prefix(settings), reservations.key_prefix(settings)

    async def run() -> None:
        async with redis.Redis.from_url(settings.redis_url) as client:
            pipe = client.pipeline()
            for id_ in customers:
                pipe.hset(f"{place}{partition_of(id_.encode(), settings.partitions)}", id_, f"timeline of {id_}")
            pipe.hset(f"{place}0", "#whole", "1")
            pipe.hset(f"{place}beats", "0", "a beat")
            pipe.hset(f"{hold}on:{customers[0]}", "#v", "word")
            pipe.hset(f"{hold}on:k1-acme", "r1", b"\x00a record\xff")
            pipe.set(f"{hold}ready", "this run")
            await pipe.execute()
            people = People(settings, Policy(), client)
            seen = await people.see([(id_,) for id_ in customers], ["k1-acme", *[None] * (len(customers) - 1)], True)
            assert [one.customers for one in seen.people] == [(id_,) for id_ in customers]
            assert {id_: value for id_, (_, value) in seen.timelines.items()} == {
                id_: f"timeline of {id_}".encode() for id_ in customers
            }
            whole = {id_ for id_, (is_whole, _) in seen.timelines.items() if is_whole}
            assert whole == {id_ for id_ in customers if partition_of(id_.encode(), settings.partitions) == 0}
            held = {customers[0]: {b"#v": b"word"}, "k1-acme": {b"r1": b"\x00a record\xff"}}
            assert {id_: fields for id_, fields in seen.held.items() if fields} == held
            assert (seen.ready, seen.beats) == (b"this run", {b"0": b"a beat"})
            nobody = await people.see([("c2-unknown",)])
            assert nobody.timelines == {"c2-unknown": (nobody.timelines["c2-unknown"][0], None)}
            assert (nobody.held.keys(), nobody.beats) == ({"c2-unknown"}, None)

    asyncio.run(run())
