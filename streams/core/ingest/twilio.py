"""Twilio Voice: status callbacks (form-encoded or JSON), Event Streams CloudEvents, and calls of the REST API.

Formats: twilio.com/docs/voice/api/call-resource (statuscallback), docs/voice/answering-machine-detection,
docs/events/event-types/voice. What one call gives, for an outbound call:

- `dialed` once, and one outcome beside it; all touches of a call have ids made of CallSid and kind, and CallSid as
  interaction.
- in-progress, and completed with a duration above 0 s (or without one): `answered`; `voicemail` when AnsweredBy is a
  machine; `no_answer` when it is a fax.
- completed with duration 0: `no_answer`. Twilio says "completed" for every call that was picked up, but below one
  second nobody was spoken to.
- busy, failed, no-answer, canceled: `no_answer`.
- queued, initiated, ringing: no touch yet; a later callback of the same call says how it went.

An inbound call gives only its outcome. `dialed` and `answered` of a completed call are dated back by its duration. A
call's last callback knows more than its in-progress one (who answered, how long), so within one file the last one
speaks for the call. Taken one by one, as a webhook does, both would give the same ids with times a second apart:
subscribe to `completed` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from streams.core.ids import touch_id
from streams.core.ingest.base import (
    NO_DEFAULTS,
    Adapter,
    Defaults,
    Ignored,
    Json,
    Outcome,
    Unusable,
    decode,
    epoch_ms,
    get,
    guarded,
    iso_ms,
    needed,
    rfc_2822_ms,
    text,
)
from streams.core.ingest.split import records
from streams.core.touch import Actor, Customer, Direction, Kind, Touch

NAME = "twilio"

EARLY = frozenset({"queued", "initiated", "ringing"})
UNANSWERED = frozenset({"busy", "failed", "no-answer", "canceled"})
STATUSES = (*sorted(EARLY), "in-progress", "completed", *sorted(UNANSWERED))
_EVENT = "com.twilio.voice."
_CALL_EVENTS = (f"{_EVENT}status-callback.call.", f"{_EVENT}webhook.status-callback.call.")
_NO_PHONE = ("client:", "sip:", "sips:")
# What Twilio writes for a caller who hides the number: the word, or "anonymous", "restricted" and "unknown" on a
# phone's keys.
_HIDDEN = frozenset(
    {"anonymous", "restricted", "unknown", "unavailable", "+266696687", "+7378742833", "+8656696", "+86282452253"}
)
_MAX_SECONDS = 7 * 86_400


class _Call(Struct, frozen=True):
    sid: str
    status: str
    direction: Direction
    customer: str
    rep: str | None
    answered_by: str
    at: int
    seconds: int | None


def adapt(record: bytes, defaults: Defaults = NO_DEFAULTS) -> tuple[Outcome, ...]:
    """One callback, CloudEvent or call."""
    return guarded(NAME, record, lambda: _outcomes(_parse(record), defaults))


def adapt_all(
    records: Iterable[tuple[int, bytes]], defaults: Defaults = NO_DEFAULTS
) -> Iterator[tuple[int, tuple[Outcome, ...]]]:
    """The callbacks of one file: an in-progress one is left out where the call's last one is there too."""
    parsed = [(line, record, _try(record)) for line, record in records]
    ended = {call.sid for _, _, call in parsed if isinstance(call, _Call) and call.status != "in-progress"}
    for line, record, call in parsed:
        if isinstance(call, _Call) and call.status == "in-progress" and call.sid in ended:
            yield line, (Ignored("in-progress: the call's last callback is in this file and tells more"),)
        else:
            yield line, adapt(record, defaults)


def _try(record: bytes) -> _Call | Ignored | None:
    try:
        return _parse(record)
    except Unusable:
        return None  # adapt says why


def _outcomes(call: _Call | Ignored, defaults: Defaults) -> Iterator[Touch | Ignored]:
    if isinstance(call, Ignored):
        yield call
        return
    kind = _outcome(call)
    kinds: tuple[Kind, ...] = ("dialed", kind) if call.direction == "outbound" else (kind,)
    start = call.at - 1000 * (call.seconds or 0)
    for each in kinds:
        yield Touch(
            touch_id=touch_id(NAME, call.sid, each),
            channel="calls",
            department=defaults.department or "sales",
            direction=call.direction,
            kind=each,
            occurred_at=start,
            customer=Customer(phone=call.customer),
            actor=Actor(call.rep) if call.rep else defaults.actor,
            campaign=defaults.campaign,
            source=NAME,
            interaction_id=call.sid,
        )


def _outcome(call: _Call) -> Kind:
    if call.status in UNANSWERED or (call.status == "completed" and call.seconds == 0) or call.answered_by == "fax":
        return "no_answer"
    return "voicemail" if call.answered_by.startswith("machine") else "answered"


