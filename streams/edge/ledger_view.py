"""The ledger's figures in Redis, for whoever wants one of them now: a hash a period, `touchstream:<app_id>:ledger:<period>`, with
"currency|measure|dimension|key" -> value. A copy: it is written once Kafka has the figures, and made anew when it was lost."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from streams.core.ledger.totals import Total
from streams.settings import Settings

log = logging.getLogger("touchstream.ledger")

WHOLE = "whole"
PATIENCE = 5.0


def name(settings: Settings, period: str) -> str:
    """Key of the hash of a period; that of `WHOLE` says that all periods are there."""
    return f"touchstream:{settings.app_id}:ledger:{period}"


class LedgerView:
    """The writing end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = redis.Redis.from_url(
            settings.redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, decode_responses=True
        )
        self._whole = False

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def write(self, changed: Iterable[Total], everything: Iterable[Total]) -> None:
        """Copy what has changed, or all of it when it is not there. A Redis that is away is tried again the next time."""
        try:
            self._whole = self._whole and bool(await self._redis.exists(name(self._settings, WHOLE)))
            pipe = self._redis.pipeline(transaction=True)
            for period, figures in _by_period(changed if self._whole else everything).items():
                if not self._whole:
                    pipe.delete(name(self._settings, period))
                pipe.hset(name(self._settings, period), mapping=figures)
            if not self._whole:
                pipe.set(name(self._settings, WHOLE), "1")
            await pipe.execute()
            self._whole = True
        except (RedisError, OSError) as error:
            self._whole = False
            log.warning(
                "the ledger's view in Redis is not written, and mended later: %s: %s", type(error).__name__, error
            )


def _by_period(totals: Iterable[Total]) -> dict[str, dict[Any, Any]]:
    found: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
    for one in totals:
        found[one.period]["|".join(one.place[1:])] = one.value
    return dict(found)
