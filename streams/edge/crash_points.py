"""Places at which a worker can be made to end at once, as `kill -9` would end it there. For the fault tests only.

`TOUCHSTREAM_CRASH_AT=after_outputs_acknowledged:3` ends the worker when it passes that place for the third time. Unset, as always
outside of tests, passing one is a call that does nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

POINTS = (
    "after_decode",
    "after_outputs_acknowledged",
    "after_changelog_sent",
    "after_changelog_acknowledged",
    "before_commit",
    "after_commit",
)
"""In the order in which a touch passes them. `after_decode` is in the ingest stage, once a micro-batch; the points of the outputs
and the changelog are in the lane, once a write that has some; those of the commit are around the request that moves the
offsets. "Sent" is handed to the producer: it may be on its way, or not."""

LEDGER_POINTS = ("ledger_in_transaction", "ledger_after_facts", "ledger_before_figures", "ledger_after_figures")
"""The same of `touchstream ledger`: all of a batch's records are with the brokers, but not its offsets; facts and offsets are; figures are
reckoned; figures are with the brokers, but not in Redis."""

EXIT_CODE = 137
"""What a shell reports of a process that SIGKILL ended."""


def _nothing(point: str) -> None:
    """No point is set."""


_reached: Callable[[str], None] = _nothing


def reach(point: str) -> None:
    """The process is at one of `POINTS` or `LEDGER_POINTS`."""
    _reached(point)


def arm(crash_at: str) -> None:
    """Set the point, as "name:pass"; empty sets none. Settings have checked the form."""
    global _reached
    _reached = _crash(crash_at) if crash_at else _nothing


def _crash(crash_at: str) -> Callable[[str], None]:
    wanted, _, passes = crash_at.partition(":")
    left = int(passes)

    def reached(point: str) -> None:
        nonlocal left
        left -= point == wanted
        if left == 0:
            print(f"crash point {crash_at}", file=sys.stderr, flush=True)
            os._exit(EXIT_CODE)

    return reached
