"""`touchstream backtest`: the findings of a file, whatever the order and repetition of its lines."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.core import touch_json
from tests.support import histories
from tests.support.scenarios import SCENARIOS

AGREED = ("finding", "rule", "finding_id", "customer", "touch_ids", "event_time", "severity", "reason", "state")
NOW = "2026-06-01T00:00:00Z"


def backtest(lines: list[bytes], *options: str) -> Result:
    """The command on these lines, read from standard input."""
    return CliRunner(env={"TOUCHSTREAM_ID_KEY": "k"}).invoke(
        main, ["backtest", "-", "--now", NOW, *options], input=b"\n".join(lines)
    )


def found(lines: list[bytes], *options: str) -> list[dict[str, Any]]:
    """The findings of a run in which nothing was refused."""
    result = backtest(lines, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def story(name: str) -> list[bytes]:
    """The touches of a scenario as lines."""
    return [
        json.dumps(touch).encode() for touch in json.loads((SCENARIOS / name).read_text(encoding="utf-8"))["touches"]
    ]


HISTORY = [touch_json.to_json(touch) for touch in histories.touches(seed=11, customers=40, count=600)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_and_repetition_of_lines_change_no_byte(seed: int) -> None:
    """Shuffled, and a third of the lines given twice or more, the output is the same to the byte."""
    rng = random.Random(seed)
    lines = [*HISTORY, *rng.choices(HISTORY, k=200)]
    rng.shuffle(lines)
    first, again = backtest(HISTORY), backtest(lines)
    assert first.exit_code == again.exit_code == 0
    assert first.stdout_bytes == again.stdout_bytes
    assert first.stdout_bytes.count(b"\n") > 100


def test_two_contents_under_one_id_are_decided_alike_in_every_order() -> None:
    """Of two touches with one id and one time, the same one stands whichever line comes first, and the other is told."""
    mail, _, call = story("email-and-call-on-one-day.json")
    other = json.dumps({**json.loads(call), "actor": {"id": "kim", "name": "Kim Lee"}}).encode()
    first, again = backtest([mail, call, other]), backtest([other, mail, call])
    assert first.stdout_bytes == again.stdout_bytes
    assert first.stderr == again.stderr
    assert first.stderr.startswith("touch call: id_conflict: ")
    assert (first.exit_code, again.exit_code) == (1, 1)


def test_findings_are_sorted_and_have_the_agreed_names() -> None:
    """Each line is an object with the nine agreed names; lines go by event time, then id; touch ids are sorted; all rules occur."""
    findings = found(HISTORY)
    assert all(set(AGREED) <= set(finding) for finding in findings)
    assert all(finding["touch_ids"] == sorted(finding["touch_ids"]) for finding in findings)
    assert all(
        finding["finding"] == ("handoff" if finding["rule"] == "handoff" else "conflict") for finding in findings
    )
    assert {finding["state"] for finding in findings} == {"detected"}
    order = [(finding["event_time"], finding["finding_id"]) for finding in findings]
    assert order == sorted(order)
    rules = {finding["rule"] for finding in findings}
    assert rules == {"double_contact", "contact_after_opt_out", "incongruent_message", "handoff"}


def test_the_sentence_of_the_issue() -> None:
    """Dana's mail and call are told in the words that the issue asks for."""
    (finding,) = found(story("email-and-call-on-one-day.json"))
    assert finding["reason"] == (
        "Dana Reyes got 'Spring offer' by email from marketing at 09:12 and a call from sales rep J. Okafor at 15:40,"
        " 6 h 28 min later."
    )


def test_another_policy(tmp_path: Path) -> None:
    """`--policy` changes what is found; a broken one is told with its path and exit code 1."""
    policy = tmp_path / "quiet.toml"
    policy.write_text("[double_contact]\nwindow_hours = 6\n", encoding="utf-8")
    assert found(story("email-and-call-on-one-day.json"), "--policy", str(policy)) == []
    policy.write_text("[double_contact]\nwindow = 6\n", encoding="utf-8")
    result = backtest(HISTORY, "--policy", str(policy))
    assert (result.exit_code, result.stdout) == (1, "")
    told = "double_contact: Object contains unknown field `window`; did you mean `window_hours`?"
    assert result.stderr == f"Error: {policy}:2: {told}\n"
    missing = backtest(HISTORY, "--policy", str(tmp_path / "none.toml"))
    assert missing.exit_code == 1
    assert f"cannot read the policy {tmp_path / 'none.toml'}: No such file" in missing.stderr


def test_broken_lines_are_told_and_the_rest_is_found() -> None:
    """Each broken line is named by number and reason on standard error, refused touches by id; the findings are all there."""
    good = story("email-and-call-on-one-day.json")
    future = json.dumps({**json.loads(good[0]), "touch_id": "f", "occurred_at": "2027-01-01T00:00:00Z"}).encode()
    nobody = json.dumps({**json.loads(good[0]), "touch_id": "n", "customer": {"email": "null"}}).encode()
    result = backtest([b"{", good[0], b"", b'{"channel": "fax"}', b"\xff\xfe", future, good[1], nobody, good[2]])
    assert result.exit_code == 1
    assert [json.loads(line)["touch_ids"] for line in result.stdout.splitlines()] == [["call", "mail"]]
    told = result.stderr.splitlines()
    assert [line.split(":")[0] for line in told[:5]] == ["line 1", "line 4", "line 5", "touch f", "touch n"]
    assert told[0].startswith("line 1: not JSON: ")
    assert "not UTF-8" in told[2]
    assert told[3].startswith("touch f: occurred_in_future: ")
    assert told[4] == "touch n: no_identifier: the customer has no usable identifier"
    assert told[5:] == ["1 finding; 5 lines or touches refused"]


def test_an_empty_file_has_no_findings() -> None:
    """Nothing in, nothing out, exit code 0."""
    assert found([]) == []


@pytest.mark.parametrize("now", ["yesterday", "2026-03-02", "2026-03-02T09:12:00"])
def test_a_moment_without_zone_is_refused(now: str) -> None:
    """`--now` needs a time with its zone; the error shows one."""
    result = CliRunner().invoke(main, ["backtest", "-", "--now", now], input=b"")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: --now: ")
    assert "2026-03-02T09:12:00Z" in result.stderr


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A path that is not there is a usage error with the path, not a traceback."""
    result = CliRunner().invoke(main, ["backtest", str(tmp_path / "none.jsonl")])
    assert result.exit_code == 2
    assert "none.jsonl" in result.stderr
