"""The long form: `python -m tests.faults --minutes 10 [--seed 1] [--only NAME]... [--table FILE]`."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from pathlib import Path

import click

from tests.faults import site as sites
from tests.faults.host_faults import LIBFAKETIME
from tests.faults.kinds import every
from tests.faults.soak import soak, table


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True, help="How long faults are begun.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the touches and of the order of faults.")
@click.option("--only", multiple=True, metavar="NAME", help="These faults only (a part of the name is enough).")
@click.option("--rate", type=float, default=120.0, show_default=True, help="Touches a second.")
@click.option("--table", "path", type=click.Path(dir_okay=False, path_type=Path), help="Where the table goes, too.")
@click.option("--keep", is_flag=True, help="Keep the logs and data of servers and workers.")
def main(minutes: float, seed: int, only: tuple[str, ...], rate: float, path: Path | None, keep: bool) -> None:
    """Hurt workers, broker and Redis for so many minutes, and check that nothing is lost or doubled; exits 1 if it is."""
    faults = {name: fault for name, fault in every().items() if not only or any(part in name for part in only)}
    if not faults:
        raise click.UsageError(f"no fault is named so; there are: {', '.join(every())}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells each try while the broker is away
    directory = Path(tempfile.mkdtemp(prefix="touchstream-soak-"))
    click.echo(f"seed {seed}, {rate:g} touches a second, {sites.WORKERS} workers; files in {directory}")
    if not LIBFAKETIME:
        click.echo("SKIPPED: the clock does not jump (Debian package faketime is missing)")
    began = time.monotonic()
    try:
        with sites.running(directory, seed) as site:
            rows = soak(site, faults, minutes * 60, seed, rate, click.echo)
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    text = table(rows)
    click.echo(f"\n{text}\n\n{time.monotonic() - began:.0f} s in all")
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")
    problems = [f"{row.fault}: {problem}" for row in rows for problem in row.problems]
    if problems:
        raise click.ClickException("\n  ".join(("not as it must be:", *problems)))


if __name__ == "__main__":
    main()
