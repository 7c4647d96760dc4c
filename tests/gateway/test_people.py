"""Who somebody is, as the gateway reads it from the identity index."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.policy import Policy
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
            complete, (before,) = await people.find([(A, B)])
            assert complete and before.customers == (A,)
            assert B in before.persons
            await worker.cut(A, B)
            _, (both, other) = await people.find([(A, B), (B,)])
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
            _, found = await people.find([(one,) for one in ids])
            assert [(set(one.persons), one.customers) for one in found] == [(set(ids), (first,))] * 3

    asyncio.run(run())
