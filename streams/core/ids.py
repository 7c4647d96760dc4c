"""Deterministic ids: the same input gives the same id on every run, which is what makes a replay change nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

# Namespace of all touchstream ids (a uuid5 of the DNS namespace and the project's name); changing it renames every finding.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "touchstream")


def touch_id(source: str, *provider_event: object) -> str:
    """Id of a touch without one of its own: uuid5 of the source and the parts of the provider's event id.

    >>> touch_id("sendgrid", "sg_event_1") == touch_id("sendgrid", "sg_event_1")
    True
    """
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(("touch", source, *(str(part) for part in provider_event)))))


def finding_id(rule: str, rule_version: int, customer: str, touch_ids: Iterable[str]) -> str:
    """Id of a finding: uuid5 of rule, rule version, customer and the sorted ids of the touches that make it."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(("finding", rule, str(rule_version), customer, *sorted(touch_ids)))))


def consent_id(content: str) -> str:
    """Id of a record of consent without one of its own: uuid5 of its content in one form."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(("consent", content))))


def command_id(kind: str, *parts: str) -> str:
    """Id of a command that touchstream itself issues: uuid5 of its kind and operands, so that a repeated one is recognised."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(("command", kind, *parts))))
