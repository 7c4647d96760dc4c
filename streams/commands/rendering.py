"""Events as people read them: findings, touches and dead letters as short blocks of text, or as JSON.

Everything here may hold text that strangers wrote, so what could steer a terminal is shown as an escape.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from streams.core.dead_letter import DeadLetter
from streams.core.govern.consents import overruled
from streams.core.govern.records import Agreed
from streams.core.identity_facts import Cause
from streams.core.leads.events import LeadEvent
from streams.core.leads.states import GIVEN_BACK
from streams.core.outcome import Evidence, Finding, FitComponent, ScoreComponent
from streams.core.touch import Touch
from streams.core.touch_json import rfc3339

QUOTE = 160
PREVIEW = 400


def counted(count: int, one: str, many: str = "") -> str:
    """So many things, in words."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def finding(value: Finding) -> str:
    """Time, severity, rule and reason; below them one line a piece of evidence, each contradiction, and the ids."""
    state = "".join(f" [{part}]" for part in _state(value))
    who = value.customer if value.customer_name is None else f"{value.customer_name} ({value.customer})"
    lines = [
        f"{rfc3339(value.event_time)}  {value.severity.upper()}  {value.rule}{state}  {who}",
        f"  {value.reason}",
        *(f"  - {evidence(proof)}" for proof in value.evidence),
    ]
    for pair in value.contradictions:
        about = f" of {pair.subject}" if pair.subject else ""
        lines.append(f"  ! {pair.kind}{about}: {_quote(pair.earlier_quote)} against {_quote(pair.later_quote)}")
    if value.handoff is not None:
        parts = score_parts(value.handoff.components, value.handoff.fit)
        lines.append(
            f"  score {value.handoff.score:.1f} of {value.handoff.threshold:g}{f' ({parts})' if parts else ''},"
            f" due {rfc3339(value.handoff.due_at)}"
        )
        if value.handoff.recent_campaigns:
            lines.append(f"  campaigns: {', '.join(value.handoff.recent_campaigns)}")
    lines.append(f"  finding {value.finding_id} revision {value.revision}")
    return clean("\n".join(lines))


def score_parts(engagement: Iterable[ScoreComponent], fit: Iterable[FitComponent]) -> str:
    """ "clicked x2 = 10.0, fit home-market = 20.0"; empty without any."""
    did = [f"{part.kind} x{part.touches} = {part.points:.1f}" for part in engagement]
    return ", ".join(did + [f"fit {part.name} = {part.points:.1f}" for part in fit])


def consent(one: Agreed, among: Iterable[Agreed] = ()) -> str:
    """ "email opted out since 2026-03-12T10:00:00Z (unsubscribed off)"; a record with its basis and its proof, consent also with what among
    all that holds overrules it."""
    until = "" if one.until is None else f" until {rfc3339(one.until)}"
    proof = (
        " ".join(filter(None, (one.proof_kind, one.proof))), one.basis and f"basis {one.basis.replace('_', ' ')}",
        one.source, one.form, one.recorded_by and f"recorded by {one.recorded_by}",
    )  # fmt: skip
    no = overruled(one, among)
    but = "" if no is None else f", overruled: {_agreed(no)}"
    return f"{_agreed(one)}{until} ({', '.join(filter(None, proof))}){but}"


def _agreed(one: Agreed) -> str:
    about = f" for {one.purpose}" if one.purpose else ""
    return f"{one.channel or 'all channels'}{about} {one.status.replace('_', ' ')} since {rfc3339(one.at)}"


def identity_cause(cause: Cause) -> tuple[str, str]:
    """What showed identifiers together, and what it says: "touch t-1", "marketing, email opened", or "record of consent c-1", "email
    granted"."""
    name, _, status = cause.kind.partition("_")
    if name == "consent":
        return f"record of consent {cause.touch_id}", f"{cause.channel or 'all channels'} {status}"
    return f"touch {cause.touch_id}", f"{cause.department}, {cause.channel} {cause.kind}"


def _state(value: Finding) -> list[str]:
    """What became of a finding since it was detected, and why; who acts on it."""
    changed: list[str] = [] if value.state == "detected" else ["withdrawn" if value.withdrawn else value.state]
    if changed and value.cause is not None:
        why = f", {value.cause.reason}" if value.cause.reason else ""
        changed[0] += f": {value.cause.kind.replace('_', ' ')} {value.cause.id}{why}"
    return changed + ([f"{value.acknowledged_by} acts on it"] if value.acknowledged_by else [])


