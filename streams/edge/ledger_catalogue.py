"""The metrics of `touchstream ledger`, each with its meaning and what to do when it moves."""

from __future__ import annotations

from functools import partial

from streams.edge.metrics import MetricSpec

_spec = partial(MetricSpec, of="ledger")

CATALOGUE: tuple[MetricSpec, ...] = (
    _spec(
        "touchstream_ledger_roi_ratio", "gauge", ("period", "currency", "department"),
        "Return on investment by department: what it brought in by the policy's model, less what it cost, a unit of cost.",
        "Negative for a quarter that is over: `touchstream report` shows by which channel and campaign.",
    ),
    _spec(
        "touchstream_ledger_credit", "gauge", ("period", "currency", "department", "model"),
        "Closed revenue by whose work it was, by attribution model.",
        "Models far apart: the journeys are long; read the report before budgets are moved.",
    ),
    _spec(
        "touchstream_ledger_spend", "gauge", ("period", "currency", "department"),
        "What each department cost.",
        "A month without cost: the books are late; `touchstream costs` brings them.",
    ),
    _spec(
        "touchstream_ledger_revenue", "gauge", ("period", "currency"),
        "Closed revenue.",
        "Differs from the CRM's: look for refused deals with `touchstream dead-letter list`, and in its log for what has no rate.",
    ),
    _spec(
        "touchstream_ledger_contacts", "gauge", ("period", "department"),
        "Contacts with customers, each call once, by department.",
        "A fall to nothing: a source has stopped; see touchstream_touches_total.",
    ),
    _spec(
        "touchstream_ledger_lag_records", "gauge", (),
        "Records that the ledger has not read yet, all its topics together.",
        "Steady growth: the process is stuck or too slow; read its log.",
    ),
    _spec(
        "touchstream_ledger_refresh_seconds", "gauge", (),
        "Time that the last reckoning of changed periods took.",
        "Above a minute: give the process a faster core; figures are that much older.",
    ),
    _spec(
        "touchstream_ledger_facts", "gauge", ("kind",),
        "Touches, customers' identifiers, deals, costs, changes of leads and conflicts that the ledger knows.",
        "Plan memory by the touches: some 600 bytes each.",
    ),
    _spec(
        "touchstream_ledger_funnel_customers", "gauge", ("period", "department", "step"),
        "Customers that came at least as far as a step, by the department of their first contact: conversions by stage.",
        "A step that fewer pass than last quarter: `touchstream report` shows by which campaign and stage.",
    ),
    _spec(
        "touchstream_ledger_conflicts_per_1000_contacts", "gauge", ("period", "department"),
        "Conflicts for each 1,000 contacts of the department whose contact made them.",
        "A rise: `touchstream tail conflicts` says which rules; let that department's tools ask the gateway before they send.",
    ),
    _spec(
        "touchstream_ledger_handoffs", "gauge", ("period", "team", "answer"),
        "Hand-offs made in the quarter, by sales' first answer: accepted, rejected, recycled, disqualified, no_answer.",
        "Many without an answer: see touchstream_ledger_open_handoffs for those that wait now. Over half the answers are refusals: read"
        " the reasons (touchstream_ledger_recycle_ratio) with both departments, then change [handoff] in the policy.",
    ),
    _spec(
        "touchstream_ledger_acceptance_ratio", "gauge", ("period", "team"),
        "Share of the quarter's hand-offs that sales accepted, or began to work on.",
        "Below a half: read the reasons (touchstream_ledger_recycle_ratio) with both departments, then change [handoff] in the policy.",
    ),
    _spec(
        "touchstream_ledger_recycle_ratio", "gauge", ("period", "reason"),
        "Share of the quarter's hand-offs that sales rejected, gave back or disqualified, by its reason.",
        "not_icp or bad_data: marketing's targeting. bad_timing or no_need: the threshold is too low. unresponsive: sales comes too late.",
    ),
    _spec(
        "touchstream_ledger_sla_breach_ratio", "gauge", ("period", "team", "hour"),
        "Share of the assignments that nobody touched in time, by team and by the hour of the owner's day in which they came.",
        "High at some hours: nobody is there then; change reps, calendars or `sla` of the team in the policy.",
    ),
    _spec(
        "touchstream_ledger_speed_to_lead_seconds", "gauge", ("period", "team", "clock", "quantile"),
        "From the customer's act to the first touch by a person of sales; clock: elapsed, or business time of the owner. 0.5 and 0.9.",
        "business far below elapsed: requests come out of hours. Both high: too few reps, or they do not see their hand-offs.",
    ),
    _spec(
        "touchstream_ledger_state_seconds", "gauge", ("period", "state", "quantile"),
        "Time that leads were in a state before they left it, 0.5 and 0.9.",
        "Growth in handed_off or accepted: sales is behind. In recycled: nobody nurtures what sales gave back.",
    ),
    _spec(
        "touchstream_ledger_contradicted_handoffs", "gauge", ("period", "team"),
        "Hand-offs of the quarter during which a campaign of marketing went on to reach the customer.",
        "Marketing's tools do not hold while sales has the customer: let them ask the gateway before they send.",
    ),
    _spec(
        "touchstream_ledger_open_handoffs", "gauge", ("team", "problem"),
        "Leads that are with sales now; problem: none, orphan (nobody owns it or has taken it up), overdue (nobody got in touch in"
        " time), contradicted (a campaign has reached the customer since, within 7 days). A lead with several counts in each.",
        "`touchstream handoff list` names them. orphan: no team takes the customer, or nobody is free: mend [[teams]]. overdue: call, or"
        " give it to somebody else. contradicted: take the customer out of the campaign; 7 days after its last contact it counts no more.",
    ),
    _spec(
        "touchstream_ledger_current_timestamp_seconds", "gauge", (),
        "When the ledger last had read all there was and published what follows (UNIX time).",
        "Minutes old: the process hangs or stands by for another one that does; read its log, and restart it.",
    ),
)  # fmt: skip
