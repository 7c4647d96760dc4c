"""Receipts of erasures as people and scripts read them."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.commands.rendering import counted
from streams.core.erasure import IDENTITY, Erasure, Receipt
from streams.core.touch_json import rfc3339


def text(part: Receipt) -> str:
    """One part of a receipt on a line."""
    by = part.requested_by or "somebody"
    going = "" if part.gone else " (on their way)"
    return f"{rfc3339(part.done_at)}  {part.customer_id}  {_counts(part)}{going}  asked for by {by}, request {part.request_id}"


def whole(erasure: Erasure) -> str:
    """All parts that are there, and until when Kafka keeps what."""
    identity, all_parts = erasure.identity, list(erasure.timelines.values())
    parts = [part for part in all_parts if part.touches or part.findings or part.segments]
    first = identity or all_parts[0]
    lines = [
        f"erasure of {first.customer_id}, asked for by {first.requested_by or 'somebody'} at {rfc3339(first.requested_at)},"
        f" request {first.request_id}{'' if erasure.is_complete else ': not complete yet'}"
    ]
    lines += [f"  {rfc3339(part.done_at)}  {_counts(part)}" for part in ([identity] if identity else []) + parts]
    if len(parts) < len(all_parts):
        lines.append(f"  {counted(len(all_parts) - len(parts), 'id')} had nothing on a timeline of their own")
    if identity is not None:
        width = max(len(fate.topic) for fate in identity.topics)
        lines.append("  what was published before is gone from")
        lines += [
            f"    {fate.topic.ljust(width)}  by {rfc3339(fate.gone_by)}, {fate.how}"
            for fate in sorted(identity.topics, key=lambda fate: (fate.gone_by, fate.topic))
        ]
    return "\n".join(lines)


def as_dict(part: Receipt) -> dict[str, Any]:
    """Plain values; times as RFC 3339, what is empty left out."""
    values: dict[str, Any] = msgspec.to_builtins(part)
    values |= {name: rfc3339(values[name]) for name in ("requested_at", "done_at")}
    values["topics"] = [one | {"gone_by": rfc3339(one["gone_by"])} for one in values["topics"]]
    return {name: value for name, value in values.items() if value not in (None, (), [])}


def _counts(part: Receipt) -> str:
    if part.part == IDENTITY:
        more = ((part.findings, "finding"), (part.reservations, "reservation"))
        counts = [
            f"{counted(part.identifiers, 'id')}",
            counted(part.log_records, "record of its log", "records of its log"),
        ]
        return f"identity: {', '.join([*counts, *(counted(count, one) for count, one in more if count)])}"
    counts = [counted(part.touches, "touch", "touches"), counted(part.findings, "finding")]
    return f"timeline {part.customer_id}: {', '.join([*counts, counted(part.segments, 'segment')])}"
