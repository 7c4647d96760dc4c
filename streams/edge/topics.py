"""Every topic, once: what it holds, who writes and reads it, how it is kept. No topic name is written anywhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.core.touch import CHANNELS
from streams.settings import Settings

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. `name` is without the tenant's prefix; `config` are Kafka's topic settings; `schema` is a subject of
    `schemas/` or None for bytes that only touchstream reads."""

    name: str
    meaning: str
    key: str
    schema: str | None
    written_by: str
    read_by: str
    config: dict[str, str] = field(default_factory=dict)


def _keep(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


# A deleted key must reach a reader that was down for a week; a quiet segment is compacted within a day; a changelog that is
# mostly dead records makes recovery slow, so compaction starts at a tenth. Kafka never compacts the segment that it is writing:
# at its default of 1 GiB every partition keeps up to a gigabyte of dead records, whatever the number of customers.
_COMPACT = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(7 * DAY_MS),
    "max.compaction.lag.ms": str(DAY_MS),
    "min.cleanable.dirty.ratio": "0.1",
    "segment.bytes": str(64 * 1024 * 1024),
}

TOUCH_TOPICS = {channel: f"touches.{channel}" for channel in CHANNELS}
IDENTIFIED = "touches.identified"
COMMANDS = "commands"
IDENTITIES = "identities"
CONFLICTS = "conflicts"
HANDOFFS = "handoffs"
LEADS = "leads"
DEAD_LETTER = "touches.dead-letter"
ERASURES = "erasures"
RESERVATIONS = "reservations"
POLICIES = "policies"
DEALS = "deals"
COSTS = "costs"
LEDGER_FACTS = "ledger.facts"
LEDGER = "ledger"
TIMELINES_TABLE = "timelines"

CATALOGUE: tuple[TopicSpec, ...] = (
    *(
        TopicSpec(
            name, f"Touches in the channel {channel}, as producers publish them.", "the producer's contact id, pseudonymous",
            "touch", "producers: SDK, `touchstream send`, `touchstream import`", "worker, ingest stage", _keep(30),
        )
        for channel, name in TOUCH_TOPICS.items()
    ),
    TopicSpec(
        IDENTIFIED, "Touches of known customers; between them, as commands, merges, splits and what others asked for.", "customer id",
        "identified_touch", "worker, identify, requests and timeline stages", "worker, timeline stage", _keep(7),
    ),
    TopicSpec(
        COMMANDS,
        "What others ask for: acknowledge a finding, answer a hand-off, split a customer, erase one, change the policy; what they plan.",
        "customer id, or any id of the customer",
        "command", "`touchstream` commands, `touchstream ledger`, your systems", "worker, requests stage", _keep(30),
    ),
    TopicSpec(
        IDENTITIES, "Log of the identity index: which identifier or id leads to which id. Rebuilds a lost Redis.", "identifier id",
        None, "worker, identify stage", "worker, at start", _COMPACT,
    ),
    TopicSpec(
        CONFLICTS, "Conflicts between departments; fold by finding_id, highest revision wins.", "customer id",
        "conflict", "worker, timeline stage", "downstream systems; `touchstream ledger`", _keep(90),
    ),
    TopicSpec(
        HANDOFFS, "Hand-offs from marketing to sales; fold by finding_id, highest revision wins.", "customer id",
        "handoff", "worker, timeline stage", "downstream systems", _keep(90),
    ),
    # A customer has many events, so it is not compacted. Kept for longer than alerts: an open lead may be as old as a long sale.
    TopicSpec(
        LEADS, "Changes of leads, from the first reaction to the deal; fold by event_id, highest revision wins.", "customer id",
        "lead_event", "worker, timeline stage", "downstream systems; `touchstream handoff`, `report` and `ledger`", _keep(400),
    ),
    TopicSpec(
        DEAD_LETTER, "Input that could not go on, with reason and address; can be replayed.", "as the record's, hashed unless pseudonymous",
        "dead_letter", "worker, all stages; `touchstream import`", "`touchstream dead-letter`", _keep(30),
    ),
    # Whoever must prove an erasure (GDPR article 5(2)) must do so until claims are barred, in most places three years after the year's end.
    TopicSpec(
        ERASURES, "Receipts of erasures in parts, without personal data; fold by request_id.", "customer id",
        "erasure", "worker, requests and timeline stages", "`touchstream customer`, your records", _keep(4 * 366),
    ),
    # Slots are looked for up to a month ahead, and a year at most by policy; a released or expired reservation only takes room.
    TopicSpec(
        RESERVATIONS, "Contacts held for customers, in their latest state. Rebuilds a lost Redis.", "reservation id",
        "reservation", "gateway; worker, an erasure's null values", "gateway, at start; worker, for an erasure",
        {**_COMPACT, **_keep(400), "cleanup.policy": "compact,delete"},
    ),
    TopicSpec(
        POLICIES, "Every policy that was published; the latest is in force.", "publication id",
        "policy", "worker, requests stage", "worker, gateway; `touchstream policy`", _COMPACT,
    ),
    # A deal names its customer as the CRM does, so it is kept no longer than a touch; the ledger keeps what it needs of it.
    TopicSpec(
        DEALS, "Deals as the CRM sees them; fold by deal_id, highest version wins.", "deal id",
        "deal", "your CRM: SDK, `touchstream deals`", "`touchstream report`, `touchstream ledger`", _keep(30),
    ),
    TopicSpec(
        COSTS, "Money spent, by department and days; fold by cost_id, highest version wins.", "cost id",
        "cost", "your books: SDK, `touchstream costs`", "`touchstream report`, `touchstream ledger`", _COMPACT,
    ),
    TopicSpec(
        LEDGER_FACTS, "What the ledger knows of touches, customers, leads, conflicts, deals, costs, pseudonymous: longer than its sources.",
        "kind:id", None, "`touchstream ledger`", "`touchstream ledger`, at start; `touchstream report`", _COMPACT,
    ),
    TopicSpec(
        LEDGER, "Every figure of the ledger by month and quarter; of one key the highest revision wins.",
        "period|currency|measure|dimension|key",
        "ledger_total", "`touchstream ledger`", "downstream systems; `touchstream ledger`, at start", _COMPACT,
    ),
)  # fmt: skip


def changelog(settings: Settings) -> str:
    """Name of the timelines' changelog topic, as Faust derives it from the application id and the table's name."""
    return f"{settings.app_id}-{TIMELINES_TABLE}-changelog"


def catalogue(settings: Settings) -> tuple[TopicSpec, ...]:
    """All topics of an installation under their full names, the changelog included."""
    named = tuple(
        TopicSpec(settings.topic(t.name), t.meaning, t.key, t.schema, t.written_by, t.read_by, t.config)
        for t in CATALOGUE
    )
    log = TopicSpec(
        changelog(settings), "Changelog of the timelines table: the state of every customer, a long one in parts.", "customer id[#part]",
        None, "worker, timeline stage", "worker, at start and after a rebalance", _COMPACT,
    )  # fmt: skip
    return (*named, log)
