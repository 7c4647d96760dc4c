"""A real gateway as a child process, and a view as workers would have written it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Self

import redis

from streams.core.entry import entry_of
from streams.core.identify import nodes
from streams.core.pipeline import add
from streams.core.plans import put
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, records
from streams.core.touch import Customer, IdentifiedTouch, Touch
from streams.edge import companies, view
from streams.edge.identity_protocol import SCRIPT
from streams.edge.lane import partition_of
from streams.settings import Settings
from tests.support.waiting import SLOWER, wait_until
from tests.support.worker import environment

HOUR = 3_600_000
INDEX_LAYOUT = re.findall(r"local LAYOUT = '(\d+)'", SCRIPT)[0]
"""Of the identity index in Redis, of which the gateway believes only this."""


class Gateway:
    """`with Gateway(settings) as gateway`: serving inside, stopped behind it. `log` holds what it has printed."""

    def __init__(self, settings: Settings, **extra: str) -> None:
        self.settings, self.log, self._extra = settings, [], extra
        self.url = ""

    log: list[str]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams", "gateway", "--port", "0"],
            env=environment(self.settings, **self._extra), stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self._serves() or self.process.poll() is not None, 120, "the gateway to serve")
        assert self.process.poll() is None, "the gateway ended:\n" + "".join(self.log[-40:])
        return self

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def _serves(self) -> bool:
        found = re.search(r"gateway on (http://\S+),", "".join(self.log))
        if found is None:
            return False
        self.url = found[1]
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (JSON where it is) and headers of one request."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        known = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, data, known, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60 * SLOWER) as answer:
                return answer.status, _read(answer), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error), error.headers

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        code = self.process.wait(60 * SLOWER)
        self._reader.join(30 * SLOWER)
        return code

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._ended()
        assert self.process.stderr is not None
        self.process.stderr.close()


def _read(answer: Any) -> Any:
    raw = answer.read()
    return json.loads(raw) if "json" in answer.headers.get("Content-Type", "") and b"\n{" not in raw else raw


def now_ms() -> int:
    """UTC ms."""
    return time.time_ns() // 1_000_000


def show(settings: Settings, touches: Sequence[Touch] = (), behind_ms: int = 0, plans: Sequence[Touch] = ()) -> None:
    """Write a complete view of these touches into Redis, with its freshness, as workers with an identity index would."""
    policy = Policy()
    by_customer: dict[str, list[Touch]] = {}
    for touch in (*touches, *plans):
        by_customer.setdefault(id_of(settings, touch.customer), []).append(touch)
    prefix = view.prefix(settings)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set(f"touchstream:{settings.app_id}:id:synced", INDEX_LAYOUT)
        for partition in range(settings.partitions):
            client.hset(f"{prefix}{partition}", "#whole", "1")
            fresh = now_ms() - behind_ms
            client.hset(f"{prefix}beats", str(partition), view.encode_beat(view.Beat(fresh, 0, fresh)))
        for customer, some in by_customer.items():
            timeline = EMPTY
            for touch in some:
                identified = IdentifiedTouch(customer, touch, (), touch.occurred_at)
                if touch in plans:
                    timeline = put(timeline, [entry_of(identified)])
                else:
                    timeline = add(timeline, entry_of(identified), policy, customer).timeline
            values = records(customer.encode(), EMPTY, timeline)
            members = companies.of_values(values, values, settings.id_key)  # type: ignore[arg-type]
            companies.write(client, settings, members, now_ms())
            for key, value in values.items():
                assert value is not None
                client.hset(f"{prefix}{partition_of(customer.encode(), settings.partitions)}", key, value)  # type: ignore[arg-type]


def id_of(settings: Settings, customer: Customer) -> str:
    """The id of a customer whom no touch has linked to another."""
    return nodes(customer, settings.id_key, settings.default_region)[0]


def touch(email: str, ago_ms: int, **values: Any) -> Touch:
    """A marketing mail to this address, so long ago."""
    base: dict[str, Any] = {
        "touch_id": f"{email}-{ago_ms}", "channel": "email", "department": "marketing", "direction": "outbound", "kind": "sent",
        "occurred_at": now_ms() - ago_ms, "customer": Customer(email=email),
    }  # fmt: skip
    return Touch(**{**base, **values})
