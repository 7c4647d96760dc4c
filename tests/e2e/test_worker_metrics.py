"""A real worker's metrics: they add up, mean what the catalogue says, and fill every panel and alert of ours."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from streams.core import backtest
from streams.core.backtest import Result
from streams.core.policy import Policy
from streams.core.touch import Customer, Touch
from streams.edge import topic_admin
from streams.edge.codec import Codec
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.kafka_auth import client_options
from streams.edge.metrics import CATALOGUE
from streams.edge.topics import CONFLICTS, HANDOFFS, IDENTIFIED, TOUCH_TOPICS
from streams.settings import Settings
from tests.support import histories
from tests.support.commands import buried, stored
from tests.support.drained import wait_drained
from tests.support.prometheus import GATEWAY_JOB, LEDGER_JOB, PrometheusServer
from tests.support.promql import ALERTS, Expression, alert_selectors, dashboard_expressions
from tests.support.publishing import publish
from tests.support.scraped import Scraped, scrape
from tests.support.stack import fresh_settings
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

CODEC = Codec()
WORKERS = [spec for spec in CATALOGUE if spec.of == "worker"]
PARTS = 14
YEAR_2000 = 946_800_000_000

# What has no series on a healthy worker, and why.
EMPTY_WHEN_HEALTHY = {
    "touchstream_produce_failures_total": "counts only when a broker refuses a write, and the worker leaves with the first one",
    "touchstream_lead": "counts only where the policy has teams (see test_leads)",
    "touchstream_speed_to_lead": "as those of leads",
    'result="unavailable"': "counts only while Redis is away (see test_worker_start)",
}


TROUBLE = (
    "TouchstreamNoWorker",
    "TouchstreamWorkerDown",
    "TouchstreamTwoPolicies",
    "TouchstreamCommitStuck",
    "TouchstreamProduceFailures",
    "TouchstreamTimelineStalled",
    "TouchstreamRecovering",
    "TouchstreamIdentityUnavailable",
)


@dataclass(frozen=True)
class Story:
    """A worker that has read a history, and what it should say about it."""

    settings: Settings
    worker: Worker
    sent: list[Touch]
    bad: int
    wanted: Result
    prometheus: PrometheusServer
    answers: dict[Expression, list[dict[str, object]]]
    metrics: Scraped


async def publish_garbage(settings: Settings) -> None:
    """A record that is no touch to every touch topic."""
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        for name in TOUCH_TOPICS.values():
            await producer.send_and_wait(settings.topic(name), b"garbage", b"key")


def history() -> tuple[list[Touch], list[Touch]]:
    """Distinct touches, and the stream they come in: late ones, customers whose identifiers are linked late, a tenth twice; in each
    part of it one that comes decades too late."""
    touches = list(histories.touches(seed=8, customers=30, count=700))
    rng = random.Random(8)
    stream = [*touches, *rng.sample(touches, 70)]
    rng.shuffle(stream)
    ancient = [
        replace(touches[n], touch_id=f"ancient-{n}", occurred_at=YEAR_2000, customer=Customer(crm_id=f"ancient-{n}"))
        for n in range(PARTS)
    ]
    for n, touch in enumerate(ancient):
        stream.insert(n * len(stream) // PARTS, touch)
    return [*touches, *ancient], stream


def expressions() -> list[Expression]:
    """Everything that Grafana and Prometheus ask of workers."""
    return [
        one
        for one in dict.fromkeys([*dashboard_expressions(), *alert_selectors()])
        if not any(other in one.promql for other in (GATEWAY_JOB, LEDGER_JOB, "touchstream_ledger_"))
    ]


@pytest.fixture(scope="module")
def story(stack: EmbeddedStack) -> Iterator[Story]:
    """A worker and a Prometheus that scrapes it while the history comes in, a little at a time."""
    settings = fresh_settings(stack, session_timeout=6.0)
    asyncio.run(topic_admin.create_missing(settings))
    touches, stream = history()
    now = time.time_ns() // 1_000_000
    wanted = backtest.run(touches, Policy(), id_key=settings.id_key, region=settings.default_region, now=now)
    with Worker(settings) as worker, PrometheusServer([worker.metrics_address], ALERTS) as prometheus:
        size = -(-len(stream) // PARTS)
        for part in range(PARTS):  # rates look back ten seconds: something must happen in each of them
            publish(settings, stream[part * size : (part + 1) * size])
            asyncio.run(publish_garbage(settings))
            prometheus.wait_scraped(times=part + 1)
        answers = {one: prometheus.query(one.promql) for one in expressions()}
        wait_drained(settings)
        wait_until(lambda: idle(scrape(worker.metrics_address)), 60, "the gauges of an idle worker")
        metrics = scrape(worker.metrics_address)
        yield Story(settings, worker, stream, len(TOUCH_TOPICS) * PARTS, wanted, prometheus, answers, metrics)
    asyncio.run(topic_admin.delete(settings))


def idle(metrics: Scraped) -> bool:
    """Nothing to read, nothing to commit."""
    lags = metrics.series("touchstream_lag_records")
    return bool(lags) and not any(lag for _, lag in lags) and metrics.sum("touchstream_commit_age_seconds") == 0


def test_every_panel_and_alert_finds_its_series(story: Story) -> None:
    """Each expression of the dashboard and each series in an alert is there on a real worker, but for those that mean trouble."""
    empty = [one for one, answer in story.answers.items() if not answer]
    unexplained = [one for one in empty if not any(part in one.promql for part in EMPTY_WHEN_HEALTHY)]
    assert unexplained == []
    assert all(any(part in one.promql for one in empty) for part in EMPTY_WHEN_HEALTHY), "explains what is not empty"


def test_no_alarm_without_trouble(story: Story) -> None:
    """Every rule runs, and none of the alerts about a broken worker fires or waits. Those about speed are left out: they tell of
    the machine that runs the test."""
    rules = {rule["name"]: rule for rule in story.prometheus.rules()}
    assert {name for name, rule in rules.items() if rule["health"] != "ok"} == set()
    assert {rules[name]["state"] for name in TROUBLE} == {"inactive"}
    assert rules["TouchstreamDeadLetters"]["state"] == "firing"


def test_every_metric_of_the_catalogue_is_served(story: Story) -> None:
    """Each name of the catalogue stands in /metrics, and no other of ours."""
    suffixes = {"counter": "", "gauge": "", "histogram": "_count"}
    served = {name for name, _, _ in story.metrics.samples if name.startswith("touchstream_")}
    healthy = {spec.name + suffixes[spec.type] for spec in WORKERS} - {"touchstream_produce_failures_total"}
    healthy = {name for name in healthy if not name.startswith(("touchstream_lead", "touchstream_speed_to_lead"))}
    assert healthy <= served  # leads need a policy with teams: see test_leads
    ours = tuple(spec.name.removesuffix("_total") for spec in WORKERS)
    assert [name for name in served if not name.startswith(ours)] == []


def test_touches_add_up(story: Story) -> None:
    """Each record sent is identified or rejected, by channel; each identified touch is applied or a duplicate."""
    counted = story.metrics.by("touchstream_touches_total", "channel", "outcome")
    sent = Counter(touch.channel for touch in story.sent)
    assert {channel: counted[channel, "identified"] for channel in TOUCH_TOPICS} == sent
    assert sum(counted[channel, "rejected"] for channel in TOUCH_TOPICS) == story.bad
    for channel in TOUCH_TOPICS:
        assert counted[channel, "applied"] + counted.get((channel, "duplicate"), 0) == sent[channel]
    distinct = Counter(touch.channel for touch in {touch.touch_id: touch for touch in story.sent}.values())
    # A repeated touch that overtakes its customer's merge is new to the timeline that the first one is still on its way to.
    again = {channel: counted[channel, "applied"] - distinct[channel] for channel in TOUCH_TOPICS}
    assert min(again.values()) >= 0
    assert sum(again.values()) <= story.metrics.sum("touchstream_identity_lookups_total", result="merged")
    assert 0 < story.metrics.sum("touchstream_late_touches_total") <= sum(distinct.values())


def test_dead_letters_are_counted(story: Story) -> None:
    """As many dead letters as bad records, of the topics they came from."""
    letters = Counter((letter.origin.topic, letter.reason) for letter in buried(story.settings) if letter.origin)
    assert letters.total() == story.bad
    assert story.metrics.by("touchstream_dead_letters_total", "topic", "reason") == letters


def test_findings_are_the_records_of_the_alert_topics(story: Story) -> None:
    """touchstream_findings_total is the number of records by rule and state, corrections included."""
    records = stored(story.settings, CONFLICTS, HANDOFFS)
    emitted = Counter(
        (one.rule, one.state) for one in (CODEC.decode_finding(record.value or b"") for record in records)
    )
    assert story.metrics.by("touchstream_findings_total", "rule", "state") == emitted
    assert {rule for rule, _ in emitted} == {one.rule for one in story.wanted.findings}
    assert {state for _, state in emitted} == {"detected", "amended", "retracted"}


def test_latency_is_plausible(story: Story) -> None:
    """Findings that a touch led to are timed: more than none, at most all, none longer than the test, the middle under 5 s."""
    name = "touchstream_finding_latency_seconds"
    by_rule = story.metrics.by(f"{name}_count", "rule")
    emitted = story.metrics.by("touchstream_findings_total", "rule")
    assert by_rule.keys() == emitted.keys()
    assert all(0 < by_rule[rule] <= emitted[rule] for rule in emitted)
    count = sum(by_rule.values())
    assert story.metrics.sum(f"{name}_bucket", le="300.0") == count
    assert story.metrics.sum(f"{name}_bucket", le="5.0") > count / 2
    assert 0 < story.metrics.sum(f"{name}_sum") < 300 * count


def test_micro_batches_hold_all_records(story: Story) -> None:
    """The sum of micro-batch sizes is the number of records read, by topic."""
    settings = story.settings
    read = story.metrics.by("touchstream_micro_batch_records_sum", "topic")
    for name in (*TOUCH_TOPICS.values(), IDENTIFIED):
        assert read[(settings.topic(name),)] == len(stored(settings, name))
    stages = story.metrics.by("touchstream_stage_seconds_count", "stage")
    assert {stage for (stage,) in stages} == {"ingest", "identify", "timeline", "write"}


def test_identities_are_looked_up_once_a_touch(story: Story) -> None:
    """Look-ups by result add up to the touches; some were new, known, linked and merged; none went without Redis."""
    results = story.metrics.by("touchstream_identity_lookups_total", "result")
    assert sum(results.values()) == len(story.sent)
    assert {result for (result,) in results} == {"new", "hit", "linked", "merged"}


def test_timelines_are_the_customers(story: Story) -> None:
    """touchstream_timelines is the number of customers that the backtest ends with."""
    assert story.metrics.sum("touchstream_timelines") == len(story.wanted.timelines)
    assert story.metrics.sum("touchstream_timelines_bytes") > 100 * len(story.wanted.timelines)
    assert story.metrics.sum("touchstream_recovering") == 0


def test_a_second_worker_takes_its_share(story: Story) -> None:
    """When partitions move, their lag goes with them; both workers' customers are all customers; the new one has recovered
    them and says how long it took; both are idle again, and both stop with 0."""
    settings, first = story.settings, story.worker
    places = {tuple(labels.values()) for labels, _ in story.metrics.series("touchstream_lag_records")}
    with Worker(settings) as second:

        def shares() -> tuple[Scraped, Scraped] | None:
            both = scrape(first.metrics_address), scrape(second.metrics_address)
            held = [{tuple(labels.values()) for labels, _ in one.series("touchstream_lag_records")} for one in both]
            apart = held[0] | held[1] == places and not held[0] & held[1] and all(held)
            customers = [one.sum("touchstream_timelines") for one in both]
            complete = all(customers) and sum(customers) == len(story.wanted.timelines)
            return both if apart and complete and all(idle(one) for one in both) else None

        _, two = wait_until(shares, 90, "each partition's lag and each customer on one of two idle workers")
        assert 0 < two.sum("touchstream_recovery_seconds") < 120
        assert two.sum("touchstream_touches_total") == 0, "what was committed is not read again"
        assert second.stop() == 0, "".join(second.log[-30:])
    assert first.stop() == 0, "".join(first.log[-30:])
