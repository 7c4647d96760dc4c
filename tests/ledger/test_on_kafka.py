"""The ledger on real Kafka and Redis, behind a real worker: the report, and the figures that are kept up to date, through kill -9."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from msgspec.structs import replace

from streams import Client
from streams.cli import main
from streams.core import touch_json
from streams.core.ledger import books, facts, totals
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.result import Figure, decode
from streams.core.ledger.totals import Total
from streams.core.policy import Policy
from streams.core.touch import Touch
from streams.edge import ledger_input, ledger_view
from streams.edge.codec import Codec
from streams.edge.reader import Stored, read
from streams.edge.topics import IDENTIFIED, LEDGER
from streams.settings import Settings
from tests.ledger import made_up
from tests.support.publishing import publish
from tests.support.waiting import wait_until
from tests.support.worker import Worker, environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

CODEC = Codec()
CUSTOMERS = 60


def records(settings: Settings, topic: str) -> list[Stored]:
    """All records of a topic."""

    async def everything() -> list[Stored]:
        return [one async for one in read(settings, [settings.topic(topic)], start="beginning", follow=False)]

    return asyncio.run(everything())


def identified(settings: Settings, touches: list[Touch]) -> None:
    """All touches through a worker into touches.identified."""
    publish(settings, touches)
    wanted = {touch.touch_id for touch in touches}

    def arrived() -> bool:
        values = [one.value or b"" for one in records(settings, IDENTIFIED)]
        return wanted <= {CODEC.decode_identified(v).touch.touch_id for v in values if not CODEC.is_command(v)}

    wait_until(arrived, 120, "all touches to be identified")


def figures(published: list[Total]) -> dict[tuple[str, ...], str]:
    """What stands: of each figure the highest revision, without what is nothing."""
    newest: dict[tuple[str, ...], Total] = {}
    for one in published:
        if one.place not in newest or one.revision > newest[one.place].revision:
            newest[one.place] = one
    return {place: one.value for place, one in newest.items() if float(one.value)}


def published(settings: Settings) -> list[Total]:
    """All records of the topic `ledger`, in the order of their offsets within a figure."""
    return [CODEC.decode_total(one.value or b"") for one in records(settings, LEDGER)]


def wanted(settings: Settings) -> dict[tuple[str, ...], str]:
    """What `touchstream report --from-kafka` reckons for every month and quarter."""
    problems: list[str] = []
    resolved = books.resolve(asyncio.run(ledger_input.read_all(settings, Policy(), problems)))
    assert problems == []
    found = {}
    for period in totals.affected(facts.ALWAYS, resolved, 90):
        ledger = compute(resolved, period, LedgerPolicy())
        for figure, value in totals.sums(ledger).items():
            if value:
                found[(period.label, *figure)] = totals._text(value, figure[0])
    return found


class Process:
    """`touchstream ledger` as a child; `log` is what it has printed."""

    def __init__(self, settings: Settings) -> None:
        command = [sys.executable, "-m", "streams", "ledger", "--metrics-port", "0"]
        env = environment(settings)
        self.child = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.log.append(line)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and wait."""
        self.child.send_signal(how)
        code = self.child.wait(60)
        self._reader.join(30)
        assert self.child.stderr is not None
        self.child.stderr.close()
        return code


@contextmanager
def running(settings: Settings) -> Iterator[Process]:
    """The process, ended in good order behind the block."""
    process = Process(settings)
    try:
        yield process
    except BaseException:
        process.end(signal.SIGKILL)
        raise
    code = process.end()
    assert code == 0, "".join(process.log)


def report_of(*options: str | Path) -> tuple[Figure, ...]:
    """The figures of `touchstream report` with these options; the last one names its JSON."""
    result = CliRunner().invoke(main, ["report", "--period", "2026-Q2", *map(str, options)])
    assert result.exit_code == 0, result.output
    return decode(Path(options[-1]).read_bytes()).figures


def served(process: Process) -> str:
    """Its /metrics; nothing while it does not listen yet."""
    address = next((line.split("metrics on ")[1].strip() for line in process.log if "metrics on" in line), None)
    if address is None:
        return ""
    with urllib.request.urlopen(address, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def test_the_ledger_on_kafka(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a worker, `report --from-kafka` has the figures of the files' report. The process that keeps them up to date is killed
    over and over while deals, costs and touches come: in the end its topic and Redis have just those figures. A restart changes nothing;
    a late touch and a merge revise earlier periods, and say so."""
    touches = [replace(one, customer=replace(one.customer, name=None)) for one in made_up.touches(3, CUSTOMERS, 500)]
    deals = [one | {"customer": {"email": one["customer"]["email"]}} for one in made_up.deals(3, CUSTOMERS * 8)]
    deals = [one | {"customer": {"email": f"person{n % CUSTOMERS}@example.com"}} for n, one in enumerate(deals)]
    costs = list(made_up.costs())
    rng = random.Random(8)
    with Worker(settings), Client.sync(settings=settings) as client:
        identified(settings, touches[:300])
        for part in range(4):
            process = Process(settings)
            if part == 2:
                publish(settings, touches[300:])
            for one in deals[part::4]:
                client.deal(one)
            for one in costs[part::4]:
                client.cost(one)
            time.sleep(rng.uniform(1.5, 6.0))
            assert process.end(signal.SIGKILL) == -signal.SIGKILL, "".join(process.log)
        identified(settings, touches)
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
            shown = 'touchstream_ledger_roi_ratio{currency="EUR",department="marketing",period="2026-Q2"}'
            wait_until(lambda: shown in served(process), 60, "the return on investment to be served")
        before = sorted((one.place, one.revision) for one in published(settings))
        with running(settings) as process:
            wait_until(lambda: any("0 figures changed" in line for line in process.log), 90, "a restart to reckon")
            assert sorted((one.place, one.revision) for one in published(settings)) == before
            (won, *_) = [one for one in deals if one["stage"] == "won" and one["amount"]["currency"] == "EUR"]
            at = int(time.mktime(time.strptime(won["closed_at"][:19], "%Y-%m-%dT%H:%M:%S"))) * 1000 - 86_400_000
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
    files = [part for name in ("touches", "deals", "costs") for part in (f"--{name}", tmp_path / f"{name[0]}.jsonl")]
    assert report_of(*files, "--json", tmp_path / "f.json") == report_of("--from-kafka", "--json", tmp_path / "k.json")
