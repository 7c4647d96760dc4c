"""The broker stopped, killed and paused."""

from __future__ import annotations

import time

from tests.faults.kinds import RESTARTED, Fault
from tests.faults.site import Site


class BrokerStop(Fault):
    """SIGTERM to the broker, and a new start after a while."""

    ends = RESTARTED

    def __init__(self, name: str, kill: bool, seconds: float) -> None:
        super().__init__()
        self.name, self._kill, self._seconds = name, kill, seconds

    def inject(self, site: Site) -> None:
        """Stop it."""
        site.stack.broker.stop(kill=self._kill)
        time.sleep(self._seconds)

    def heal(self, site: Site) -> None:
        """Start it."""
        site.stack.broker.start()


class BrokerPause(Fault):
    """The broker stands still for 30 s: connections stay open, nothing is answered."""

    name = "broker paused 30 s"
    ends = RESTARTED

    def inject(self, site: Site) -> None:
        """Stop it in its tracks."""
        site.stack.broker.pause()
        time.sleep(30)

    def heal(self, site: Site) -> None:
        """Let it go on."""
        site.stack.broker.resume()


def faults() -> list[Fault]:
    """All of this module."""
    return [
        BrokerStop("broker stopped, restarted", kill=False, seconds=3),
        BrokerStop("broker kill -9, restarted", kill=True, seconds=0),
        BrokerStop("broker away 45 s", kill=True, seconds=45),
        BrokerPause(),
    ]
