"""`touchstream consent import`: what the lines of a file say, and what is said of those that say nothing."""

from __future__ import annotations

from io import BytesIO

import pytest

from streams.commands.common import CommandError
from streams.commands.consent import read
from streams.core.consent import ConsentChange
from streams.core.touch import Customer

USUAL = {"recorded_by": "jo", "source": "crm"}
HEAD = b"email,crm_id,status,channel,purpose,at,until,source,consent_id,deleted\n"
AT = 1_772_442_000_000


def records(name: str, content: bytes) -> tuple[list[tuple[int, ConsentChange]], list[str]]:
    """The records of a file of this name, and what is said of lines that are none."""
    file = BytesIO(content)
    file.name = name
    broken: list[str] = []
    return list(read(file, USUAL, broken)), broken


def test_a_table_is_read_line_by_line() -> None:
    """Columns are the names of POST /v1/consents and of identifiers, empty is left open, what no line says is as usual; a line that says
    nothing is named by its number, and the rest goes on."""
    found, broken = records(
        "PREFERENCES.CSV",
        HEAD
        + b"dana@example.com,,granted,email,newsletter,2026-03-02T09:00:00Z,2027-03-02T09:00:00Z,cmp,cmp-1,\n"
        + b",C-7,withdrawn,,,2026-03-02T10:00:00+01:00,,,cmp-2,\n"
        + b"lee@example.com,,maybe,,,,,,,\n"
        + b"lee@example.com,,denied,,,2026-03-02 09:00:00,,,,\n"
        + b",,denied,,,,,,,\n"
        + b"lee@example.com,,denied,,,2090-03-02T09:00:00Z,,,,\n"
        + b"lee@example.com,,denied,,,2026-03-02T09:00:00Z,,,cmp-3,TRUE\n"
        + b"lee@example.com,,denied,,,2026-03-02T09:00:00Z,,,cmp-4,perhaps\n",
    )
    year = 365 * 86_400_000
    assert found == [
        (2, ConsentChange("cmp-1", Customer(email="dana@example.com"), "granted", AT, "email", "newsletter", AT + year,
                          source="cmp", recorded_by="jo")),
        (3, ConsentChange("cmp-2", Customer(crm_id="C-7"), "withdrawn", AT, source="crm", recorded_by="jo")),
        (8, ConsentChange("cmp-3", Customer(email="lee@example.com"), "denied", AT, source="crm", recorded_by="jo",
                          deleted=True)),
    ]  # fmt: skip
    assert [one.split(": ")[:2] for one in broken] == [
        ["line 4", "status"], ["line 5", "at"], ["line 6", "customer"], ["line 7", "at"], ["line 9", "deleted"]
    ]  # fmt: skip


def test_lines_of_json_say_the_same() -> None:
    """A file of any other name has one JSON object a line."""
    found, broken = records(
        "consents.jsonl",
        b'{"customer": "dana@example.com", "status": "granted", "at": "2026-03-02T09:00:00Z", "consent_id": "a", "source": null}\n\n[]\n',
    )
    assert found == [
        (1, ConsentChange("a", Customer(email="dana@example.com"), "granted", AT, source="crm", recorded_by="jo"))
    ]
    assert broken == ["line 3: not a record of consent: expected a JSON object"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: the file is empty; its first line names the columns"),
        (b"name,status\n", "line 1: no column is called email, phone"),
        (
            b"email,newsletter\n",
            "line 1: unknown columns: newsletter; leave them out. Known are email, phone, linkedin_url",
        ),
        (HEAD + b"\xff", "not UTF-8 text"),
    ],
)
def test_a_table_that_is_none(content: bytes, words: str) -> None:
    """What is wrong with it is told, and what to do."""
    with pytest.raises(CommandError, match=words):
        records("a.csv", content)
