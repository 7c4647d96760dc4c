"""What the commands share by which people say who is who: `touchstream identity split` and `merge`."""

from __future__ import annotations

from streams.commands import rendering
from streams.commands.asking import answered
from streams.commands.common import CommandError
from streams.commands.identifiers import NAMES, Known, look_up, name_of
from streams.core.identity_facts import decode_cause, decode_request
from streams.core.identity_person import Event
from streams.core.touch_json import rfc3339
from streams.settings import Settings

LONGEST = 512
"""Characters of a reason."""

HINT = "give its id, such as `touchstream identity show` prints"


def checked(reason: str) -> str:
    """A reason as it goes into the log. CommandError when it is too long."""
    if len(reason) > LONGEST:
        raise CommandError(f"--reason: at most {LONGEST} characters are allowed, and it has {len(reason)}")
    return reason.strip()


def why(event: Event) -> str:
    """When and by what a fact came to be."""
    request, cause = decode_request(event.fact), decode_cause(event.fact)
    if request is not None:
        reason = f": {request.reason}" if request.reason else ""
        return f"{rfc3339(event.at)}, asked for by {request.requested_by}, request {request.command_id}{reason}"
    if cause is None:
        return f"{rfc3339(event.at)}, cause unknown"
    return f"{rfc3339(event.at)}, {': '.join(rendering.identity_cause(cause))} {cause.origin}".rstrip()


def people(several: list[list[str]], plain: dict[str, str]) -> list[str]:
    """Each customer with its ids, and what stands behind these as far as `plain` knows it."""
    width = max(len(id_) for ids in several for id_ in ids)
    lines = []
    for ids in several:
        lines.append(f"  customer {ids[0]}")
        for id_ in ids:
            lines.append(f"    {id_.ljust(width)}  {NAMES[name_of(id_)].ljust(16)}  {plain.get(id_, '')}".rstrip())
    return lines


def done(settings: Settings, identifier: str, asked: dict[str, str], timeout: float) -> Known:
    """The log once it has all that was asked for: request ids by the keys of facts."""

    def is_of(event: Event | None, request_id: str) -> bool:
        request = None if event is None else decode_request(event.fact)
        return request is not None and request.command_id == request_id

    def look() -> Known | None:
        known = look_up(identifier, None, settings, hint=HINT)
        return known if all(is_of(known.log.event(key), id_) for key, id_ in asked.items()) else None

    found = answered(look, timeout)
    if found is not None:
        return found
    raise CommandError(
        f"no worker has done it within {timeout:g} s; the request is stored and will be done. Are workers and Redis running? If it was"
        " refused, `touchstream dead-letter list` says why"
    )
