"""What schemas/README.md says is true: its bytes, its Python, its table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import schemas
from streams.core.touch import Actor, Customer, Touch
from streams.edge.codec import Codec
from streams.edge.topics import CATALOGUE
from tests.support.samples import CONFLICT, HANDOFF, replace

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")


def test_the_bytes_are_what_the_codec_writes() -> None:
    """The table of bytes, put together, is the encoded touch that it explains."""
    shown = "".join(re.findall(r"^\| `((?:[0-9a-f]{2} ?)+)` \|", README, re.MULTILINE))
    touch = Touch(
        "ca-0187", "calls", "sales", "outbound", "answered", 1_772_466_000_000, Customer(phone="+34911234567"),
        actor=Actor("jokafor", "J. Okafor"),
    )  # fmt: skip
    assert bytes.fromhex(shown) == Codec().encode_touch(touch)


def test_the_consumer_folds_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the README, run as it stands, keeps the highest revision and forgets what was retracted or withdrawn."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    consumer: dict[str, Any] = {}
    exec(compile(code, "schemas/README.md", "exec"), consumer)
    amended = replace(CONFLICT, revision=2, state="amended", reason="amended")
    gone = replace(HANDOFF, revision=3, state="retracted")
    withdrawn = replace(CONFLICT, finding_id="other", revision=2, state="amended", withdrawn=True)
    for finding in (amended, HANDOFF, CONFLICT, amended, gone, HANDOFF, withdrawn):
        consumer["consume"](Codec().encode_finding(finding))
    assert [finding["reason"] for finding in consumer["standing"]()] == ["amended"]


def test_the_table_names_every_subject_and_topic() -> None:
    """Each subject stands in the table with its record's name, and each topic that has a schema."""
    for subject in schemas.SUBJECTS:
        assert f"| `{subject}` | `io.touchstream.{schemas.load(subject)['name']}` |" in README
    assert [spec.name for spec in CATALOGUE if spec.schema and f"`{spec.name}`" not in README] == []
