"""The ledger and the report go by the published policy, as the workers do; the ledger's process comes to a later one by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams import Client
from streams.core.ledger.result import decode
from streams.edge.topics import DEAD_LETTER
from streams.settings import Settings
from tests.ledger.processes import figures, published, records, running
from tests.support.commands import touchstream
from tests.support.publishing import put_policy
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

DEAL = {"deal_id": "d", "customer": {"email": "dana@example.com"}, "stage": "won", "opened_at": "2026-04-02T10:00:00Z",
        "closed_at": "2026-05-02T10:00:00Z", "amount": {"amount": "100.00", "currency": "USD"}}  # fmt: skip
IN_EUR = '[ledger]\ncurrency = "EUR"\nrates = {EUR = 1, USD = %s}\n'


def revenue(settings: Settings) -> set[tuple[str, str]]:
    """What the topic `ledger` has as the quarter's revenue: currency and amount."""
    found = figures(published(settings))
    return {
        (place[1], value) for place, value in found.items() if (place[0], *place[2:4]) == ("2026-Q2", "revenue", "all")
    }


def test_figures_are_of_the_published_policy(settings: Settings, tmp_path: Path) -> None:
    """A deal in dollars is told in dollars by the shipped policy, which is no file's any more once one is published: the running
    process then tells it in euros, by the next publication at another rate, and started again it stays so. The report says the
    same, and that the file it was given says nothing."""
    with Client.sync(settings=settings) as client:
        client.deal(DEAL)
    with running(settings) as process:
        wait_until(lambda: revenue(settings) == {("USD", "100.00")}, 60, "dollars")
        put_policy(settings, IN_EUR % "0.5")
        wait_until(lambda: revenue(settings) == {("EUR", "50.00")}, 60, "euros")
        put_policy(settings, IN_EUR % "0.25")
        wait_until(lambda: revenue(settings) == {("EUR", "25.00")}, 60, "euros at another rate")
        assert process.says("another policy was published")
    before = len(published(settings))
    with running(settings) as process:
        wait_until(lambda: process.says("0 figures changed"), 60, "a restart to reckon")
    assert len(published(settings)) == before
    file, out = tmp_path / "mine.toml", tmp_path / "report.json"
    file.write_text("[ledger]\nlookback_days = 30\n", encoding="utf-8")
    made = touchstream(
        settings, "report", "--period", "2026-Q2", "--from-kafka", "--policy", str(file), "--json", str(out)
    )
    assert made.exit_code == 0, made.stderr
    assert "mine.toml says nothing: policy " in made.stderr
    figures_told = decode(out.read_bytes()).figures
    assert {one.currency for one in figures_told if one.measure == "revenue"} == {"EUR"}


def test_a_deal_without_a_rate_counts_once_there_is_one(settings: Settings, tmp_path: Path) -> None:
    """A deal and a cost in pounds, while the policy has no rate for them, are left out of the figures with a word in the log, and are no
    dead letters; once a policy with the rate is published they count, in the running process as in the report."""
    pounds = {"amount": "80.00", "currency": "GBP"}
    cost = {"cost_id": "c", "department": "sales", "kind": "tool", "first_day": "2026-05-01", "last_day": "2026-05-31"}
    put_policy(settings, IN_EUR % "0.5")
    with running(settings) as process:
        with Client.sync(settings=settings) as client:
            client.deal(DEAL)
            client.deal({**DEAL, "deal_id": "pounds", "amount": pounds})
            client.cost({**cost, "amount": pounds})
        for left in ("deal pounds", "cost c"):
            wait_until(
                lambda left=left: process.says(f"left out of the figures: {left}: no rate from GBP"),
                60,
                f"a word on {left}",
            )
        wait_until(lambda: revenue(settings) == {("EUR", "50.00")}, 60, "the deal in dollars")
        put_policy(settings, IN_EUR.replace("}", ", GBP = 2}") % "0.5")
        wait_until(lambda: revenue(settings) == {("EUR", "210.00")}, 60, "pounds in euros")
    assert records(settings, DEAD_LETTER) == []
    out = tmp_path / "report.json"
    made = touchstream(settings, "report", "--period", "2026-Q2", "--from-kafka", "--json", str(out))
    assert made.exit_code == 0, made.stderr
    told = {(one.measure, one.value) for one in decode(out.read_bytes()).figures}
    assert {("revenue", 21_000), ("spend.tool", 16_000)} <= told
