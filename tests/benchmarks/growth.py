"""`python -m tests.benchmarks.growth`: what one touch more costs as a timeline grows from 10 to 1,000 touches. Core only.

As the worker does it: timeline bytes -> Timeline, advance, Timeline -> changed records of the changelog. The touch comes at the
end; `late`: an hour before the newest; or `old`: in the middle of the timeline, each time at another place. Written are keys and
values. More than linear growth is a fault; so is growth with touches that the new one has nothing to do with.
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
from streams.core.timeline import EMPTY, Timeline, decode, records, segment_key
from streams.core.touch import IdentifiedTouch
from tests.support import histories

LENGTHS = (10, 30, 100, 300, 1000)
SAMPLES = 200
KEY = b"c2-one"


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


def cost(log: dict[bytes, bytes], touches: list[IdentifiedTouch], rules: Policy) -> dict[str, float]:
    """Median microseconds of each step of one touch, and the mean of the bytes it writes."""
    spent: dict[str, list[float]] = {"decode": [], "advance": [], "encode": []}
    written = 0
    for touch in touches:
        began = time.perf_counter()
        before = decode(log[KEY], lambda digest: log.get(segment_key(KEY, digest)))
        decoded = time.perf_counter()
        after = on_touch(before, touch, rules).timeline
        advanced = time.perf_counter()
        changed = records(KEY, before, after)
        spent["encode"].append(time.perf_counter() - advanced)
        spent["advance"].append(advanced - decoded)
        spent["decode"].append(decoded - began)
        written += sum(len(key) + len(value or b"") for key, value in changed.items())
    medians = {f"{step}_us": statistics.median(times) * 1e6 for step, times in spent.items()}
    return medians | {"written": written / len(touches)}


def measure(lengths: tuple[int, ...] = LENGTHS, samples: int = SAMPLES) -> list[dict[str, float]]:
    """A row a length: touches, bytes of all records, cost in order, late and old."""
    rules, rows = policy(), []
    history = one_customer(max(lengths) + samples)
    timeline: Timeline = EMPTY
    for n, touch in enumerate(history[: max(lengths)], 1):
        timeline = on_touch(timeline, touch, rules).timeline
        if n in lengths:
            log = {key: value for key, value in records(KEY, EMPTY, timeline).items() if value is not None}
            first, last = timeline.entries[0].at, timeline.entries[-1].at
            more, middle = history[n : n + samples], (last - first) // 2
            places = {
                "": [last + histories.HOUR] * samples,
                "late_": [last - histories.HOUR] * samples,
                "old_": [first + middle // 2 + k * middle // samples + 1 for k in range(samples)],
            }
            row: dict[str, float] = {"touches": len(timeline.entries), "bytes": sum(map(len, log.values()))}
            for name, moments in places.items():
                measured = cost(log, [_at(item, at) for item, at in zip(more, moments, strict=True)], rules)
                row |= {f"{name}{what}": value for what, value in measured.items()}
            rows.append(row)
    return rows


def _at(identified: IdentifiedTouch, moment: int) -> IdentifiedTouch:
    return replace(identified, touch=replace(identified.touch, occurred_at=moment))


@click.command()
def main() -> None:
    """Print the table."""
    columns = ("decode_us", "advance_us", "encode_us", "written")
    groups = {"": "in order", "late_": "an hour late", "old_": "old"}
    click.echo("median us of one touch, mean bytes it writes")
    click.echo(f"{'':17}" + "".join(f"{name:>40}" for name in groups.values()))
    click.echo(f"{'touches':>8}{'bytes':>9}" + "".join(f"{c.removesuffix('_us'):>10}" for c in columns) * len(groups))
    for row in measure():
        figures = [row[f"{group}{column}"] for group in groups for column in columns]
        click.echo(f"{row['touches']:>8}{row['bytes']:>9}" + "".join(f"{figure:>10.1f}" for figure in figures))


if __name__ == "__main__":
    main()
