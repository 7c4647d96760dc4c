"""Workers killed, stopped, paused, added and removed."""

from __future__ import annotations

import signal
import time

import psutil

from streams.edge import crash_points
from tests.faults.books import longest_pause
from tests.faults.kinds import KILLED, RESTARTED, Fault
from tests.faults.site import PATIENCE, Site
from tests.support.waiting import wait_until


class KillWorker(Fault):
    """kill -9 of a worker at random; the group notices after the session timeout, or when it is back."""

    name = "worker kill -9"
    ends, must_end = KILLED, True

    def inject(self, site: Site) -> None:
        """Kill."""
        site.kill(site.victim())


class KillAll(Fault):
    """kill -9 of all workers at once, as when a machine ends."""

    name = "all workers kill -9"
    ends, must_end = KILLED, True

    def inject(self, site: Site) -> None:
        """Kill."""
        for pid in site.pids():
            site.kill(pid)


class Crash(Fault):
    """A worker ends at a named point of its way (`streams.edge.crash_points`), at its third pass."""

    ends, must_end = rf"{KILLED}|exit code {crash_points.EXIT_CODE}", True

    def __init__(self, point: str) -> None:
        super().__init__()
        self.name = f"crash {point}"
        self._point = point

    def inject(self, site: Site) -> None:
        """Kill one, so that the next one starts with the point set, and wait for its end."""
        site.replace_one(env={"TOUCHSTREAM_CRASH_AT": f"{self._point}:3"})
        site.wait_end(f"exit code {crash_points.EXIT_CODE}", f"a worker to end at {self._point}")

    def confirm(self, site: Site) -> None:
        """The log names the point."""
        assert any(f"crash point {self._point}:3" in end.text for end in site.said), site.said


class Zombie(Fault):
    """A worker stands still for twice the session timeout, and then goes on while others own its partitions."""

    name = "worker SIGSTOP, then SIGCONT"
    ends, must_end = r"exit code 70", True

    def inject(self, site: Site) -> None:
        """Stop it, and let it go on."""
        self._pid = site.victim()
        site.kill(self._pid, signal.SIGSTOP)
        time.sleep(2 * site.settings.session_timeout)
        site.kill(self._pid, signal.SIGCONT)
        wait_until(lambda: site.ended(self._pid), PATIENCE, "the worker that stood still to leave")

    def confirm(self, site: Site) -> None:
        """It said why."""
        assert "stood still" in site.log_of(self._pid), site.log_of(self._pid)


class GracefulStop(Fault):
    """SIGTERM to a worker under load: it finishes, commits, leaves the group, exits 0."""

    name = "worker SIGTERM"
    ends, must_end = r"exit code 0", True

    def inject(self, site: Site) -> None:
        """Stop one."""
        took = stop_one(site, site.victim())
        self.notes = [f"stopped in {took:.1f} s"]


class RollingRestart(Fault):
    """All workers stopped by SIGTERM and restarted, one after the other, under load."""

    name = "rolling restart"
    ends, must_end = r"exit code 0", True

    def inject(self, site: Site) -> None:
        """One after the other; the next when the last one has its partitions again."""
        self._began = time.time()
        for pid in site.pids():
            stop_one(site, pid)
            count = len(site.said)
            wait_until(site.all_run, PATIENCE, f"the worker after restart {count} to start")
            site.wait_recovered()

    def confirm(self, site: Site) -> None:
        """Note how long nothing came out."""
        now, written = time.time(), site.checker.books.written
        everywhere = longest_pause((t for times in written.values() for t in times), self._began, now)
        worst = max(longest_pause(times, self._began, now) for times in written.values())
        self.notes = [f"longest pause {everywhere:.1f} s in all, {worst:.1f} s in one partition"]


class Rebalance(Fault):
    """Workers are added and taken away under load, more of them than partitions at the top."""

    name = "workers added and removed"

    def inject(self, site: Site) -> None:
        """Two more, then two fewer, twice."""
        for _ in range(2):
            crew = site.hire(2)
            site.wait_recovered()
            site.dismiss(crew)


class HalfOpen(Fault):
    """One worker's connections to the broker stay open, and nothing passes any more, for four session timeouts."""

    name = "connection half-open"
    ends = RESTARTED

    def inject(self, site: Site) -> None:
        """Silence one worker."""
        site.kafka_proxy.silence(site.victim())
        time.sleep(4 * site.settings.session_timeout)

    def heal(self, site: Site) -> None:
        """Its connections are reset, new ones work."""
        site.kafka_proxy.restore()


def stop_one(site: Site, pid: int) -> float:
    """SIGTERM, and the seconds until it had ended."""
    began, process = time.monotonic(), psutil.Process(pid)
    process.terminate()
    wait_until(lambda: site.ended(pid), PATIENCE, "the worker to stop")
    return time.monotonic() - began


def faults() -> list[Fault]:
    """All of this module."""
    crashes = [Crash(point) for point in crash_points.POINTS]
    return [KillWorker(), KillAll(), *crashes, Zombie(), GracefulStop(), RollingRestart(), Rebalance(), HalfOpen()]
