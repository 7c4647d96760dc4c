"""Python's garbage collector, kept from walking through what stays.

A worker fills its caches by the ten thousand objects, and a full collection walks through all of them: 20 to 40 ms, every few seconds at
3,000 touches a second, in which no touch goes on. It finds next to nothing, since what is dropped is freed at once by its count of
references. So what has outlived a full collection is frozen, and the next one looks at what is new. Cycles among frozen objects would
never be found; therefore one collection an hour looks at everything.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

WHOLE_EVERY = 3600.0
"""Seconds from one collection that looks at frozen objects, too, to the next."""


class Freezing:
    """The collector's callback."""

    def __init__(self, whole_every: float = WHOLE_EVERY) -> None:
        self._whole_every = whole_every
        self._whole_at = time.monotonic()

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        if info["generation"] < 2:
            return
        if phase == "stop":
            gc.freeze()
        elif time.monotonic() - self._whole_at >= self._whole_every:
            self._whole_at = time.monotonic()
            gc.unfreeze()


def settle() -> None:
    """What is there stays: modules, schemas, restored timelines. From now on full collections freeze what they leave."""
    if not any(isinstance(callback, Freezing) for callback in gc.callbacks):
        gc.callbacks.append(Freezing())
    gc.collect()
