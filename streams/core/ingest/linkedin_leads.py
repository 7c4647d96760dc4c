"""LinkedIn: Lead Sync form responses, and LinkedIn messages that a CRM logged (`streams.core.ingest.linkedin_crm`).

Lead formats: learn.microsoft.com/linkedin/marketing/lead-sync. A response (`GET /rest/leadFormResponses`) names its
answers by `questionId` only; what a question asks for stands in the form (`fields=...,form` puts it into the record).
Without the form an answer is known by its looks: a mail address, a profile URL, a phone number with its country code.

A webhook notification names no person. One about a new lead is rejected, so that the lead is not lost, unless its
response is in the same file; one about a deleted lead is no touch. Both kinds of record give a lead the same id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from streams.core.ids import touch_id
from streams.core.ingest import linkedin_crm
from streams.core.ingest.base import (
    NO_DEFAULTS,
    Adapter,
    Defaults,
    Ignored,
    Json,
    Outcome,
    Unusable,
    as_text,
    decode,
    epoch_ms,
    flag,
    get,
    guarded,
    needed,
    objects,
    text,
)
from streams.core.ingest.split import records
from streams.core.touch import Customer, Message, Touch

NAME = "linkedin-leads"
SOURCE = "linkedin"

_LOOKS = (
    ("EMAIL", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    ("LINKEDIN_PROFILE_LINK", re.compile(r"(?:https?://)?(?:[a-z]+\.)?linkedin\.com/(?:in|pub)/\S+", re.IGNORECASE)),
    ("PHONE_NUMBER", re.compile(r"\+\d[\d\s().\-]{6,24}")),
)
_URN_ID = re.compile(r"urn:li:[A-Za-z]+:(.+)")


def adapt(record: bytes, defaults: Defaults = NO_DEFAULTS) -> tuple[Outcome, ...]:
    """One notification, one form response, one HubSpot communication, or one Salesforce task."""
    return guarded(NAME, record, lambda: _read(decode(record), defaults))


def adapt_all(
    records: Iterable[tuple[int, bytes]], defaults: Defaults = NO_DEFAULTS
) -> Iterator[tuple[int, tuple[Outcome, ...]]]:
    """The records of one file: a notification is left out where its form response is there too."""
    known = [(line, record, *_lead(record)) for line, record in records]
    responses = {lead for _, _, lead, is_notification in known if lead and not is_notification}
    for line, record, lead, is_notification in known:
        if is_notification and lead in responses:
            yield line, (Ignored("notification: the lead's form response is in this file and tells more"),)
        else:
            yield line, adapt(record, defaults)


def _lead(record: bytes) -> tuple[str | None, bool]:
    """Id of the lead that a record is about, and whether the record is a notification."""
    try:
        values = decode(record)
        if "leadAction" in values:
            return _id(needed(values, "leadGenFormResponse")), True
        return (_id(needed(values, "id")) if "formResponse" in values else None), False
    except Unusable:
        return None, False  # adapt says why


def _read(values: Json, defaults: Defaults) -> tuple[Touch | Ignored, ...]:
    if "leadAction" in values:
        return (_notification(values),)
    if "formResponse" in values:
        return (_response(values, defaults),)
    if linkedin_crm.is_hubspot(values):
        return linkedin_crm.hubspot(values, defaults)
    if linkedin_crm.is_salesforce(values):
        return linkedin_crm.salesforce(values, defaults)
    raise Unusable(
        "no lead notification, lead form response, HubSpot communication or Salesforce task; is this the right file?",
        "unknown_event",
    )


def _notification(values: Json) -> Ignored:
    action = needed(values, "leadAction")
    lead = _id(needed(values, "leadGenFormResponse"))
    if action == "DELETED":
        return Ignored("DELETED: the lead was withdrawn, nobody was touched")
    if action != "CREATED":
        raise Unusable(f"leadAction: {action[:60]!r} is not known here; known: CREATED, DELETED", "unknown_event")
    raise Unusable(
        f"a notification names no person; fetch /rest/leadFormResponses/{lead} and import what it answers",
        "no_identifier",
    )


def _response(values: Json, defaults: Defaults) -> Touch | Ignored:
    lead = _id(needed(values, "id"))
    if flag(values, "testLead"):
        return Ignored("testLead: sent by LinkedIn's test button")
    answers = _answers(values)
    hidden = _hidden(values)
    names = (answers.get("FIRST_NAME"), answers.get("LAST_NAME"))
    # The work address is the one that the CRM and the mailings know.
    customer = Customer(
        email=answers.get("WORK_EMAIL") or answers.get("EMAIL"),
        phone=answers.get("WORK_PHONE_NUMBER") or answers.get("PHONE_NUMBER"),
        linkedin_url=answers.get("LINKEDIN_PROFILE_LINK"),
        click_id=hidden.get("li_fat_id"),
        name=" ".join(name for name in names if name) or None,
    )
    if not (customer.email or customer.phone or customer.linkedin_url or customer.click_id):
        raise Unusable(
            "formResponse.answers: no mail address, phone number or profile; fetch the record with fields=...,form",
            "no_identifier",
        )
    form = text(values, "form", "name")
    return Touch(
        touch_id=touch_id(SOURCE, lead, "CREATED"),
        channel="linkedin",
        department=defaults.department or "marketing",
        direction="inbound",
        kind="lead_form",
        occurred_at=epoch_ms(get(values, "submittedAt"), 1, "submittedAt"),
        customer=customer,
        campaign=_campaign(values) or hidden.get("utm_campaign") or defaults.campaign,
        message=Message(subject=form) if form else None,
        source=SOURCE,
    )


def _answers(values: Json) -> dict[str, str]:
    """Answers by LinkedIn's predefined field; the first answer to a field counts."""
    asked: dict[str, str] = {}
    for question in objects(values, "form", "content", "questions"):
        id_, field = text(question, "questionId"), text(question, "predefinedField")
        if id_ and field:
            asked[id_] = field
    answers: dict[str, str] = {}
    for answer in objects(values, "formResponse", "answers"):
        value = text(answer, "answerDetails", "textQuestionAnswer", "answer")
        if value is None:
            continue
        field = asked.get(text(answer, "questionId") or "") or next(
            (name for name, looks in _LOOKS if looks.fullmatch(value)), None
        )
        if field:
            answers.setdefault(field, value)
    return answers


def _hidden(values: Json) -> dict[str, str]:
    """Hidden fields of the form (`li_fat_id`, `utm_campaign`) by name."""
    found: dict[str, str] = {}
    for field in objects(values, "formResponse", "hiddenFieldResponses"):
        name, value = text(field, "name"), text(field, "value")
        if name and value:
            found[name] = value
    return found


def _campaign(values: Json) -> str | None:
    """Name of the sponsored campaign when the record has it, else its number."""
    info = get(values, "leadMetadataInfo", "sponsoredLeadMetadataInfo", "campaign")
    if isinstance(info, dict):
        return text(info, "name") or text(info, "id")
    urn = as_text(info, "leadMetadataInfo") or text(values, "leadMetadata", "sponsoredLeadMetadata", "campaign")
    return _id(urn) if urn else None


def _id(urn: str) -> str:
    match = _URN_ID.fullmatch(urn)
    return match[1] if match else urn


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    return records(data, ("elements", "results", "records"))


ADAPTER = Adapter(
    NAME,
    "linkedin",
    "LinkedIn lead forms, and LinkedIn messages logged in HubSpot (communications) or Salesforce (tasks)",
    _split,
    adapt,
    adapt_all,
)
