"""Dead letters: a `Rejected` in the shape that is kept, with sizes that always fit into one Kafka record."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid

from msgspec import Struct

from streams.core.ids import NAMESPACE
from streams.core.outcome import Rejected
from streams.core.touch import Origin

DETAIL_LIMIT = 2000
"""Characters of `detail` and `source` that are kept; both may quote hostile input."""

KEY_LIMIT = 16 * 1024
"""Bytes of a record's key that are kept. Real keys are ids of some tens of bytes."""


PSEUDONYM = re.compile(rb"c[1-9]-[0-9a-f]{24}")
"""A pseudonymous id, as `streams.core.identify` makes it."""


class DeadLetter(Struct, frozen=True, gc=False):
    """Rejected input as it stands in the dead-letter topic; fields as in `schemas/dead_letter`.

    `payload` is the whole value unless `payload_size` says that it was longer; `payload_sha256` is that of the whole value.
    `rejected_at` is UTC milliseconds.
    """

    dead_letter_id: str
    reason: str
    detail: str
    stage: str
    payload: bytes
    payload_size: int
    payload_sha256: str
    rejected_at: int
    origin: Origin | None = None
    line: int | None = None
    source: str | None = None
    key: bytes | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the payload was cut, so that it can be replayed."""
        return len(self.payload) == self.payload_size


def bury(rejected: Rejected, rejected_at: int, payload_limit: int) -> DeadLetter:
    """The dead letter of a rejected input; a payload longer than `payload_limit` bytes is cut.

    The same input at the same address gives the same letter, so a replayed micro-batch repeats ids and adds nothing new.
    """
    digest = hashlib.sha256(rejected.payload).hexdigest()
    place = rejected.origin
    address = (place.topic, str(place.partition), str(place.offset)) if place else (digest,)
    return DeadLetter(
        dead_letter_id=str(uuid.uuid5(NAMESPACE, "\x1f".join(("dead-letter", rejected.stage, *address)))),
        reason=rejected.reason,
        detail=_printable(rejected.detail),
        stage=rejected.stage,
        payload=rejected.payload[:payload_limit],
        payload_size=len(rejected.payload),
        payload_sha256=digest,
        rejected_at=rejected_at,
        origin=place,
        line=rejected.line,
        source=None if rejected.source is None else _printable(rejected.source),
        key=None if rejected.key is None else rejected.key[:KEY_LIMIT],
    )


def letter_key(key: bytes | None, secret: str) -> bytes | None:
    """Kafka key of the dead letter of a record with this key: the same when it is one of our pseudonymous ids, else a keyed hash of it,
    since a producer's own key may be a plain address. `DeadLetter.key` keeps what a replay needs."""
    if key is None or PSEUDONYM.fullmatch(key):
        return key
    return b"k-" + hmac.digest(secret.encode(), key, "sha256").hex()[:24].encode()


def _printable(text: str) -> str:
    # A lone surrogate, as JSON's "\ud800" makes one, has no UTF-8 form; a dead letter about it must still be writable.
    return text[:DETAIL_LIMIT].encode("utf-8", "replace").decode("utf-8")