def lead_event(value: LeadEvent) -> str:
    """When, what happened, to whose lead, who has it until when; below it why."""
    moved = value.state if value.previous in (None, value.state) else f"{value.previous} -> {value.state}"
    changed = "" if value.status == "detected" else f" [{value.status}]"
    owner = f"  {value.owner or 'nobody'}{f' of {value.team}' if value.team else ''}" if value.state != "new" else ""
    due = f", due {rfc3339(value.due_at)}" if value.due_at is not None else ""
    went = value.moved_to and f"went to {value.moved_to}"
    came = value.moved_from and f"came from {value.moved_from}"
    nurture = value.nurture_with and f"nurture with {_quote(value.nurture_with)}"
    back = (value.reason, nurture) if value.kind in GIVEN_BACK else ()  # later events have them, too
    reasons = (*back, value.why, came, went)
    why = "; ".join(reason for reason in reasons if reason)
    return clean(
        f"{rfc3339(value.at)}  {value.kind}{changed}  {moved}  {value.customer}{owner}{due}{f'{chr(10)}  {why}' if why else ''}"
        f"\n  lead {value.lead_id} event {value.event_id} revision {value.revision}"
    )


def touch(value: Touch) -> str:
    """One line: when, who of us, what, whom."""
    ids = value.customer
    whom = ids.email or ids.phone or ids.linkedin_url or ids.crm_id or ids.click_id or ids.cookie_id or "?"
    named = f"{ids.name} ({whom})" if ids.name else whom
    actor = f" by {value.actor.name or value.actor.id}" if value.actor else ""
    message = value.message
    told = (message.offer or message.subject) if message else None
    label = f" {_quote(told)}" if told else ""
    arrow = "->" if value.direction == "outbound" else "<-"
    return clean(
        f"{rfc3339(value.occurred_at)}  {value.department}{actor} {arrow} {named}: {value.channel} {value.kind}{label}"
        f"{f' campaign {value.campaign}' if value.campaign else ''}  {value.touch_id}"
    )


def dead_letter(value: DeadLetter) -> str:
    """When, why and where; the sentence that says what to do; the id that `replay` takes."""
    return clean(
        f"{rfc3339(value.rejected_at)}  {value.reason}  {where(value)}\n  {value.detail}\n"
        f"  dead letter {value.dead_letter_id}, {value.payload_size} bytes"
    )


def dead_letter_in_full(value: DeadLetter) -> str:
    """`dead_letter` with stage, key, digest and the beginning of the payload."""
    shown, kind = _payload(value.payload)
    cut = "" if value.is_whole else f"; only the first {len(value.payload)} are kept here"
    key = "none" if value.key is None else value.key.decode("utf-8", "backslashreplace")
    more = "" if len(shown) <= PREVIEW * 10 else " ..."
    return dead_letter(value) + clean(
        f"{cut}\n  stage {value.stage}, key {key}, sha256 {value.payload_sha256}\n  payload ({kind}):\n"
        f"{shown[: PREVIEW * 10]}{more}"
    )


def dead_letter_json(value: DeadLetter) -> dict[str, Any]:
    """Plain values; the payload as `payload` when it is text, else as `payload_base64`."""
    shown, kind = _payload(value.payload)
    values: dict[str, Any] = {
        "dead_letter_id": value.dead_letter_id,
        "rejected_at": rfc3339(value.rejected_at),
        "reason": value.reason,
        "detail": value.detail,
        "stage": value.stage,
        "topic": value.origin and value.origin.topic,
        "partition": value.origin and value.origin.partition,
        "offset": value.origin and value.origin.offset,
        "line": value.line,
        "source": value.source,
        "key": value.key and value.key.decode("utf-8", "backslashreplace"),
        "payload" if kind == "text" else "payload_base64": shown,
        "payload_size": value.payload_size,
        "payload_sha256": value.payload_sha256,
    }
    return {name: item for name, item in values.items() if item is not None}


def where(value: DeadLetter) -> str:
    """Its address: "touches.email[1]@42", or "sendgrid line 7" for an import."""
    if value.origin is not None:
        return f"{value.origin.topic}[{value.origin.partition}]@{value.origin.offset}"
    line = "" if value.line is None else f" line {value.line}"
    return f"{value.source or 'unknown source'}{line}"


def clean(text: str) -> str:
    """Text with control characters, except line ends, as escapes, so that it cannot steer a terminal."""
    return "".join(char if char == "\n" or char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def evidence(proof: Evidence) -> str:
    """One line: when, what part it plays, who, what."""
    actor = f" by {proof.actor}" if proof.actor else ""
    told = proof.quote or proof.label
    return (
        f"{rfc3339(proof.occurred_at)} {proof.role.replace('_', ' ')}: {proof.department}{actor}, {proof.channel}"
        f" {proof.kind}{f' {_quote(told)}' if told else ''}  {proof.touch_id}"
    )


def _quote(text: str) -> str:
    flat = " ".join(text.split())
    return f"'{flat}'" if len(flat) <= QUOTE else f"'{flat[:QUOTE]}...'"


def _payload(payload: bytes) -> tuple[str, str]:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is not None and all(char.isprintable() or char in "\r\n\t" for char in text):
        return text, "text"
    return base64.b64encode(payload).decode("ascii"), "base64"


def indented(block: str) -> str:
    """The block as part of a list."""
    return "\n".join(f"  {line}" for line in block.splitlines())
