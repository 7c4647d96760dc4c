"""`python -m tests.benchmarks.growth`: what one touch more costs as a timeline grows from 10 to 1,000 touches. Core only.

As the worker does it: timeline bytes -> Timeline, advance, Timeline -> bytes. The touch comes at the end, or `late`: an hour before the
newest. Linear growth is the decoding and encoding of the whole value; more than linear is a fault.
"""

from __future__ import annotations

import itertools
import statistics
import time

import click
from msgspec.structs import replace

from streams.core import pipeline
from streams.core.customer import on_touch
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, decode, encode
from streams.core.touch import IdentifiedTouch
from tests.support import histories

LENGTHS = (10, 30, 100, 300, 1000)
SAMPLES = 200


def policy() -> Policy:
    """The defaults, but nothing is pruned below 2,000 touches and 400 days."""
    default = Policy()
    return replace(default, timeline=replace(default.timeline, max_touches=2000, retention_days=400))


def one_customer(count: int) -> list[IdentifiedTouch]:
    """Distinct touches of one customer in order of event time, four a day, so that the rules' windows hold what they hold in life."""
    made = {touch.touch_id: touch for touch in histories.stream(3, 1, count * 2)}.values()
    touches = sorted(itertools.islice(made, count), key=lambda touch: touch.touch_id)
    spaced = [replace(touch, occurred_at=histories.START + n * 6 * histories.HOUR) for n, touch in enumerate(touches)]
    return [pipeline.identify(touch, "c2-one", touch.occurred_at) for touch in spaced]


def cost(before: bytes, touches: list[IdentifiedTouch], rules: Policy) -> dict[str, float]:
    """Median microseconds of each step of one touch."""
    spent: dict[str, list[float]] = {"decode": [], "advance": [], "encode": []}
    for touch in touches:
        began = time.perf_counter()
        timeline = decode(before)
        decoded = time.perf_counter()
        after = on_touch(timeline, touch, rules).timeline
        advanced = time.perf_counter()
        encode(after)
        spent["encode"].append(time.perf_counter() - advanced)
        spent["advance"].append(advanced - decoded)
        spent["decode"].append(decoded - began)
    return {step: statistics.median(times) * 1e6 for step, times in spent.items()}


def measure(lengths: tuple[int, ...] = LENGTHS, samples: int = SAMPLES) -> list[dict[str, float]]:
    """A row a length: touches, bytes of the timeline, microseconds by step in order and late."""
    rules, rows = policy(), []
    history = one_customer(max(lengths) + samples)
    timeline: Timeline = EMPTY
    for n, touch in enumerate(history[: max(lengths)], 1):
        timeline = on_touch(timeline, touch, rules).timeline
        if n in lengths:
            last = timeline.entries[-1].at
            more = [_at(item, last + histories.HOUR) for item in history[n : n + samples]]
            late = [_at(item, last - histories.HOUR) for item in history[n : n + samples]]
            value = encode(timeline)
            row: dict[str, float] = {"touches": len(timeline.entries), "bytes": len(value)}
            row |= {f"{step}_us": us for step, us in cost(value, more, rules).items()}
            row |= {f"late_{step}_us": us for step, us in cost(value, late, rules).items()}
            rows.append(row)
    return rows


def _at(identified: IdentifiedTouch, moment: int) -> IdentifiedTouch:
    return replace(identified, touch=replace(identified.touch, occurred_at=moment))


@click.command()
def main() -> None:
    """Print the table."""
    click.echo(
        f"{'touches':>8}{'bytes':>9}{'decode':>9}{'advance':>9}{'encode':>9}{'late advance':>14}   (median us of one touch)"
    )
    for row in measure():
        click.echo(
            f"{row['touches']:>8}{row['bytes']:>9}{row['decode_us']:>9.1f}{row['advance_us']:>9.1f}{row['encode_us']:>9.1f}"
            f"{row['late_advance_us']:>14.1f}"
        )


if __name__ == "__main__":
    main()
