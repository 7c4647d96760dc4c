"""A policy that is published in mid-stream: each partition switches at its marker, whoever has it, and whoever is killed then."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.core.outcome import Finding
from streams.core.touch import Customer, Touch
from streams.edge.codec import Codec
from streams.edge.topics import CONFLICTS, IDENTIFIED
from streams.settings import Settings
from tests.support.drained import wait_drained
from tests.support.lanes import contents
from tests.support.publishing import publish
from tests.support.scraped import scrape
from tests.support.waiting import SLOWER, wait_until
from tests.support.worker import Worker, environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

T0, MINUTE = 1_772_409_600_000, 60_000
CUSTOMERS = 300
BASE = "[touch]\nlate_after_days = 9000\n[double_contact]\nseverity = '{}'\n"


def pair(n: int) -> list[Touch]:
    """A mail of marketing and a call of sales to one customer within the hour: one double contact."""
    who = Customer(email=f"c{n}@example.com")
    return [
        Touch(f"mail-{n}", "email", "marketing", "outbound", "sent", T0 + n, who),
        Touch(f"call-{n}", "calls", "sales", "outbound", "answered", T0 + n + MINUTE, who),
    ]


def run(settings: Settings, *arguments: str) -> str:
    """What `touchstream` prints; it must end with 0."""
    result = CliRunner(env=environment(settings)).invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def told(settings: Settings) -> tuple[dict[str, tuple[int, int]], dict[tuple[int, str], int]]:
    """The first place (partition, offset) of each touch among the identified ones, and the first offset of each policy's marker by
    partition and fingerprint."""
    codec, touches, markers = Codec(), dict[str, tuple[int, int]](), dict[tuple[int, str], int]()
    for record in asyncio.run(contents(settings, settings.topic(IDENTIFIED))):
        if not codec.is_command(record.value):
            touch = codec.decode_identified(record.value).touch
            touches.setdefault(touch.touch_id, (record.partition, record.offset))
        elif (command := codec.decode_command(record.value)).kind == "policy_changed":
            markers.setdefault((record.partition, command.cause), record.offset)
    return touches, markers


def found(settings: Settings) -> list[Finding]:
    """All double contacts ever published."""
    codec = Codec()
    findings = [
        codec.decode_finding(record.value) for record in asyncio.run(contents(settings, settings.topic(CONFLICTS)))
    ]
    return [finding for finding in findings if finding.rule == "double_contact"]


def test_every_partition_switches_at_its_marker(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Under load, with a worker killed as it switches: each finding is decided by the policy on whose side of the marker its touch
    stands, none is missing, and whoever takes the partitions over, or starts later, goes on with the published policy."""
    settings = make_settings(session_timeout=6.0, commit_interval=0.3, max_batch_records=25)
    low, medium = tmp_path / "low.toml", tmp_path / "medium.toml"
    low.write_text(BASE.format("low"), encoding="utf-8")
    medium.write_text(BASE.format("medium"), encoding="utf-8")
    pairs = [pair(n) for n in range(CUSTOMERS)]
    switched, ended = threading.Event(), threading.Event()

    def load() -> None:
        for n in range(0, CUSTOMERS, 5):
            publish(settings, [touch for one in pairs[n : n + 5] for touch in one])
            if n == CUSTOMERS // 3:
                run(settings, "policy", "publish", str(low), "--yes", "--by", "p.ito", "--no-wait")
            if n == 2 * CUSTOMERS // 3:
                switched.wait(120 * SLOWER)
        ended.set()

    with Worker(settings) as first, Worker(settings) as second:
        thread = threading.Thread(target=load, daemon=True)
        thread.start()

        def killed() -> bool:
            for worker in (first, second):
                if any("from here on" in line for line in worker.log):
                    worker.stop(signal.SIGKILL)
                    return True
            return False

        wait_until(killed, 120, "a worker to come to a marker, and be killed")
        switched.set()
        assert ended.wait(120 * SLOWER)
        with Worker(settings) as third:
            wait_until(lambda: len({one.customer for one in found(settings)}) == CUSTOMERS, 120, "all double contacts")
            places, markers = told(settings)
            (fingerprint,) = {name for _, name in markers}
            assert len(markers) == settings.partitions
            for finding in found(settings):
                partition, offset = max(places[touch_id] for touch_id in finding.touch_ids)
                side = "high" if offset < markers[partition, fingerprint] else "low"
                assert finding.severity == side, (finding.touch_ids, partition, offset)
            assert {one.severity for one in found(settings)} == {"high", "low"}

            assert "nothing to publish" in run(settings, "policy", "publish", str(low), "--yes")
            output = run(settings, "policy", "publish", str(medium), "--yes", "--by", "a.chen")
            assert 'double_contact.severity: "low" -> "medium"' in output and "in force: policy shipped@" in output
            wait_drained(settings)
            wait_until(lambda: "marker" not in run(settings, "policy", "show"), 60, "all partitions to have switched")
            publish(settings, pair(CUSTOMERS))
            wait_until(lambda: len({one.customer for one in found(settings)}) > CUSTOMERS, 60, "one more")
            assert third.stop() == 0

    with Worker(settings) as later:  # its file has never said "medium"
        publish(settings, pair(CUSTOMERS + 1))
        wait_until(lambda: len({one.customer for one in found(settings)}) > CUSTOMERS + 1, 60, "one more")
        last = {f"call-{n}" for n in (CUSTOMERS, CUSTOMERS + 1)}
        assert [one.severity for one in found(settings) if not last.isdisjoint(one.touch_ids)] == ["medium", "medium"]
        history = run(settings, "policy", "history").splitlines()
        assert ["by p.ito" in line for line in history] == [True, False] and fingerprint in history[0]
        assert run(settings, "policy", "show", "--text") == medium.read_text(encoding="utf-8")
        name = history[1].partition("@")[2][:12]
        wait_until(
            lambda: (
                scrape(later.metrics_address).series("touchstream_policy_partitions")
                == [({"policy": name}, settings.partitions)]
            ),
            30,
            "the metric to name the policy in force in all partitions",
        )
