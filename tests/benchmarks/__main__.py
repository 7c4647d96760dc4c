"""`python -m tests.benchmarks`: see the package."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from streams.edge.embedded.stack import EmbeddedStack
from tests.benchmarks import cluster, kafka_streams, measure, report
from tests.benchmarks.measure import Result
from tests.benchmarks.plan import JOBS, SIZES, Job, Size

QUICK = ("touchstream", "librdkafka_loop")
SLOW = ("faust_guide",)
"""Half an hour a run at a million; run once there."""

_MODULES = {"quixstreams": "quixstreams", "bytewax": "bytewax", "librdkafka_loop": "confluent_kafka"}


def absent(engine: str) -> str | None:
    """Why an engine cannot run here, or None."""
    if engine.startswith("kafka_streams"):
        return kafka_streams.missing()
    module = _MODULES.get(engine.removesuffix(measure.IN_REDIS))
    if module and importlib.util.find_spec(module) is None:
        return f"{module} is not installed; `make bench` installs it"
    return None


def compare(stack: EmbeddedStack, job: Job, size: Size, engines: Sequence[str], repeats: int) -> list[Result]:
    """Loads the input, warms up, runs every engine `repeats` times, in reverse order each second time.

    Raises:
        measure.Failed: an engine did not finish, or found something else than the first one.
    """
    prefix = f"{job.replace('_', '-')}-{size.name}."
    load = measure.make_run(stack, job, prefix, size.touches)
    asyncio.run(cluster.load(load, size))
    click.echo(f"{job} {size.name}: {size.touches:,} touches loaded", err=True)
    warm = "librdkafka_loop" if "librdkafka_loop" in engines else engines[0]
    reference = measure.measure(stack, job, prefix, size.touches, warm).found
    results: list[Result] = []
    for turn in range(repeats):
        for engine in engines if turn % 2 == 0 else reversed(engines):
            if engine in SLOW and size.touches >= 1_000_000 and turn > 0:
                continue
            result = measure.measure(stack, job, prefix, size.touches, engine)
            if result.found != reference:
                missing, more = len(reference - result.found), len(result.found - reference)
                raise measure.Failed(
                    f"{engine} found other things: {missing} of {len(reference)} are missing, {more} are new"
                )
            click.echo(f"  {turn + 1}/{repeats} {engine:<24} {result.rate:>9,.0f}/s {result.seconds:>7.2f} s", err=True)
            results.append(result)
    click.echo(f"  all found the same {len(reference):,} findings", err=True)
    asyncio.run(cluster.recreate(stack.bootstrap, [], remove=prefix))
    return results


@click.command()
@click.option("--size", "sizes", type=click.Choice(["200k", "1m"]), multiple=True, help="Default: both.")
@click.option("--only", "jobs", type=click.Choice(JOBS), multiple=True, help="Default: both jobs.")
@click.option("--engines", help="Names separated by commas. Default: all that do the job.")
@click.option("--repeats", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option(
    "--quick", is_flag=True, help="20k touches, touchstream and the bare loop, once; writes nothing. A smoke test."
)
def main(sizes: tuple[str, ...], jobs: tuple[Job, ...], engines: str | None, repeats: int, quick: bool) -> None:
    """Measure touchstream beside its peers; writes results.json, results.png and results.svg beside this file."""
    chosen = [SIZES["quick"]] if quick else [SIZES[name] for name in sizes or ("200k", "1m")]
    wanted = engines.split(",") if engines else list(QUICK) if quick else None
    if unknown := set(wanted or ()) - set(measure.engines("rule_only") + measure.engines("whole_worker")):
        raise click.BadParameter(
            f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(measure.engines('rule_only'))}"
        )
    with ExitStack() as opened:
        data = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack = opened.enter_context(EmbeddedStack(data, 0, 0, kafka_config={"log.segment.delete.delay.ms": "1000"}))
        for size in chosen:
            for job in jobs or JOBS:
                names = [name for name in measure.engines(job) if wanted is None or name in wanted]
                for name in names:
                    if why := absent(name):
                        click.echo(f"left out: {name}: {why}", err=True)
                names = [name for name in names if not absent(name)]
                try:
                    found = report.medians(compare(stack, job, size, names, 1 if quick else repeats))
                except measure.Failed as error:
                    raise click.ClickException(str(error)) from None
                click.echo("\n" + report.table(job + size.suffix, found) + "\n")
                if not quick:
                    report.plot(report.merge(job + size.suffix, found))


if __name__ == "__main__":
    main()
