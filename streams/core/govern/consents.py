"""What is known of a customer's consent, and what says so: one reading for checks and for what sales is told with a lead.

There are three sources. Touches by which the customer opted out, which every timeline keeps; records of consent, which timelines keep, too,
or which come with whoever asks (`Standing.consents`, `streams.core.consent`); and touches by which the customer asked for contact, which
are a ground to answer and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.core.consent import Consent, about, in_force, is_ended
from streams.core.entry import Entry, is_opt_out, key
from streams.core.govern.records import Agreed, Standing

REQUEST = "request"
"""The purpose of a contact for which the customer asked."""

RECORD = "record"
"""The proof of what no touch says."""


def agreed(history: Sequence[Entry], standing: Standing, t: int, requests: Iterable[Entry] = ()) -> tuple[Agreed, ...]:
    """All that holds at a moment (UTC ms), by channel and purpose. `history` and `standing` are those of a check (`check.known`), and what
    a check refuses for want of consent stands here with the same proof. `requests` are touches by which the customer asked for contact."""
    opt_outs = [*standing.opt_outs, *filter(is_opt_out, history)]
    found = [*_opted_out(opt_outs, standing.consents, t), *_asked(requests, t)]
    found += [
        Agreed(
            one.channel, one.purpose, one.status, one.at, RECORD, one.id or None, one.until, one.basis, one.source, one.form,
            one.recorded_by,
        )
        for one in in_force(standing.consents, t).values()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.channel, one.purpose, one.at, one.status)))


def overruled(one: Agreed, all_: Iterable[Agreed]) -> Agreed | None:
    """The latest no to all that this consent is for, among what holds; None when it lets contacts pass, or is none itself."""
    if one.status != "granted":
        return None
    said = [
        no
        for no in all_
        if (no.status in ("denied", "withdrawn") or (no.status == "opted_out" and no.at >= one.at))
        and no.channel in ("", one.channel)
        and no.purpose in ("", one.purpose)
    ]
    return max(said, key=lambda no: no.at, default=None)


def _opted_out(opt_outs: Iterable[Entry], consents: Sequence[Consent], t: int) -> list[Agreed]:
    """The latest opt-out of each channel and purpose that no consent to all of it has ended since."""
    latest = {(one.channel, one.category or ""): one for one in sorted(opt_outs, key=key) if one.at <= t}
    return [
        Agreed(channel, purpose, "opted_out", one.at, one.kind, one.id)
        for (channel, purpose), one in latest.items()
        if not (consents and is_ended(one, about(consents, channel, ""), t))
    ]


def _asked(requests: Iterable[Entry], t: int) -> list[Agreed]:
    """The latest request of each channel. A form is filled in to be called or written to, so it is for all of them."""
    asked = [one for one in sorted(requests, key=key) if one.at <= t]
    latest = {"" if one.kind == "lead_form" else one.channel: one for one in asked}
    return [
        Agreed(channel, REQUEST, "asked", one.at, one.kind, one.id, basis="contract") for channel, one in latest.items()
    ]
