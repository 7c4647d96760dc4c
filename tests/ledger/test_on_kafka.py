"""The ledger on real Kafka and Redis, behind a real worker: the report, and the figures that are kept up to date, through kill -9."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from msgspec.structs import replace

from streams import Client
from streams.cli import main
from streams.core import touch_json
from streams.core.ledger import books
from streams.core.ledger.result import Figure, decode
from streams.core.policy import Policy
from streams.edge import ledger_reading, ledger_view
from streams.edge.crash_points import EXIT_CODE, LEDGER_POINTS
from streams.edge.topics import IDENTIFIED
from streams.settings import Settings
from tests.ledger import made_up
from tests.ledger.processes import Process, doubled, figures, identified, published, running, served, wanted
from tests.support.drained import wait_drained
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker, environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

CUSTOMERS = 60


def report_of(*options: str | Path) -> tuple[Figure, ...]:
    """The figures of `touchstream report` with these options; the last one names its JSON."""
    result = CliRunner().invoke(main, ["report", "--period", "2026-Q2", *map(str, options)])
    assert result.exit_code == 0, result.output
    return decode(Path(options[-1]).read_bytes()).figures


def test_the_ledger_on_kafka(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a worker, `report --from-kafka` has the figures of the files' report. The process that keeps them up to date ends at each
    of its crash points while deals, costs and touches come: in the end its topic and Redis have just those figures, none twice. Read
    in slices, by one process or two, with what the ledger has read or without it, the topics say the same. A restart changes nothing; a
    late touch and a merge revise earlier periods, and say so."""
    settings = make_settings(session_timeout=6.0)
    touches = [replace(one, customer=replace(one.customer, name=None)) for one in made_up.touches(3, CUSTOMERS, 500)]
    deals = [one | {"customer": {"email": one["customer"]["email"]}} for one in made_up.deals(3, CUSTOMERS * 8)]
    deals = [one | {"customer": {"email": f"person{n % CUSTOMERS}@example.com"}} for n, one in enumerate(deals)]
    costs = list(made_up.costs())
    with Worker(settings), Client.sync(settings=settings) as client:
        identified(settings, touches[:300])
        for part, point in enumerate(LEDGER_POINTS):
            if part == 2:
                publish(settings, touches[300:])
            for one in deals[part::4]:
                client.deal(one)
            for one in costs[part::4]:
                client.cost(one)
            process = Process(settings, f"{point}:1")
            assert process.ended() == EXIT_CODE, "".join(process.log)
            process.end()
        identified(settings, touches)
        wait_drained(settings)
        with running(settings) as process:
            expected = wanted(settings)
            assert len(expected) > 200
            wait_until(lambda: figures(published(settings)) == expected, 90, "the topic to have the report's figures")
            with redis.Redis.from_url(settings.redis_url, decode_responses=True) as client_of_view:
                periods = {place[0] for place in expected}

                def viewed() -> dict[tuple[str, ...], str]:
                    return {
                        (period, *field.split("|")): value
                        for period in periods
                        for field, value in client_of_view.hgetall(ledger_view.name(settings, period)).items()
                        if float(value)
                    }

                wait_until(lambda: viewed() == expected, 30, "Redis to have them")
            assert doubled(settings) == []
            shown = 'touchstream_ledger_roi_ratio{currency="EUR",department="marketing",period="2026-Q2"}'
            wait_until(lambda: shown in served(process), 60, "the return on investment to be served")
            assert "process_start_time_seconds" in served(process)
        monkeypatch.setattr(ledger_reading, "SLICE", 40)
        monkeypatch.setattr(ledger_reading, "AT_ONCE", 3)
        alone = asyncio.run(ledger_reading.read_all(settings, Policy(), [], again=True))
        for processes in (1, 2):
            shared = asyncio.run(ledger_reading.read_all(settings, Policy(), [], processes))
            assert books.resolve(shared) == books.resolve(alone) and len(alone.touches) > 400
        unread = asyncio.run(ledger_reading._to_read(settings, False))
        assert [len(one) for one in unread if one.topic == settings.topic(IDENTIFIED)] == [3] * settings.partitions
        before = sorted((one.place, one.revision) for one in published(settings))
        with running(settings) as process:
            wait_until(lambda: any("0 figures changed" in line for line in process.log), 90, "a restart to reckon")
            assert sorted((one.place, one.revision) for one in published(settings)) == before
            (won, *_) = [one for one in deals if one["stage"] == "won" and one["amount"]["currency"] == "EUR"]
            at = round(dt.datetime.fromisoformat(won["closed_at"]).timestamp() * 1000) - 86_400_000
            late = replace(touches[0], touch_id="late", customer=replace(touches[0].customer, email=won["customer"]["email"]),
                           occurred_at=at, kind="clicked", channel="email", direction="inbound", actor=None)  # fmt: skip
            identified(settings, [late])
            expected = wanted(settings)
            wait_until(lambda: figures(published(settings)) == expected, 90, "the late touch to be in the topic")
            causes = {
                cause.kind
                for one in published(settings)
                if (one.place, one.revision) not in before
                for cause in one.causes
            }
            assert causes & {"late_touch", "customers_merged"}, causes
    (tmp_path / "t.jsonl").write_bytes(b"".join(touch_json.to_json(one) + b"\n" for one in [*touches, late]))
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, deals)), encoding="utf-8")
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, costs)), encoding="utf-8")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "f.jsonl").write_text(
        CliRunner().invoke(main, ["tail", "conflicts", "--json", "--no-follow"]).stdout, encoding="utf-8"
    )
    files = ["--conflicts", tmp_path / "f.jsonl"]
    files += [part for name in ("touches", "deals", "costs") for part in (f"--{name}", tmp_path / f"{name[0]}.jsonl")]
    assert report_of(*files, "--json", tmp_path / "f.json") == report_of("--from-kafka", "--json", tmp_path / "k.json")
