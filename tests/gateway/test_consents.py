"""Records of consent over HTTP and the command line: what was said is in Kafka when they answer, and what is none is refused."""

from __future__ import annotations

import json

import pytest

from streams.core.consent import CHANGED
from streams.edge.codec import Codec
from streams.edge.topics import COMMANDS
from streams.settings import Settings
from tests.gateway.running import Gateway
from tests.support.commands import stored, touchstream

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

DANA = {"email": "dana@example.com"}


def test_what_is_no_record_is_refused(settings: Settings, gateway: Gateway) -> None:
    """422 names the field by RFC 9457, whoever refuses; the command line says the same; only what is right is published, recorded by whose
    token it was where nobody is named, and twice the same under one id."""
    right = {"customer": DANA, "status": "granted", "source": "crm", "recorded_by": "jo"}
    for wrong, said in (
        ({"status": "given"}, "status"),
        ({"channel": "fax"}, "channel"),
        ({"customer": {}}, "customer: needs at least one of email"),
        ({"customer": {"email": "nobody"}}, "no identifier is usable"),
        ({"at": "2026-03-02T09:00:00Z", "until": "2026-03-01T09:00:00Z"}, "was never in force"),
        ({"deleted": True}, "consent_id: missing"),
        ({"source": None}, "source"),
    ):
        status, told, headers = gateway.call("POST", "/v1/consents", right | wrong)
        assert (status, headers["Content-Type"]) == (422, "application/problem+json"), wrong
        assert said in json.dumps(told), told
    refused = touchstream(settings, "consent", "give", "--email", "nobody", "--by", "jo")
    assert refused.exit_code == 1 and "no identifier is usable" in refused.stderr
    unnamed = touchstream(settings, "consent", "deny", "--by", "jo")
    assert unnamed.exit_code == 1 and "say whom" in unnamed.stderr
    lines = "\n".join(
        [
            json.dumps(right | {"consent_id": "cmp-7", "purpose": "news"}),
            "",
            "{",
            json.dumps({"status": "maybe"}),
            "[]",
        ]
    )
    imported = touchstream(settings, "consent", "import", "-", stdin=lines)
    assert (imported.exit_code, imported.stdout) == (1, "recorded 1, broken 3\n"), imported.stderr
    assert "line 3: not JSON" in imported.stderr and "line 4: status: 'maybe' is not one of granted" in imported.stderr
    given = touchstream(
        settings, "consent", "give", "--phone", "+1 415 555 0132", "--at", "2026-03-02T09:00:00Z", "--by", "jo"
    )
    assert given.exit_code == 0, given.stderr
    right = right | {"at": "2026-03-02T09:00:00Z"}
    del right["recorded_by"]
    ids = {gateway.call("POST", "/v1/consents", right)[1]["consent_id"] for _ in range(2)}
    commands = [Codec().decode_command(record.value or b"") for record in stored(settings, COMMANDS)]
    told = [one.consent for one in commands if one.kind == CHANGED and one.consent]
    assert [one.consent_id for one in told[:1]] == ["cmp-7"]
    assert (told[1].customer.phone, told[1].at, told[1].source) == (
        "+1 415 555 0132",
        1_772_442_000_000,
        "touchstream consent",
    )
    told = told[2:]
    assert len(told) == 2 and {one.consent_id for one in told} == ids and len(ids) == 1
    assert (told[0].status, told[0].source, told[0].customer.email) == ("granted", "crm", DANA["email"])
    assert told[0].recorded_by == "touchstream gateway"
