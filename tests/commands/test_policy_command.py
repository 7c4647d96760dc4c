"""`touchstream policy`: the published schema is fresh and knows every knob; every reason is told; `backtest --against`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
from click.testing import CliRunner

from streams.cli import main
from streams.core import touch_json
from streams.core.govern.reasons import MEANING, Reason, of_rule, rule_of
from streams.core.touch import Actor, Customer, Touch

ROOT = Path(__file__).parents[2]


def _run(*arguments: str, exit_code: int = 0, text: bytes | None = None) -> str:
    result = CliRunner(env={"TOUCHSTREAM_ID_KEY": "k"}).invoke(main, list(arguments), input=text)
    assert result.exit_code == exit_code, result.output
    return result.output if exit_code else result.stdout  # progress goes to standard error


def test_the_published_schema_is_fresh() -> None:
    """schemas/policy.schema.json is what `touchstream policy schema` prints; if not, run it again."""
    assert (ROOT / "schemas" / "policy.schema.json").read_text(encoding="utf-8") == _run("policy", "schema")


def test_the_schema_knows_every_knob_of_the_shipped_policy() -> None:
    """Each section, each knob and each rule's knobs stand in the schema, and a rule's kind decides which; no others are allowed."""
    schema: dict[str, Any] = json.loads(_run("policy", "schema"))
    definitions = schema["$defs"]

    def named(where: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = definitions[where["$ref"].rpartition("/")[2]]
        return found

    sections = named(schema)["properties"]
    written = tomllib.loads((ROOT / "streams" / "policy.toml").read_text(encoding="utf-8"))
    kinds = {
        kind["properties"]["kind"]["enum"][0]: kind
        for kind in map(named, [one for one in sections["rules"]["items"]["anyOf"] if "$ref" in one])
    }
    for rule in written.pop("rules"):
        assert rule.keys() <= kinds[rule["kind"]]["properties"].keys()
        assert set(kinds[rule["kind"]]["required"]) <= rule.keys()
    assert all(kind["additionalProperties"] is False for kind in kinds.values())
    for section, knobs in written.items():
        where = sections[section]
        section_schema = named(where if "$ref" in where else where["anyOf"][0])
        assert knobs.keys() <= section_schema["properties"].keys(), section
    (changed,) = [one for one in sections["rules"]["items"]["anyOf"] if "$ref" not in one]
    assert changed["required"] == ["name"]
    assert "quiet-hours" in changed["properties"]["name"]["enum"]


def test_the_schema_accepts_and_refuses_as_the_policy_does() -> None:
    """The shipped policy and a change of one of its rules are valid; a wrong name, value or kind is not."""
    validator = jsonschema_rs.validator_for(json.loads(_run("policy", "schema")))
    assert validator.is_valid(tomllib.loads((ROOT / "streams" / "policy.toml").read_text(encoding="utf-8")))
    assert validator.is_valid({"rules": [{"name": "quiet-hours", "start": "20:00"}]})
    for wrong in (
        {"double_contact": {"window_hour": 3}},
        {"rules": [{"name": "mine"}]},
        {"rules": [{"name": "mine", "kind": "frequency_cap", "window": "1y", "limit": 1}]},
        {"rules": [{"name": "mine", "kind": "frequency_cap", "window": "7d", "limit": 0}]},
        {"rules": [{"name": "mine", "kind": "holiday"}]},
        {"rules": [{"name": "mine", "kind": "holidays", "applies_to": [{"channel": ["emial"]}]}]},
    ):
        assert not validator.is_valid(wrong), wrong


def test_every_reason_is_told() -> None:
    """Each reason has one sentence, and each conflict rule, old and new, has a reason; a hand-off has none."""
    told = dict(line.split(maxsplit=1) for line in _run("policy", "reasons").splitlines())
    assert told == {str(reason): MEANING[reason] for reason in Reason}
    assert all(meaning.endswith(".") for meaning in told.values())
    assert of_rule(rule_of(Reason.QUIET_HOURS, "my-rule")) is Reason.QUIET_HOURS
    old = ("double_contact", "contact_after_opt_out", "incongruent_message", "identity_conflict")
    assert [of_rule(rule) for rule in old] == [
        Reason.DEPARTMENT_OVERLAP, Reason.AFTER_OPT_OUT, Reason.INCONGRUENT_MESSAGE, Reason.IDENTITY_CONFLICT,
    ]  # fmt: skip
    assert of_rule("handoff") is None


def test_mistakes_are_told_on_their_lines(tmp_path: Path) -> None:
    """`check-policy` prints every mistake with file and line, and exits with 1."""
    file = tmp_path / "p.toml"
    file.write_text("[double_contact]\nwindow_hour = 1\n[[rules]]\nname = 'holidays'\nenabled = 3\n", encoding="utf-8")
    output = _run("check-policy", str(file), exit_code=1)
    assert (
        f"{file}:2: double_contact: Object contains unknown field `window_hour`; did you mean `window_hours`?" in output
    )
    assert f"{file}:5: rules[0].enabled: Expected `bool`, got `int`" in output


def test_a_policy_with_mistakes_is_not_published(tmp_path: Path) -> None:
    """`policy publish` tells every mistake with file and line before it asks Kafka for anything, and exits with 1."""
    file = tmp_path / "p.toml"
    file.write_text("[double_contact]\nwindow_hours = 1\n[handoff]\ndue_hour = 4\nthreshold = -1\n", encoding="utf-8")
    output = _run("policy", "publish", str(file), "--yes", "--bootstrap", "127.0.0.1:1", exit_code=1)
    assert f"{file}:4: handoff: Object contains unknown field `due_hour`" in output
    assert "127.0.0.1:1" not in output


def test_backtest_against_another_policy(tmp_path: Path) -> None:
    """The contacts of a file that a new cap would have stopped, by rule, department and campaign, and who answered all the same."""
    new, current = tmp_path / "new.toml", tmp_path / "current.toml"
    new.write_text('[[rules]]\nname = "contacts-a-week"\nenabled = true\nlimit = 2\n', encoding="utf-8")
    current.write_text("", encoding="utf-8")
    start, hour = 1_772_409_600_000, 3_600_000
    dana = Customer(email="dana@example.com")
    touches = [
        Touch(f"t{n}", "email", "marketing", "outbound", "sent", start + n * 25 * hour, dana, campaign=f"c{n}")
        for n in range(4)
    ]
    touches.append(Touch("r", "email", "marketing", "inbound", "replied", start + 76 * hour, dana, actor=Actor("d")))
    text = b"\n".join(touch_json.to_json(touch) for touch in touches)
    output = _run(
        "backtest", "-", "--policy", str(new), "--against", str(current), "--now", "2026-06-01T00:00:00Z", text=text
    )
    said = [
        line for line in output.splitlines() if not line.startswith("  comparing")
    ]  # on standard error, how long it took
    assert said == [
        "4 contacts",
        "2 stopped by the new policy only; 1 of them were followed by a reply or a meeting",
        "  rule contacts-a-week: 2",
        "  department marketing: 2",
        "  campaign c2: 1",
        "  campaign c3: 1",
        "0 stopped by the current policy only; 0 of them were followed by a reply or a meeting",
        "0 stopped by both; 0 of them were followed by a reply or a meeting",
        "not judged, since they rest on what no timeline holds: do-not-contact, owner-first, sales-has-the-lead",
    ]
