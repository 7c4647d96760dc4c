"""The identity index killed, slow, and flushed. No worker may end for it."""

from __future__ import annotations

import time

import redis

from tests.faults.kinds import Fault
from tests.faults.site import Site


class RedisKill(Fault):
    """kill -9, and a new start: the last second may be missing in its append-only file."""

    name = "Redis kill -9, restarted"

    def inject(self, site: Site) -> None:
        """Kill."""
        site.stack.redis.stop(kill=True)
        time.sleep(5)

    def heal(self, site: Site) -> None:
        """Start."""
        site.stack.redis.start()


class RedisSlow(Fault):
    """Each answer takes longer than a worker waits for one, for 10 s; then a while in which it takes half a second."""

    name = "Redis slow"

    def inject(self, site: Site) -> None:
        """Delay."""
        site.redis_proxy.delay = 3.0
        time.sleep(10)
        site.redis_proxy.delay = 0.25
        time.sleep(5)

    def heal(self, site: Site) -> None:
        """No delay."""
        site.redis_proxy.delay = 0.0


class RedisFlush(Fault):
    """FLUSHALL, under load."""

    name = "Redis flushed"

    def inject(self, site: Site) -> None:
        """Flush."""
        with redis.Redis.from_url(site.settings.redis_url) as client:
            client.flushall()


def faults() -> list[Fault]:
    """All of this module."""
    return [RedisKill(), RedisSlow(), RedisFlush()]
