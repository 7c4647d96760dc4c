"""A record of consent as JSON: what is read, and what is said of mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.core import consent_json
from streams.core.consent_json import ConsentError
from streams.core.touch_json import rfc3339

NOW = 1_772_442_000_000
RECORD = {"customer": {"email": "dana@example.com"}, "status": "granted", "source": "cmp"}


def read(**values: Any) -> Any:
    """The record with these values instead."""
    return consent_json.parse(json.dumps(RECORD | values).encode(), NOW, {"recorded_by": "jo"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"status": "yes"}, "status: 'yes' is not one of granted, denied, withdrawn"),
        ({"channel": "fax"}, "channel: 'fax' is not one of email, ads, linkedin, calls"),
        ({"basis": "whim"}, "basis: 'whim' is not one of consent, contract,"),
        ({"chanel": "email"}, "chanel: unknown field; did you mean channel?"),
        ({"customer": {"mail": "a@example.com"}}, "customer.mail: unknown field; did you mean email?"),
        (
            {"at": "yesterday"},
            "at: invalid RFC3339 encoded datetime; write RFC 3339 with a time zone, such as 2026-03-02",
        ),
        ({"until": "2026-03-02T09:00:00"}, "until: expected `datetime` with a timezone component; write RFC 3339"),
        ({"source": ""}, "source: a record without it proves nothing"),
        ({"recorded_by": ""}, "recorded_by: a record without it proves nothing; say who recorded it"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(values: dict[str, Any], said: str) -> None:
    """The field comes first, and the text says what may stand there."""
    with pytest.raises(ConsentError) as wrong:
        read(**values)
    assert str(wrong.value).startswith(said)


def test_what_is_still_to_come_was_not_said() -> None:
    """Later than clocks may differ it is refused, with the time and what is allowed; up to there it is taken, whatever the policy says."""
    hour = 3_600_000
    with pytest.raises(
        ConsentError, match=r"^at: 2026-03-02T10:00:00\.001Z, when the customer said it, is still to come, .* = 60\)"
    ):
        read(at=rfc3339(NOW + hour + 1))
    assert read(at=rfc3339(NOW + hour)).at == NOW + hour
    with pytest.raises(ConsentError, match="is still to come"):
        consent_json.from_mapping(RECORD | {"recorded_by": "jo", "at": rfc3339(NOW + 1)}, NOW, 0)


def test_a_missing_status_is_named_with_what_is_allowed() -> None:
    """Of what must be there, too."""
    with pytest.raises(ConsentError, match=r"^status: missing, but required; one of granted, denied, withdrawn$"):
        consent_json.from_mapping({"customer": "dana@example.com"}, NOW)


def test_who_records_stands_in_for_what_a_line_leaves_open() -> None:
    """A line that says it itself keeps it."""
    assert read().recorded_by == read(recorded_by=None).recorded_by == "jo"
    assert read(recorded_by="cmp").recorded_by == "cmp"
