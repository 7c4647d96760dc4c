"""What a fault is, and the list of all. Each kind is a small class in the module of what it hurts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from tests.faults.site import Site

RESTARTED = r"exit code (70|1)"
"""A worker in doubt (70), or one that could not start yet (1): the supervisor tries again."""

KILLED = r"signal 9 \(SIGKILL\)"


class Fault(ABC):
    """One fault. `inject` hurts and lasts as long as the fault does; `heal` mends, and everything must go on.

    `ends` is a pattern of how workers may end, or None when none may; with `must_end` at least one has to.
    `notes` are facts for the table, measured on the way.
    """

    name: str
    ends: ClassVar[str | None] = None
    must_end: ClassVar[bool] = False

    def __init__(self) -> None:
        self.notes: list[str] = []

    @abstractmethod
    def inject(self, site: Site) -> None:
        """Hurt the site."""

    def heal(self, site: Site) -> None:  # noqa: B027 - many faults heal by themselves
        """Mend it. Nothing for what the supervisor mends."""

    def confirm(self, site: Site) -> None:  # noqa: B027
        """More that must be true once all has recovered; AssertionError if not."""


def every() -> dict[str, Fault]:
    """A new instance of each fault, by name."""
    from tests.faults import broker_faults, host_faults, process_faults, redis_faults, write_faults

    modules = (process_faults, broker_faults, write_faults, redis_faults, host_faults)
    return {fault.name: fault for module in modules for fault in module.faults()}
