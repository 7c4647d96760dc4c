"""Latency, growth and checks: that they count what they say. (Recovery checks its own count of timelines when it runs.)"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from streams.core.outcome import Cause
from streams.edge.codec import Codec
from tests.benchmarks import checks, growth, latency
from tests.benchmarks.asking import asker
from tests.support.samples import CONFLICT, replace


def test_latency_counts_from_the_cause_and_leaves_out_the_warm_up(tmp_path: Path) -> None:
    """A finding's latency begins when the touch that caused it was first produced; findings of the warm-up do not count."""
    notes = tmp_path / "notes"
    notes.write_text("a 100.0\nb 107.0\nc 111.0\nc 113.0\nd 114.0\n")
    produced, rate, late = latency.noted(notes)
    encode = Codec().encode_finding
    found = [
        (111.25, encode(replace(CONFLICT, touch_ids=("a", "b"), cause=Cause("merge", "c")))),
        (107.5, encode(replace(CONFLICT, touch_ids=("a", "b"), cause=Cause("touch", "b")))),
    ]
    assert latency.latencies(found, produced) == [pytest.approx(0.25)]
    assert rate == pytest.approx(5 / 14)
    assert late == pytest.approx(11 - 2 * 14 / 5)


def test_growth_measures_timelines_of_the_lengths_it_names() -> None:
    """Nothing is pruned on the way, so that each row is about as many touches as it says."""
    rows = growth.measure(lengths=(10, 400), samples=2)
    assert [row["touches"] for row in rows] == [10, 400]
    assert all(row["advance_us"] > 0 and row["late_advance_us"] > 0 for row in rows)


def test_checks_take_a_quantile_from_what_the_gateway_counted_meanwhile() -> None:
    """Only what came between the two readings counts, and within a bucket it is spread evenly."""
    before = {0.01: 50.0, 0.02: 60.0, float("inf"): 60.0}
    after = {0.01: 140.0, 0.02: 160.0, float("inf"): 160.0}
    assert checks.quantile(before, after, 0.9) == pytest.approx(0.01)
    assert checks.quantile(before, after, 0.95) == pytest.approx(0.015)
    assert checks.quantile({}, {0.01: 1.0, float("inf"): 100.0}, 0.99) == pytest.approx(0.01)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="Linux without autogroups")
def test_who_steps_back_does_so_with_its_session() -> None:
    """Linux weighs sessions against each other; the process that was named has the weight, and ours has not."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        try:
            checks.step_back([child.pid], 10)
            told = [Path(f"/proc/{pid}/autogroup").read_text().split() for pid in (child.pid, "self")]
            assert told[0][-2:] == ["nice", "10"] and told[1] != told[0]
        finally:
            child.kill()


def test_answers_that_come_in_pieces_are_whole_and_in_their_order() -> None:
    """Who asks gets the body that belongs to the question, also when connections are fewer than questions."""

    answering: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        while head := await reader.read(4096):
            body = head.rpartition(b"\r\n\r\n")[2]
            told = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            for piece in (told[:20], told[20:-1], told[-1:]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
        writer.close()
        await writer.wait_closed()

    async def ask() -> list[bytes]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            async with asker(f"http://127.0.0.1:{port}/v1/checks", 2) as one:
                told = await asyncio.gather(*(one.post(b"question %d" % n) for n in range(5)))
            await asyncio.gather(*filter(None, answering))
        return told

    assert asyncio.run(ask()) == [b"question %d" % n for n in range(5)]
