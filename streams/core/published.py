"""A policy that was published: how it travels, and which of two holds.

It goes through Kafka as its text. The command `policy_changed` asks for it; from that the requests stage makes one marker for each
partition of `touches.identified`, and the record of the topic `policies`. A partition's timelines are decided by what its last marker
said; that is kept with the timelines, under `KEY` in their changelog.
"""

from __future__ import annotations

import uuid
from pathlib import PurePath

import msgspec
from msgspec import Struct

from streams.core.claims import check_facts
from streams.core.govern import compiled
from streams.core.policy import Policy, PolicyError, fingerprint, parse

CHANGED = "policy_changed"
"""The kind of the command, and of the markers."""

KEY = "#policy"
"""Key of the command, the markers and the changelog's record; no customer's id begins so."""

NAMESPACE = uuid.UUID("b1a7a2f0-6d2c-5a53-9d0a-6f0f6a6c2f11")
LARGEST = 500_000
"""Bytes of a policy's text: twice that, as JSON with escapes, is what Kafka takes by default."""


class Published(Struct, frozen=True):
    """One publication, the shape of `schemas/policy`. `published_at` is UTC milliseconds; of two publications the later one holds.
    `version` is the policy's name for itself, `fingerprint` that of its content, `name` the file's, for errors."""

    publication_id: str
    fingerprint: str
    version: str
    published_at: int
    published_by: str
    name: str
    text: str


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Published).decode
"""Raises msgspec.DecodeError."""


def checked(policy: Policy, name: str) -> Policy:
    """The policy, once the facts of its campaigns can be read as claims too. Raises PolicyError."""
    for campaign, facts in policy.campaigns.items():
        problem = check_facts(facts)
        if problem is not None:
            raise PolicyError(f"{name}: campaigns.{campaign}: {problem}")
    return policy


def made(text: str, name: str, by: str, now: int, before: Published | None) -> Published:
    """A publication of this text. It is later than the one `before`, whatever the clocks say. Raises PolicyError."""
    if len(text.encode()) > LARGEST:
        raise PolicyError(f"{name} has {len(text.encode())} bytes; a published policy may have {LARGEST}")
    policy = checked(parse(text, name), name)
    at = max(now, before.published_at + 1) if before is not None else now
    print_ = fingerprint(policy)
    id_ = str(uuid.uuid5(NAMESPACE, f"{at} {by} {print_}"))
    return Published(id_, print_, compiled.of(policy).governance.version, at, by, PurePath(name).name, text)


def policy_of(published: Published) -> Policy:
    """The policy that was published. Raises PolicyError: this release cannot read it."""
    return checked(parse(published.text, published.name), published.name)


def holds_over(one: Published, other: Published | None) -> bool:
    """Whether `one` holds where both were published."""
    return other is None or (one.published_at, one.publication_id) > (other.published_at, other.publication_id)
