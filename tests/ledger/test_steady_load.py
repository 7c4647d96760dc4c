"""`touchstream ledger` while records keep coming, and when what it has published is corrected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from streams import Client
from streams.settings import Settings
from tests.core.ledger.test_records import COST, DEAL
from tests.ledger.processes import figures, published, running, wanted
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@contextmanager
def fifty_a_second(settings: Settings) -> Iterator[list[int]]:
    """Costs of one euro each, some fifty a second, until the block ends; the list counts them."""
    sent, stop = [0], threading.Event()

    def send() -> None:
        with Client.sync(settings=settings) as client:
            while not stop.wait(0.02):
                sent[0] += 1
                client.cost(COST | {"cost_id": f"c{sent[0]}", "amount": {"amount": 1, "currency": "EUR"}})

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def test_figures_are_published_while_records_come(make_settings: Callable[..., Settings]) -> None:
    """With a record every 20 ms and never half a second without one, spend is published, and again with what came since; once
    nothing comes any more it is the sum of all."""
    settings = make_settings(session_timeout=6.0)
    place = ("2026-Q3", "EUR", "spend", "all", "all")

    def spend() -> float:
        return float(figures(published(settings)).get(place, 0))

    with running(settings):
        with fifty_a_second(settings) as sent:
            wait_until(lambda: spend() > 0, 60, "spend to be published under load")
            first = spend()
            wait_until(lambda: spend() > first, 60, "it to be published again under load")
            assert sent[0] > first
        wait_until(lambda: spend() == sent[0], 60, "the sum of all")


def test_a_correction_leaves_nothing_behind(make_settings: Callable[..., Settings]) -> None:
    """A deal and a cost that were entered with a day in years to come and are corrected stand in one quarter only, whether the process
    works when the correction comes, or starts behind it."""
    settings = make_settings(session_timeout=6.0)
    revenue, spend = (("EUR", measure, "all", "all") for measure in ("revenue", "spend"))

    def right() -> bool:
        return figures(published(settings)) == wanted(settings)

    with Client.sync(settings=settings) as client:
        with running(settings):
            client.deal(DEAL | {"closed_at": "2036-08-25T12:00:00Z"})
            client.cost(COST | {"last_day": "2027-06-30"})
            both = {("2036-Q3", *revenue), ("2027-Q2", *spend)}
            wait_until(lambda: both <= figures(published(settings)).keys(), 60, "the mistakes to be published")
            client.deal(DEAL | {"version": 3})
            wait_until(right, 60, "the corrected deal to stand once")
            assert ("2027-Q2", *spend) in figures(published(settings))
        client.cost(COST | {"version": 2})
        with running(settings):
            wait_until(right, 60, "the corrected cost to stand once")
    assert not both & figures(published(settings)).keys()
