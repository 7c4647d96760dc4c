"""Hand-offs with real workers: timers fire, answers count, a call stops the clock, and a crash neither loses nor doubles any of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.core.commands import Command
from streams.core.identify import nodes
from streams.core.leads import asked, loads
from streams.core.leads.events import LeadEvent, standing
from streams.core.touch import Actor, Customer, Touch
from streams.edge import crash_points
from streams.edge.codec import Codec
from streams.edge.kafka_auth import client_options
from streams.edge.topics import COMMANDS, DEAD_LETTER, IDENTIFIED, LEADS, TOUCH_TOPICS
from streams.settings import Settings
from tests.support.commands import stored, touchstream
from tests.support.drained import wait_drained
from tests.support.scraped import scrape
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

CODEC = Codec()
HOUR = 3_600_000
ALWAYS = """
[touch]
late_after_days = 9000
[[teams]]
name = "all"
sla = "4h"
calendar = { days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], start = "00:00", end = "00:00" }
[[teams.reps]]
id = "ana"
"""
TIMED = ["new", "mql", "handed_off", "sla_near", "sla_breached"]


def publish(settings: Settings, *what: Touch | Command, now: int | None = None) -> None:
    """Touches and commands into Kafka, each as if it had been published when it happened, or `now`."""

    async def run() -> None:
        async with AIOKafkaProducer(**client_options(settings)) as producer:
            for one in what:
                if isinstance(one, Touch):
                    topic, value, at = TOUCH_TOPICS[one.channel], CODEC.encode_touch(one), one.occurred_at
                else:
                    topic, value, at = COMMANDS, CODEC.encode_command(one), one.issued_at
                await producer.send_and_wait(settings.topic(topic), value, key=b"k", timestamp_ms=now or at)

    asyncio.run(run())


def request(who: str, at: int) -> Touch:
    """The customer asks for contact."""
    return Touch(f"{who}-form", "ads", "marketing", "inbound", "lead_form", at, Customer(email=f"{who}@example.com"))


def call(who: str, at: int) -> Touch:
    """A person of sales calls."""
    customer = Customer(email=f"{who}@example.com")
    return Touch(f"{who}-call", "calls", "sales", "outbound", "answered", at, customer, actor=Actor("ana"))


def id_of(settings: Settings, who: str) -> str:
    """The customer's id."""
    return nodes(Customer(email=f"{who}@example.com"), settings.id_key, settings.default_region)[0]


def told(settings: Settings) -> list[LeadEvent]:
    """All that is in the topic, in the order of each partition."""
    return [CODEC.decode_lead_event(record.value or b"") for record in stored(settings, LEADS)]


def loads_told(settings: Settings) -> set[str]:
    """The reps of whom partitions have told each other that they have leads."""
    found = [record.value or b"" for record in stored(settings, IDENTIFIED) if CODEC.is_command(record.value or b"")]
    told = [loads.told_by(one) for one in map(CODEC.decode_command, found) if one.kind == loads.TOLD]
    return {rep for counts in told for rep in counts.leads}


def kinds(settings: Settings, who: str) -> list[str]:
    """What holds of one customer's lead."""
    customer = id_of(settings, who)
    return [event.kind for event in standing(told(settings)) if event.customer == customer]


def ready(make_settings: Callable[..., Settings], tmp_path: Path, rep: str = "", **more: object) -> Settings:
    """An installation whose team works around the clock; `rep` is more of its only rep."""
    path = tmp_path / "policy.toml"
    path.write_text(ALWAYS + rep, encoding="utf-8")
    return make_settings(policy_path=str(path), commit_interval=0.3, **more)


