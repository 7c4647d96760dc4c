"""Why a contact should not be made: one list of reasons, for findings and for checks.

A conflict finding names its rule (`Finding.rule`): the older rules by their own name, a rule of the policy's `[[rules]]` as
`<reason>:<name of the rule>`, such as `frequency_cap:emails-a-week`. `of_rule` gives the reason of either.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reasons, as they are written in findings, checks, events and metrics. New ones may be added; none is ever renamed."""

    DEPARTMENT_OVERLAP = "department_overlap"
    FREQUENCY_CAP = "frequency_cap"
    ACCOUNT_CAP = "account_cap"
    MINIMUM_GAP = "minimum_gap"
    QUIET_HOURS = "quiet_hours"
    HOLIDAY = "holiday"
    AFTER_OPT_OUT = "after_opt_out"
    NO_CONSENT = "no_consent"
    DO_NOT_CONTACT = "do_not_contact"
    OWNER_COLLISION = "owner_collision"
    DUPLICATE_CAMPAIGN = "duplicate_campaign"
    DUPLICATE_SEQUENCE = "duplicate_sequence"
    OPEN_DEAL = "open_deal"
    SALES_LEAD = "sales_lead"
    AFTER_REPLY = "after_reply"
    REJECTION_COOL_DOWN = "rejection_cool_down"
    INCOMPATIBLE_OFFERS = "incompatible_offers"
    STALE_OFFER = "stale_offer"
    INCONGRUENT_MESSAGE = "incongruent_message"
    IDENTITY_CONFLICT = "identity_conflict"
    PLANNED_CONFLICT = "planned_conflict"


MEANING: dict[Reason, str] = {
    Reason.DEPARTMENT_OVERLAP: "Another department contacted the customer shortly before, or will shortly after.",
    Reason.FREQUENCY_CAP: "The customer has had as many contacts as the window allows.",
    Reason.ACCOUNT_CAP: "The customer's company has had as many contacts, or as many of its people were contacted, as allowed.",
    Reason.MINIMUM_GAP: "The last contact is too near.",
    Reason.QUIET_HOURS: "It is night, or another closed time, where the customer is.",
    Reason.HOLIDAY: "It is a public holiday in the customer's country.",
    Reason.AFTER_OPT_OUT: "The customer said no more of this.",
    Reason.NO_CONSENT: "Consent for this channel and purpose is missing, was refused, withdrawn, or has ended.",
    Reason.DO_NOT_CONTACT: "The person or the company is on the do-not-contact list.",
    Reason.OWNER_COLLISION: "Somebody else owns the customer.",
    Reason.DUPLICATE_CAMPAIGN: "The campaign already reached the customer.",
    Reason.DUPLICATE_SEQUENCE: "The customer is in another sequence, or in the same one of somebody else.",
    Reason.OPEN_DEAL: "Sales has an open deal with the customer.",
    Reason.SALES_LEAD: "Sales has the customer's lead and has not given it back.",
    Reason.AFTER_REPLY: "The customer replied, so a machine should be silent.",
    Reason.REJECTION_COOL_DOWN: "The customer rejected us several times and is left alone for a while.",
    Reason.INCOMPATIBLE_OFFERS: "Two offers that must not go to one customer.",
    Reason.STALE_OFFER: "The offer has ended.",
    Reason.INCONGRUENT_MESSAGE: "The message contradicts another one, or the facts of its campaign.",
    Reason.IDENTITY_CONFLICT: "Two records of the CRM claim one identifier.",
    Reason.PLANNED_CONFLICT: "A planned contact would break rules if it were made as planned; its text names them.",
}
"""What each reason says, in one sentence for people."""

_OLDER = {
    "double_contact": Reason.DEPARTMENT_OVERLAP,
    "contact_after_opt_out": Reason.AFTER_OPT_OUT,
    "incongruent_message": Reason.INCONGRUENT_MESSAGE,
    "identity_conflict": Reason.IDENTITY_CONFLICT,
}


def of_rule(rule: str) -> Reason | None:
    """The reason of a finding by its rule; None for a hand-off, which is no conflict."""
    if rule in _OLDER:
        return _OLDER[rule]
    name = rule.partition(":")[0]
    return Reason(name) if name in Reason.__members__.values() else None


def rule_of(reason: Reason, name: str) -> str:
    """How a finding names a rule of the policy."""
    return f"{reason}:{name}"
