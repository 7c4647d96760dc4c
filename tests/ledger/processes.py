"""`touchstream ledger` as a child process, what it has published, and what it should have."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from streams.core.ledger import books, facts, totals
from streams.core.ledger.figures import compute
from streams.core.ledger.policy import LedgerPolicy
from streams.core.ledger.totals import Total
from streams.core.policy import Policy
from streams.core.touch import Touch
from streams.edge.codec import Codec
from streams.edge.ledger_reading import read_all
from streams.edge.reader import Stored, read
from streams.edge.topics import IDENTIFIED, LEDGER
from streams.settings import Settings
from tests.support.publishing import publish
from tests.support.waiting import SLOWER, wait_until
from tests.support.worker import environment

CODEC = Codec()


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
    """What `touchstream report --from-kafka` reckons for every month and quarter, with all touches read from their source."""
    problems: list[str] = []
    resolved = books.resolve(asyncio.run(read_all(settings, Policy(), problems, again=True)))
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

    def __init__(self, settings: Settings, crash_at: str = "") -> None:
        command = [sys.executable, "-m", "streams", "ledger", "--metrics-port", "0"]
        env = environment(settings, TOUCHSTREAM_CRASH_AT=crash_at)
        self.child = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.log.append(line)

    def says(self, text: str) -> bool:
        """Whether its log has the text."""
        return any(text in line for line in self.log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, and wait."""
        if self.child.poll() is None:
            self.child.send_signal(how)
        code = self.ended()
        assert self.child.stderr is not None
        self.child.stderr.close()
        return code

    def ended(self) -> int:
        """Wait for its end, and for all of its log; the exit code."""
        code = self.child.wait(90 * SLOWER)
        self._reader.join(30 * SLOWER)
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


def served(process: Process) -> str:
    """Its /metrics; nothing while it does not listen yet."""
    address = next((line.split("metrics on ")[1].strip() for line in process.log if "metrics on" in line), None)
    if address is None:
        return ""
    with urllib.request.urlopen(address, timeout=30 * SLOWER) as answer:
        text: str = answer.read().decode()
    return text


def doubled(settings: Settings) -> list[tuple[tuple[str, ...], int]]:
    """Figures that stand in the topic twice under one revision."""
    seen: set[tuple[tuple[str, ...], int]] = set()
    twice = []
    for one in published(settings):
        if (one.place, one.revision) in seen:
            twice.append((one.place, one.revision))
        seen.add((one.place, one.revision))
    return twice
