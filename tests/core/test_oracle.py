"""The core finds what a second, quadratic reading of the issue finds, on histories in which everything collides."""

from __future__ import annotations

import ast
import random
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.core import backtest
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.touch import Customer, Touch
from tests.core import oracle
from tests.core.strategies import (
    CALLS,
    HOUR,
    ID_KEY,
    NOW,
    REGION,
    START,
    call_policies,
    histories,
    one_customer,
    policies,
    some_customers,
    with_leads,
)

SPOKEN_OF = ("double_contact", "contact_after_opt_out", "handoff")


def run(touches: list[Touch], policy: Policy) -> list[Finding]:
    """The backtest's findings."""
    return backtest.run(touches, policy, id_key=ID_KEY, region=REGION, now=NOW).findings


def agree(touches: list[Touch], policy: Policy) -> list[oracle.Claimed]:
    """Asserts that core and oracle find the same; returns it."""
    try:
        wanted = oracle.findings(touches, policy, ID_KEY)
    except oracle.DoubtfulError:
        assume(False)
    found = [
        oracle.Claimed(finding.event_time, finding.rule, finding.customer, finding.touch_ids)
        for finding in run(touches, policy)
        if finding.rule in SPOKEN_OF
    ]
    assert sorted(found) == wanted
    return wanted


@settings(max_examples=300, deadline=None)
@given(histories(one_customer), policies | with_leads)
def test_one_customer_has_the_oracles_findings(touches: list[Touch], policy: Policy) -> None:
    """All touches of one person: the same findings, by rule, touches and time."""
    agree(touches, policy)


@settings(max_examples=200, deadline=None)
@given(histories(one_customer, max_size=20, what=CALLS), call_policies)
def test_calls_are_joined_as_the_oracle_joins_them(touches: list[Touch], policy: Policy) -> None:
    """Mostly phases of calls, near and far apart, of some reps and interactions: the same contacts, so the same findings."""
    agree(touches, policy)


@settings(max_examples=200, deadline=None)
@given(histories(some_customers), policies | with_leads)
def test_merging_customers_have_the_oracles_findings(touches: list[Touch], policy: Policy) -> None:
    """Persons whose identifiers meet somewhere in the history: the same customers, and the same findings for each."""
    agree(touches, policy)


@settings(max_examples=100, deadline=None)
@given(histories(some_customers), policies, st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_byte(touches: list[Touch], policy: Policy, rng: random.Random) -> None:
    """Shuffled and partly doubled, the touches give findings equal in every field, in the same order."""
    again = [*touches, *rng.sample(touches, rng.randrange(len(touches) + 1))]
    rng.shuffle(again)
    assert run(again, policy) == run(touches, policy)


def test_long_random_histories_agree() -> None:
    """Hundreds of touches of a few people, beyond what hypothesis builds: the same, and every rule is seen at work."""
    rng, seen = random.Random(7), set()
    for _ in range(12):
        touches = [
            Touch(
                f"t{n}",
                channel=(kind := rng.choice(KINDS))[0],
                department=rng.choice(("marketing", "sales", "service")),
                direction=kind[1],
                kind=kind[2],
                occurred_at=START + rng.randrange(2000) * HOUR // 4,
                customer=Customer(email=f"p{rng.randrange(4)}@example.com"),
                interaction_id=rng.choice((None, f"i{rng.randrange(40)}")),
            )
            for n in range(240)
        ]
        seen |= {claimed.rule for claimed in agree(touches, Policy())}
    assert seen == set(SPOKEN_OF)


KINDS = (
    ("email", "outbound", "sent"),
    ("calls", "outbound", "dialed"),
    ("calls", "outbound", "answered"),
    ("calls", "outbound", "voicemail"),
    ("linkedin", "outbound", "message_sent"),
    ("email", "inbound", "clicked"),
    ("ads", "inbound", "ad_click"),
    ("linkedin", "inbound", "unsubscribed"),
    ("ads", "inbound", "lead_form"),
)


RECORDS = {"consent", "entry", "govern.policy", "govern.records", "policy", "touch"}


def test_oracles_know_nothing_of_what_they_prove() -> None:
    """The oracles import of the core only what holds values: the records and the policy."""
    for name in ("oracle", "past_oracle", "past_people", "past_reading", "govern/oracle"):
        text = Path(__file__).parent.joinpath(f"{name}.py").read_text(encoding="utf-8")
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        named = {node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in nodes}
        used = {module.removeprefix("streams.core.") for module in named if module.startswith("streams")}
        assert used <= RECORDS, name