def test_timers_answers_and_calls(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Two customers asked four and a half hours ago, and nobody called within the four hours: both breaches are told. One is accepted,
    which undoes nothing; then the tool reports the call that was made in time, and the breach never was. To the other the call comes
    too late. An answer to nobody's lead is a dead letter."""
    settings = ready(make_settings, tmp_path, "capacity = 9")
    now = time.time_ns() // 1_000_000
    then = now - 9 * HOUR // 2
    with Worker(settings) as worker:
        publish(settings, request("dana", then), request("bo", then))
        wait_until(lambda: kinds(settings, "dana") == kinds(settings, "bo") == TIMED, 60, "the timers to fire")
        publish(settings, asked.lead_command("lead_accepted", id_of(settings, "dana"), "ana", now))
        publish(settings, asked.lead_command("lead_accepted", id_of(settings, "nobody"), "ana", now))
        wait_until(lambda: kinds(settings, "dana") == [*TIMED, "accepted"], 60, "the answer to count")
        publish(settings, call("dana", then + 2 * HOUR), call("bo", now), now=now)
        wait_drained(settings)
        assert kinds(settings, "dana") == ["new", "mql", "handed_off", "working", "accepted"]
        assert kinds(settings, "bo") == [*TIMED, "working"]
        scraped = scrape(worker.metrics_address)
        assert worker.stop() == 0, "".join(worker.log[-30:])
    assert scraped.by("touchstream_lead_sla_total", "team", "result") == {("all", "breached"): 2, ("all", "met"): 1}
    assert scraped.by("touchstream_lead_events_total", "kind")[("accepted",)] == 1
    assert scraped.sum("touchstream_speed_to_lead_seconds_count") == 2
    assert loads_told(settings) == {"ana"}
    lines = touchstream(settings, "tail", "leads", "--no-follow").stdout
    assert "working  handed_off -> working" in lines and "retracted" in lines and "turn of ana" in lines
    worked = {event.customer: event for event in standing(told(settings)) if event.kind == "working"}
    dana, bo = worked[id_of(settings, "dana")], worked[id_of(settings, "bo")]
    assert (dana.in_time, dana.speed_ms, bo.in_time, bo.speed_ms) == (True, 2 * HOUR, False, now - then)
    (letter,) = [CODEC.decode_dead_letter(record.value or b"") for record in stored(settings, DEAD_LETTER)]
    assert (letter.reason, letter.stage) == ("unroutable", "timeline") and "has no lead" in letter.detail


CRASHES = {
    "after_outputs_acknowledged:3": ("after_outputs_acknowledged:1", "lead_accepted", "accepted"),
    "after_outputs_acknowledged:4": ("after_outputs_acknowledged:2", "lead_rejected", "rejected"),
    "after_changelog_sent:2": ("after_changelog_sent:1", "lead_recycled", "recycled"),
}
"""Where a worker ends in the midst of its timers; where one ends in the midst of an answer, and the answer's command and event."""


def test_a_crash_between_timer_or_answer_and_event(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Killed when Kafka has the timer's command, or the answer of sales and what the CRM says of a deal, and nothing of what follows, when
    it has the events but not the timeline, and when it has both but no offset. Started again, each timer and each answer has made one
    event, none is a dead letter, a deal that nobody has is given to one rep, and what stands twice under one id and revision is
    the same."""
    installations = {point: ready(make_settings, tmp_path, session_timeout=6.0) for point in CRASHES}
    with ThreadPoolExecutor(len(CRASHES)) as pool:
        answers = dict(zip(installations, pool.map(crash_twice, installations.values(), CRASHES), strict=True))
    for point, settings in installations.items():
        contents: dict[tuple[str, int], set[LeadEvent]] = defaultdict(set)
        for event in told(settings):
            contents[event.event_id, event.revision].add(event)
        assert {len(same) for same in contents.values()} == {1}, point
        events = [event for (event,) in contents.values()]
        wanted = {CRASHES[point][2]: answers[point][0], "opportunity": answers[point][1]}
        assert Counter(event.kind for event in events) == Counter([*TIMED, *answered(CRASHES[point][2])]), point
        assert {event.kind: event.cause for event in events if event.kind in wanted} == wanted, point
        assert stored(settings, DEAD_LETTER) == [], point


def crash_twice(settings: Settings, point: str) -> list[str]:
    """A worker that ends in the midst of timers, one that goes on and stops, one that ends in the midst of answers, and one that goes on
    until everything has been told. The causes that events of the answers bear."""
    now = time.time_ns() // 1_000_000
    publish(settings, request("dana", now - 9 * HOUR // 2))
    ended(settings, point)
    went_on(settings, TIMED, f"the timers to fire after a crash at {point}")
    later, kind, event = CRASHES[point]
    who, reason = id_of(settings, "dana"), None if event == "accepted" else "no_budget"
    answer = asked.lead_command(kind, who, "ana", now, reason=reason)  # type: ignore[arg-type]
    deal = asked.lead_command("lead_deal", who, "ana", now + 1, deal_id="d1", deal_stage="open")
    publish(settings, answer, deal)
    ended(settings, later)
    went_on(settings, [*TIMED, *answered(event)], f"the answers to count after a crash at {later}")
    return [asked.act_id(command.command_id) for command in (answer, deal)]


def answered(event: str) -> list[str]:
    """What follows from the answer of that event and the deal: a lead that was given back has nobody, so a rep is given the deal."""
    return [event, "opportunity", *([] if event == "accepted" else ["reassigned"])]


def ended(settings: Settings, point: str) -> None:
    """A worker that ends at the point."""
    with Worker(settings, TOUCHSTREAM_CRASH_AT=point) as worker:
        assert worker.ended() == crash_points.EXIT_CODE, "".join(worker.log[-30:])
    assert any(f"crash point {point}" in line for line in worker.log)


def went_on(settings: Settings, wanted: list[str], what: str) -> None:
    """A worker that goes on until this holds of the lead, and nothing more is to come."""
    with Worker(settings) as worker:
        wait_until(lambda: kinds(settings, "dana") == wanted, 60, what)
        wait_drained(settings)
        assert worker.stop() == 0, "".join(worker.log[-30:])
