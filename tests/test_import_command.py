"""`touchstream import`: what a provider's file holds ends up in the topics, the dead letters and the counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.core import touch_json
from streams.core.ingest import Ignored, read
from streams.core.outcome import Rejected
from streams.core.touch import Touch
from streams.settings import Settings
from tests.support.commands import PAYLOADS, buried, objects, published, touchstream
from tests.support.told import FILES

pytestmark = pytest.mark.stack

SENDGRID = next(path for path in FILES if path.parent.name == "sendgrid" and path.suffix == ".jsonl")


def parts(path: Path) -> tuple[list[Touch], list[Rejected], list[Ignored]]:
    """What the adapter says about a file."""
    outcomes = list(read(path.parent.name, path.read_bytes()))
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Touch)],
        [outcome for outcome in outcomes if isinstance(outcome, Rejected)],
        [outcome for outcome in outcomes if isinstance(outcome, Ignored)],
    )


def test_every_provider(settings: Settings) -> None:
    """Each provider's payload files: every touch is in its channel's topic, every rejected record is buried as it came."""
    sent: dict[str, Touch] = {}
    rejected: set[tuple[str, int | None, bytes]] = set()
    for path in FILES:
        touches, broken, ignored = parts(path)
        result = touchstream(settings, "import", "--from", path.parent.name, str(path))
        assert result.exit_code == (1 if broken else 0), result.stderr
        assert result.stdout.startswith(f"sent {len(touches)}, "), path
        assert (f"ignored {len(ignored)} (" in result.stdout) == bool(ignored)
        assert f"dead-lettered {len(broken)}" in result.stdout
        assert len(result.stderr.splitlines()) == len(broken)
        sent.update({touch.touch_id: touch for touch in touches})
        rejected |= {(letter.reason, letter.line, letter.payload) for letter in broken}
    assert len({path.parent.name for path in FILES}) == 5
    assert sent
    assert rejected
    assert {touch.touch_id: touch for touch in published(settings)} == sent
    assert {(letter.reason, letter.line, letter.payload) for letter in buried(settings)} == rejected


def test_twice_gives_the_same_ids(settings: Settings) -> None:
    """Importing a file again stores the same touches under the same ids, and the same dead letters."""
    for _ in range(2):
        touchstream(settings, "import", "--from", "sendgrid", str(SENDGRID))
    touches = published(settings)
    assert touches[0::2] == touches[1::2]
    letters = [letter.dead_letter_id for letter in buried(settings)]
    assert sorted(letters[0::2]) == sorted(letters[1::2])


def test_defaults(settings: Settings) -> None:
    """--department and --campaign stand in for what the records do not say."""
    result = touchstream(
        settings, "import", "--from", "sendgrid", "--department", "service", "--campaign", "renewal", str(SENDGRID)
    )
    assert "sent" in result.stdout
    touches = published(settings)
    assert {touch.department for touch in touches} == {"service"}
    assert "renewal" in {touch.campaign for touch in touches}


def test_dry_run_publishes_nothing(settings: Settings) -> None:
    """--dry-run prints the touches as JSON lines and counts, and stores neither touches nor dead letters."""
    touches, broken, _ = parts(SENDGRID)
    result = touchstream(settings, "import", "--from", "sendgrid", "--dry-run", str(SENDGRID))
    assert objects(result.stdout) == [json.loads(touch_json.to_json(touch)) for touch in touches]
    assert f"would send {len(touches)}" in result.stderr.splitlines()[-1]
    assert len(result.stderr.splitlines()) == len(broken) + 1
    assert (published(settings), buried(settings)) == ([], [])


def test_json_lines(settings: Settings) -> None:
    """--from json reads the same lines as `touchstream send`, with the same result."""
    result = touchstream(settings, "import", "--from", "json", str(PAYLOADS / "send.jsonl"))
    assert result.stdout == "sent 2, dead-lettered 4 (not_a_touch 2, no_identifier 2)\n"
    refused = touchstream(settings, "import", "--from", "json", "--campaign", "x", str(PAYLOADS / "send.jsonl"))
    assert refused.exit_code == 2


def test_unknown_source_lists_the_known_ones() -> None:
    """A provider without an adapter is a usage error that names those there are."""
    result = touchstream(None, "import", "--from", "mailchimp", str(SENDGRID))
    assert result.exit_code == 2
    for name in ("sendgrid", "mailgun", "twilio", "linkedin-leads", "google-ads-leads", "json"):
        assert f"'{name}'" in result.stderr
