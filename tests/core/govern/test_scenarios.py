"""Stories on the borders of each rule (`scenarios/*.json`): the verdict, the rules broken, and the first free slots.

A file has rules of its own as the policy's TOML, and cases. Each case: `history` (touches in short), `contact`, what is known besides
(`standing`), and what must come out. Times are RFC 3339; `now` is the contact's time unless given.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from streams.core.consent import Consent
from streams.core.entry import Entry, key
from streams.core.govern.check import check
from streams.core.govern.policy import Rule
from streams.core.govern.reasons import Reason
from streams.core.govern.records import Contact, Standing
from streams.core.policy import Policy, parse
from streams.core.touch import Claim

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.json"))
_USUAL = {"sent": "email", "message_sent": "linkedin"} | dict.fromkeys(("dialed", "answered", "no_answer"), "calls")
_TIMES = ("at", "until", "now")
_INBOUND = ("replied", "unsubscribed", "complained", "opened", "meeting")


def _ms(text: str) -> int:
    return (dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def _with_ms(value: Any) -> Any:
    """The same with every time as milliseconds."""
    if isinstance(value, list):
        return [_with_ms(one) for one in value]
    if isinstance(value, dict):
        return {k: _ms(one) if k in _TIMES and isinstance(one, str) else _with_ms(one) for k, one in value.items()}
    return value


def _entry(n: int, given: dict[str, Any]) -> Entry:
    kind = given["kind"]
    usual = {
        "id": f"t{n}",
        "channel": _USUAL.get(kind, "email"),
        "department": "marketing",
        "direction": "inbound" if kind in _INBOUND else "outbound",
        "interaction_id": f"i{n}",
    }
    offer = given.pop("offer", None)
    claims = (Claim("offer", "", offer, offer),) if offer else ()
    return Entry(**{**usual, "claims": claims, **given})


def _cases() -> list[Any]:
    found = []
    for file in FILES:
        told = json.loads(file.read_text(encoding="utf-8"))
        names = "".join(f'[[rules]]\nname = "{rule.name}"\nenabled = false\n' for rule in Policy().rules)
        policy = parse(names + "\n".join(told["policy"]), file.name)
        found += [pytest.param(policy, case, id=f"{file.stem}: {case['case']}") for case in told["cases"]]
    return found


@pytest.mark.parametrize(("policy", "case"), _cases())
def test_a_border(policy: Policy, case: dict[str, Any]) -> None:
    """The verdict is the one the story tells."""
    told = _with_ms(case)
    history = sorted((_entry(n, dict(one)) for n, one in enumerate(told.get("history", ()))), key=key)
    contact = msgspec.convert({"department": "marketing", "channel": "email", **told["contact"]}, Contact)
    known = told.get("standing", {})
    consents = tuple(Consent(**one) for one in known.get("consents", ()))  # on the wire it has no names
    standing = replace(msgspec.convert({**known, "consents": ()}, Standing), consents=consents)
    verdict = check(tuple(history), contact, policy, told.get("now", 0), standing)
    expected = case["expect"]
    assert [(one.rule, str(one.reason)) for one in verdict.violations] == [tuple(one) for one in expected["broken"]]
    assert verdict.allowed is expected["allowed"]
    for channel, at in expected.get("slots", {}).items():
        assert verdict.slots[channel] == (None if at is None else _ms(at)), channel
    for name in ("action", "route_to"):
        if name in expected:
            assert getattr(verdict, name) == expected[name]
    if "evidence" in expected:
        assert [[proof.id for proof in one.evidence] for one in verdict.violations] == expected["evidence"]
    if "text" in expected:
        assert [one.text for one in verdict.violations] == expected["text"]


def test_every_kind_of_rule_has_stories() -> None:
    """No kind of rule is without a scenario that breaks it and one that does not; every reason of a rule is seen."""
    broken: set[str] = set()
    for file in FILES:
        told = json.loads(file.read_text(encoding="utf-8"))
        outcomes = {bool(case["expect"]["broken"]) for case in told["cases"]}
        assert outcomes == {True, False}, file.name
        broken |= {reason for case in told["cases"] for _, reason in case["expect"]["broken"]}
    of_rules = set(Reason) - {Reason.INCONGRUENT_MESSAGE, Reason.IDENTITY_CONFLICT, Reason.PLANNED_CONFLICT}
    assert broken == {str(reason) for reason in of_rules}
    kinds = {kind.__struct_config__.tag for kind in Rule.__args__}
    written = " ".join(file.read_text(encoding="utf-8") for file in FILES)
    assert {kind for kind in kinds if f'kind = \\"{kind}\\"' not in written} == set()
