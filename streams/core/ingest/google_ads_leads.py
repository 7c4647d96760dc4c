"""Google Ads lead form webhook: one lead a request (developers.google.com/google-ads/webhook/docs/implementation).

Older payloads have no time: they need `lead_submit_time` or `received_at` (RFC 3339, written by whoever recorded the
request) or `Defaults.occurred_at`. Every body carries the shared `google_key`: treat files and dead letters of it as
secret.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    flag,
    guarded,
    iso_ms,
    needed,
    objects,
    text,
)
from streams.core.ingest.split import records
from streams.core.touch import Customer, Touch

NAME = "google-ads-leads"
SOURCE = "google-ads"


def adapt(record: bytes, defaults: Defaults = NO_DEFAULTS) -> tuple[Outcome, ...]:
    """One lead."""
    return guarded(NAME, record, lambda: (_touch(decode(record), defaults),))


def _touch(lead: Json, defaults: Defaults) -> Touch | Ignored:
    lead_id = needed(lead, "lead_id")
    if flag(lead, "is_test"):
        return Ignored("is_test: sent by Google's test button")
    answers: dict[str, str] = {}
    for column in objects(lead, "user_column_data"):
        name, value = text(column, "column_id"), text(column, "string_value")
        if name and value:
            answers.setdefault(name.upper(), value)
    names = (answers.get("FIRST_NAME"), answers.get("LAST_NAME"))
    # The work address is the one that the CRM and the mailings know.
    customer = Customer(
        email=answers.get("WORK_EMAIL") or answers.get("EMAIL"),
        phone=answers.get("WORK_PHONE") or answers.get("PHONE_NUMBER"),
        click_id=text(lead, "gcl_id"),
        name=answers.get("FULL_NAME") or " ".join(name for name in names if name) or None,
    )
    if not (customer.email or customer.phone or customer.click_id):
        raise Unusable(
            "user_column_data: no EMAIL, PHONE_NUMBER or gcl_id; ask for one of them in the form", "no_identifier"
        )
    return Touch(
        touch_id=touch_id(SOURCE, lead_id),
        channel="ads",
        department=defaults.department or "marketing",
        direction="inbound",
        kind="lead_form",
        occurred_at=_time(lead, defaults),
        customer=customer,
        campaign=text(lead, "campaign_id") or defaults.campaign,
        source=SOURCE,
    )


def _time(lead: Json, defaults: Defaults) -> int:
    for name in ("lead_submit_time", "received_at"):
        value = text(lead, name)
        if value:
            return iso_ms(value, name)
    if defaults.occurred_at is None:
        raise Unusable('lead_submit_time: missing, as in older webhooks; add "received_at" (RFC 3339) to the record')
    return defaults.occurred_at


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    return records(data)


ADAPTER = Adapter(NAME, "ads", "Google Ads lead form webhook: lead forms", _split, adapt)
