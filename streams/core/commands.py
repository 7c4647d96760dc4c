"""Commands: what is not a touch but changes a customer's state. The shape of `schemas/command`."""

from __future__ import annotations

from msgspec import Struct


class Command(Struct, frozen=True, gc=False, omit_defaults=True):
    """One change of a customer's state, keyed by `customer_id`. `issued_at` is UTC milliseconds.

    `customer_merged`: this customer is the same person as `into`, which survives. `timeline_moved`: `entries` (msgpack, layout
    in `streams.core.timeline`) of `source_customer_id` now belong to this customer. `kind` is open: a reader skips kinds
    it does not know. `cause` tells people what led to it.
    """

    command_id: str
    customer_id: str
    kind: str
    issued_at: int
    cause: str
    into: str | None = None
    source_customer_id: str | None = None
    entries: tuple[bytes, ...] = ()
