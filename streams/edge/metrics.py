"""Every metric, once: name, type, labels, meaning, and what to do when it moves.

`CATALOGUE` is the reference (`touchstream metrics` prints it); `Metrics` is the one object that counts in a worker,
`streams.gateway.metrics` the one in a gateway. No customer, touch or finding id is ever a label: their number has no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.registry import REGISTRY

from streams.core.touch import CHANNELS, DEPARTMENTS

# 5 ms to 10 min: finer where the promise lies (p99 under 100 ms at half load), coarse where a backlog is being worked off.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
# A minute to 90 days: at once; within the hours of a nightly sync; two days, as mailbox providers ask for (RFC 8058 one-click); ten
# business days (CAN-SPAM); beyond.
OPT_OUT_BUCKETS = (60, 3_600, 14_400, 86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000)
# Five minutes, the hour within which an answer still counts most, a working day, then days: to the first touch, and in a state.
LEAD_BUCKETS = (60, 300, 900, 3_600, 14_400, 28_800, 86_400, 172_800, 604_800, 2_592_000)
LOOKUP_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
# From half a millisecond: a check takes a few; the goal is a p99 of 20 ms.
REQUEST_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1, 5)
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric of the catalogue. `remedy` tells whoever watches what to do when it moves."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()
    of: Literal["worker", "gateway", "ledger"] = "worker"


CATALOGUE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "touchstream_touches_total", "counter", ("channel", "outcome"),
        "Touches by what became of them: identified (forwarded to its customer), applied (new on the timeline), corrected or deleted (a"
        " higher version), duplicate (already there), outdated (a higher version is there), erased (of a customer who was erased since),"
        " rejected (dead-lettered).",
        "identified without applied: the timeline stage is behind or down. Many duplicates: a producer repeats itself. Rejected: see"
        " touchstream_dead_letters_total.",
    ),
    MetricSpec(
        "touchstream_late_touches_total", "counter", ("channel",),
        "Touches that arrived after a later touch of the same customer was already on the timeline.",
        "Harmless for correctness. A sudden rise: a source reports late; look at its connector.",
    ),
    MetricSpec(
        "touchstream_too_late_touches_total", "counter", ("channel",),
        "Touches that came later than touch.late_after_days of the policy: kept on the timeline and marked, but they re-decide nothing.",
        "A source reports days late: mend its connector, or raise touch.late_after_days if such findings still help somebody.",
    ),
    MetricSpec(
        "touchstream_findings_total", "counter", ("rule", "state"),
        "Findings emitted, by rule and state (detected, amended, retracted).",
        "A jump in double_contact after a campaign starts: hold the campaign for customers that sales is working on.",
    ),
    MetricSpec(
        "touchstream_finding_latency_seconds", "histogram", ("rule",),
        "From the producer's Kafka timestamp to the broker's acknowledgement of the finding.",
        "Grows with lag: add workers (up to the number of partitions), or lower TOUCHSTREAM_MAX_BATCH_RECORDS if lag is zero.",
        LATENCY_BUCKETS,
    ),
    MetricSpec(
        "touchstream_opt_out_latency_seconds", "histogram", ("department", "channel"),
        "From an opt-out to a contact in that channel after it (or in any, by policy), by who made the contact and where, each once.",
        "A contact more than two days after the opt-out: that tool never learns of opt-outs. `touchstream opt-outs` names customer and"
        " sender; stop its campaigns, put the opt-outs into it, mend their sync.",
        OPT_OUT_BUCKETS,
    ),
    MetricSpec(
        "touchstream_lead_events_total", "counter", ("kind", "team"),
        "Changes of leads as first told, by what happened and the team that has the lead (unassigned: none).",
        "handed_off without accepted: sales does not look at its list. unassigned: no team's segment takes these customers, or nobody of it"
        " is free; see [[teams]] in the policy.",
    ),
    MetricSpec(
        "touchstream_leads_returned_total", "counter", ("kind", "reason"),
        "Leads that sales gave back, by how (rejected, recycled, disqualified) and why.",
        "One reason in front: not_icp or bad_data, raise handoff.threshold or mend the source of the data; bad_timing or unresponsive, look"
        " at what the campaign promises.",
    ),
    MetricSpec(
        "touchstream_lead_sla_total", "counter", ("team", "result"),
        "Hand-offs by whether a person of the team got in touch in time (met) or was not by the due time (breached).",
        "Breaches of one team: too few reps for its leads, or leads that come when nobody works; see capacity and calendar in [[teams]].",
    ),
    MetricSpec(
        "touchstream_speed_to_lead_seconds", "histogram", ("team",),
        "From the customer's act to the first touch by a person of sales, nights and weekends included.",
        "The median grows: reps see their leads late. Send `leads` to where they work, and look at the team's calendar and capacity.",
        LEAD_BUCKETS,
    ),
    MetricSpec(
        "touchstream_lead_time_in_state_seconds", "histogram", ("state",),
        "How long leads were in a state when they left it.",
        "Days in handed_off or accepted: nobody works on them. Weeks in working: qualify them or give them back.",
        LEAD_BUCKETS,
    ),
    MetricSpec(
        "touchstream_lag_records", "gauge", ("topic", "partition"),
        "Records between the last one processed and the end of the partition.",
        "Steady growth: input is faster than the worker; add workers. Growth with commit age: the worker is stuck; it exits by itself.",
    ),
    MetricSpec(
        "touchstream_micro_batch_records", "histogram", ("topic",),
        "Records per micro-batch.",
        "Always 1 under load: consumers are starved (slow broker or network). Always at the limit: a backlog is being worked off.",
        SIZE_BUCKETS,
    ),
    MetricSpec(
        "touchstream_commit_age_seconds", "gauge", (),
        "Seconds since the last successful offset commit while records were waiting to be committed; 0 when nothing waits.",
        "Above 30 s: writes are not acknowledged. Look at the brokers (min.insync.replicas, disk); the worker exits and restarts.",
    ),
    MetricSpec(
        "touchstream_dead_letters_total", "counter", ("topic", "reason"),
        "Records sent to the dead-letter topic, by the topic they came from and the reason.",
        "`touchstream tail dead-letter` shows them with address and remedy; mend the producer, then `touchstream dead-letter replay`.",
    ),
    MetricSpec(
        "touchstream_identity_lookups_total", "counter", ("result",),
        "Identity look-ups per touch: hit, new, linked (an identifier was added), merged (two customers became one), blocked (two CRM"
        " records, one identifier), unavailable"
        " (no Redis; decided from the touch alone, corrected by the timeline).",
        "unavailable: bring Redis back; no touch is lost meanwhile. Many merged or blocked: see identity.shared_after in the policy.",
    ),
    MetricSpec(
        "touchstream_identity_lookup_seconds", "histogram", (),
        "One pipelined look-up of a micro-batch in Redis.",
        "Above 25 ms: Redis is far, slow or swapping; it should be in the workers' zone.",
        LOOKUP_BUCKETS,
    ),
    MetricSpec(
        "touchstream_timelines", "gauge", (),
        "Customers whose timeline this worker holds.",
        "Falls to zero after a rebalance gave its partitions away; otherwise grows with the customers.",
    ),
    MetricSpec(
        "touchstream_timelines_bytes", "gauge", (),
        "Bytes of the encoded timelines this worker holds.",
        "Plan memory at about three times this; shorten timeline.retention_days in the policy if it grows without new customers.",
    ),
    MetricSpec(
        "touchstream_recovery_seconds", "gauge", (),
        "Duration of the last recovery of the timelines from the changelog.",
        "Above 60 s: check that the changelog is compacted (`touchstream topics check`).",
    ),
    MetricSpec(
        "touchstream_recovering", "gauge", (),
        "1 while timelines are being restored and no touch is processed, else 0.",
        "1 for minutes: see touchstream_recovery_seconds; 1 for ever: read the worker's log.",
    ),
    MetricSpec(
        "touchstream_produce_failures_total", "counter", ("topic",),
        "Writes that the broker did not acknowledge. Each one ends the worker before it commits.",
        "The log names topic and error: record too large, topic missing, no permission, brokers away.",
    ),
    MetricSpec(
        "touchstream_stage_seconds", "histogram", ("stage",),
        "Time of one micro-batch in one stage: ingest, identify, timeline, write.",
        "Shows which stage to look at when latency grows: write means the brokers, identify means Redis.",
        LATENCY_BUCKETS,
    ),
    MetricSpec(
        "touchstream_view_writes_total", "counter", ("result",),
        "Records copied into the view in Redis, which checks read: written (as they changed), filled (a partition copied whole), and failed"
        " writes to Redis, which are mended later.",
        "failed: Redis is away or full; checks answer by governance.degraded in the policy. filled all the time: Redis loses data.",
    ),
    MetricSpec(
        "touchstream_worker_info", "gauge", ("version", "policy"),
        "Always 1; the worker's version and the fingerprint of the policy that it goes by: the latest published, else its file's.",
        "Two policies at once for minutes, touchstream_gateway_policy included: one is not published (`touchstream policy publish`)"
        " and somebody has another file, or cannot reach Kafka.",
    ),
    MetricSpec(
        "touchstream_policy_partitions", "gauge", ("policy",),
        "Partitions of this worker by the fingerprint of the policy that their timelines are decided by.",
        "Two policies at once for minutes: a partition has not come to the marker of the new one; see touchstream_lag_records, and"
        " `touchstream policy show`.",
    ),
    MetricSpec(
        "touchstream_gateway_policy", "gauge", ("policy",),
        "Always 1; the fingerprint of the policy that a gateway answers by.",
        "Another one than the workers': it cannot read the topic policies, or needs their release; its log says which.",
        of="gateway",
    ),
    MetricSpec(
        "touchstream_gateway_requests_total", "counter", ("route", "status"),
        "Requests to a gateway, by route and status; 499 is one that its caller gave up.",
        "5xx: read the gateway's log, Redis or Kafka is away. 401 or 403: a tool has no token or one of too few scopes. 429: a tool asks"
        " more often than its rate.",
        of="gateway",
    ),
    MetricSpec(
        "touchstream_gateway_request_seconds", "histogram", ("route",),
        "Time of a request to a gateway, by route.",
        "A check above 20 ms: the gateway has too little CPU, or Redis is far; start another gateway. Reservations wait for Kafka's"
        " acknowledgement too.",
        REQUEST_BUCKETS, "gateway",
    ),
    MetricSpec(
        "touchstream_checks_total", "counter", ("answer",),
        "Customers checked, by answer: allowed or refused; what a batch asks counts one by one.",
        "Nearly all refused: see touchstream_checks_degraded_total; else a rule is too strict, which `touchstream backtest --from-kafka`"
        " shows.",
        of="gateway",
    ),
    MetricSpec(
        "touchstream_checks_degraded_total", "counter", ("gap",),
        "Checks that could not see enough, by what was missing; governance.degraded of the policy says what they answer.",
        "redis_away: bring Redis back. view_behind or view_incomplete: workers are down or behind. reservations_incomplete: Kafka is away"
        " after Redis lost its data. identity_incomplete: no worker has rebuilt the identity index yet.",
        of="gateway",
    ),
    MetricSpec(
        "touchstream_gateway_redis_failures_total", "counter", ("kind",),
        "Tries of a gateway that Redis did not answer, by kind: timeout (a second without answer) or connection; each is made once more.",
        "timeout without connection: Redis or this process has too little CPU, and checks wait a second. connection: bring Redis back.",
        of="gateway",
    ),
    MetricSpec(
        "touchstream_reservations_total", "counter", ("outcome",),
        "Reservations, by what became of them: held, refused, committed, released.",
        "held without committed or released: a tool reserves and does not say what it did, which blocks customers until the holds"
        " expire; see requested_by in the topic reservations.",
        of="gateway",
    ),
)  # fmt: skip

SPECS = {spec.name: spec for spec in CATALOGUE}


def counter(registry: CollectorRegistry, name: str) -> Counter:
    """The counter of the catalogue with this name."""
    spec = SPECS[name]
    return Counter(name, spec.meaning, spec.labels, registry=registry)


def gauge(registry: CollectorRegistry, name: str) -> Gauge:
    """The gauge of the catalogue with this name."""
    spec = SPECS[name]
    return Gauge(name, spec.meaning, spec.labels, registry=registry)


def histogram(registry: CollectorRegistry, name: str) -> Histogram:
    """The histogram of the catalogue with this name."""
    spec = SPECS[name]
    return Histogram(name, spec.meaning, spec.labels, registry=registry, buckets=spec.buckets)


def registry_of_process() -> CollectorRegistry:
    """A registry with nothing but the process's own metrics, such as when it was started; a worker's has them anyway."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class Metrics:
    """The worker's counters. One instance a process; tests make their own with a fresh registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self.touches = counter(registry, "touchstream_touches_total")
        self.late_touches = counter(registry, "touchstream_late_touches_total")
        self.too_late_touches = counter(registry, "touchstream_too_late_touches_total")
        self.findings = counter(registry, "touchstream_findings_total")
        self.finding_latency = histogram(registry, "touchstream_finding_latency_seconds")
        self.opt_out_latency = histogram(registry, "touchstream_opt_out_latency_seconds")
        for department in DEPARTMENTS:  # from the start, so that Prometheus sees the first one as a rise
            for channel in CHANNELS:
                self.opt_out_latency.labels(department, channel)
        self.lead_events = counter(registry, "touchstream_lead_events_total")
        self.leads_returned = counter(registry, "touchstream_leads_returned_total")
        self.lead_sla = counter(registry, "touchstream_lead_sla_total")
        self.speed_to_lead = histogram(registry, "touchstream_speed_to_lead_seconds")
        self.lead_time_in_state = histogram(registry, "touchstream_lead_time_in_state_seconds")
        self.lag = gauge(registry, "touchstream_lag_records")
        self.micro_batch = histogram(registry, "touchstream_micro_batch_records")
        self.commit_age = gauge(registry, "touchstream_commit_age_seconds")
        self.dead_letters = counter(registry, "touchstream_dead_letters_total")
        self.identity_lookups = counter(registry, "touchstream_identity_lookups_total")
        self.identity_lookup_seconds = histogram(registry, "touchstream_identity_lookup_seconds")
        self.timelines = gauge(registry, "touchstream_timelines")
        self.timelines_bytes = gauge(registry, "touchstream_timelines_bytes")
        self.recovery_seconds = gauge(registry, "touchstream_recovery_seconds")
        self.recovering = gauge(registry, "touchstream_recovering")
        self.produce_failures = counter(registry, "touchstream_produce_failures_total")
        self.stage_seconds = histogram(registry, "touchstream_stage_seconds")
        self.view_writes = counter(registry, "touchstream_view_writes_total")
        self.worker_info = gauge(registry, "touchstream_worker_info")
        self.policy_partitions = gauge(registry, "touchstream_policy_partitions")