def _parse(record: bytes) -> _Call | Ignored:
    fields: Json
    sent_at: str | None = None
    if record.lstrip()[:1] in (b"{", b"["):
        event = decode(record)
        if "specversion" in event:
            type_ = needed(event, "type")
            if not type_.startswith(_CALL_EVENTS):
                return Ignored(f"{type_[:80]}: no report about a call's progress")
            said = get(event, "data", "request", "parameters") or {}
            if not isinstance(said, dict):
                raise Unusable("data.request.parameters: expected an object with the callback's fields")
            tail = type_.rpartition(".")[2]
            known = {"CallSid": get(event, "data", "sid"), "CallStatus": "in-progress" if tail == "answered" else tail}
            fields = {**known, **said}
            sent_at = text(event, "data", "timestamp") or text(event, "time")
        else:
            fields = event
    else:
        fields = _form(record)
    return _call(_plain(fields), sent_at)


def _call(fields: Json, sent_at: str | None) -> _Call | Ignored:
    sid = text(fields, "callsid") or needed({"CallSid": fields.get("sid")}, "CallSid")
    status = text(fields, "callstatus") or text(fields, "status")
    if status is None:
        if text(fields, "answeredby"):
            return Ignored("who answered, alone: the call's last callback says it too")
        raise Unusable("CallStatus: missing; is this a status callback?")
    status = status.lower()
    if status not in STATUSES:
        raise Unusable(
            f"CallStatus: {status[:60]!r} is no status known here; known: {', '.join(STATUSES)}", "unknown_event"
        )
    if status in EARLY:
        return Ignored(f"{status}: a later callback says how the call went")
    way = needed({"Direction": fields.get("direction")}, "Direction")
    direction: Direction = "inbound" if way == "inbound" else "outbound"
    sender, receiver = text(fields, "from") or text(fields, "caller"), text(fields, "to") or text(fields, "called")
    ours, customer = (receiver, sender) if direction == "inbound" else (sender, receiver)
    if customer and customer.lower().startswith(_NO_PHONE):
        return Ignored("a leg to one of us, not to a customer")
    if customer is None or customer.lower() in _HIDDEN:
        raise Unusable(
            f"{'From' if direction == 'inbound' else 'To'}: no phone number, the customer cannot be known",
            "no_identifier",
        )
    # The form's "Duration" counts begun minutes; the REST API's "duration" counts seconds, and it alone has "sid".
    seconds = get(fields, "duration") if "sid" in fields else get(fields, "callduration")
    return _Call(
        sid=sid,
        status=status,
        direction=direction,
        customer=customer,
        rep=ours if ours and ours.lower().startswith("client:") else None,
        answered_by=(text(fields, "answeredby") or "").lower(),
        at=_time(fields, sent_at),
        seconds=None if status == "in-progress" else _seconds(seconds),
    )


def _time(fields: Json, sent_at: str | None) -> int:
    for name in ("timestamp", "endtime", "starttime", "datecreated"):
        value = text(fields, name)
        if value:
            return iso_ms(value, name) if value[:4].isdecimal() else rfc_2822_ms(value, name)
    if sent_at:
        return iso_ms(sent_at, "data.timestamp")
    raise Unusable("Timestamp: missing; record it with the callback (RFC 2822)")


def _seconds(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if value in (0, "0"):
        return 0
    seconds = epoch_ms(value, 1, "CallDuration")
    if seconds > _MAX_SECONDS:
        raise Unusable(f"CallDuration: {seconds} s is longer than a week")
    return seconds


def _form(record: bytes) -> Json:
    """Fields of an application/x-www-form-urlencoded body or log line."""
    try:
        pairs = parse_qsl(record.decode(), keep_blank_values=True, errors="strict", max_num_fields=500)
    except UnicodeDecodeError:
        raise Unusable(
            "the record is neither JSON nor form-encoded UTF-8 (CallSid=CA...&CallStatus=...); mend this line"
        ) from None
    except ValueError:
        raise Unusable("the record has over 500 form fields; is this a status callback?") from None
    if not pairs:
        raise Unusable("the record is neither JSON nor form-encoded (CallSid=CA...&CallStatus=...); mend this line")
    return dict(pairs)


def _plain(fields: Json) -> Json:
    """Names without case and underscores (CallSid, call_sid, callSid), and numbers whose raw "+" a form turned into a
    space."""
    plain: Json = {}
    for name, value in fields.items():
        if isinstance(value, str) and value[:1] == " " and value[1:].isdecimal() and len(value) > 8:
            value = f"+{value[1:]}"
        plain[str(name).replace("_", "").lower()] = value
    return plain


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    return records(data, ("calls",))


ADAPTER = Adapter(
    NAME,
    "calls",
    "Twilio Voice status callbacks or Event Streams: dialed, answered, voicemail, no answer",
    _split,
    adapt,
    adapt_all,
)
