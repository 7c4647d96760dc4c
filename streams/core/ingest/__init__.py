"""Provider records to touches: one pure adapter a provider, and the table of them.

`read` takes a file's bytes and gives, record by record in the file's order, what each means: touches, a `Rejected`
with the record's own bytes and its line, or an `Ignored`. It does no IO, asks no clock and never raises on what is in
the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from streams.core.ingest import google_ads_leads, linkedin_leads, mailgun, sendgrid, twilio
from streams.core.ingest.base import NO_DEFAULTS, STAGE, Adapter, Defaults, Ignored, Outcome
from streams.core.outcome import Rejected
from streams.core.touch import Touch

__all__ = ["ADAPTERS", "NO_DEFAULTS", "STAGE", "Adapter", "Defaults", "Ignored", "Outcome", "UnknownSource", "read"]

ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (sendgrid.ADAPTER, mailgun.ADAPTER, twilio.ADAPTER, linkedin_leads.ADAPTER, google_ads_leads.ADAPTER)
}


class UnknownSource(ValueError):
    """No adapter has this name; the text lists those there are."""


def read(source: str, data: bytes, defaults: Defaults = NO_DEFAULTS) -> Iterator[Touch | Rejected | Ignored]:
    """What the records of a file mean, in its order; lines count from 1.

    Raises:
        UnknownSource: `source` is not in `ADAPTERS`.
    """
    if source not in ADAPTERS:
        raise UnknownSource(f"{source!r} is no source known here; known: {', '.join(ADAPTERS)}")
    return _read(ADAPTERS[source], data, defaults)


def _read(adapter: Adapter, data: bytes, defaults: Defaults) -> Iterator[Touch | Rejected | Ignored]:
    records = adapter.split(data)
    if adapter.adapt_all is not None:
        results = adapter.adapt_all(records, defaults)
    else:
        results = ((line, adapter.adapt(record, defaults)) for line, record in records)
    for line, outcomes in results:
        for outcome in outcomes:
            yield outcome if isinstance(outcome, Touch) else replace(outcome, line=line)
