"""The machine: a clock that jumps, a disk that takes nothing."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.kinds import KILLED, Fault
from tests.faults.site import Site

LIBFAKETIME = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
"""Debian's package faketime (`apt-get install faketime`)."""


class ClockJump(Fault):
    """The wall clock of a worker jumps an hour ahead, then two hours back, then is right again."""

    name = "clock jumps by an hour"
    ends, must_end = KILLED, True

    def inject(self, site: Site) -> None:
        """Replace a worker by one with a clock that can be set, and set it."""
        self._clock = site.directory / "clock"
        self._clock.write_text("+0")
        site.replace_one(
            env={
                "LD_PRELOAD": str(LIBFAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": str(self._clock), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        )  # fmt: skip
        site.wait_recovered()
        for jump in ("+3600", "-3600"):
            self._clock.write_text(jump)
            time.sleep(4)

    def heal(self, site: Site) -> None:
        """Right again."""
        self._clock.write_text("+0")


class NoDisk(Fault):
    """A worker runs where no file can be made or grow: read-only directories, a full disk for its log."""

    name = "disk full, read-only"
    ends, must_end = KILLED, True

    def inject(self, site: Site) -> None:
        """Replace a worker by one that has no room, and let it work for a while."""
        site.replace_one(no_files=True, directory="/proc", env={"TMPDIR": "/proc", "HOME": "/proc"})
        site.wait_recovered()
        time.sleep(2)


def faults() -> list[Fault]:
    """All of this module that this machine can do."""
    return [*([ClockJump()] if LIBFAKETIME else []), NoDisk()]
