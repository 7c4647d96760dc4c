"""`touchstream acknowledge` with a real worker: what somebody acts on is not taken from under their hands."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.outcome import Finding
from streams.edge import reader
from streams.settings import Settings
from tests.support.commands import buried, touchstream
from tests.support.waiting import wait_until
from tests.support.worker import Worker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(200)]

MAIL = ("--channel", "email", "--department", "marketing", "--kind", "sent", "--touch-id", "mail")
CALL = ("--channel", "calls", "--department", "sales", "--kind", "dialed", "--touch-id", "call")
DANA = ("--email", "dana@example.com")
NINE, TEN = ("--occurred-at", "2026-03-02T09:00:00Z"), ("--occurred-at", "2026-03-02T10:00:00Z")


def only(settings: Settings) -> Finding | None:
    """The one finding there is, at its highest revision."""
    found = list(asyncio.run(reader.findings(settings)).values())
    assert len(found) <= 1
    return found[0] if found else None


def test_an_acknowledged_finding_is_withdrawn_not_retracted(settings: Settings) -> None:
    """Mail and call are a conflict; somebody acts on it; then the mail is taken back by a higher version of its id: the finding is
    amended and withdrawn, and says why. A correction that brings the mail back makes it hold again."""
    with Worker(settings):
        assert touchstream(settings, "send", *MAIL, *DANA, *NINE).exit_code == 0
        assert touchstream(settings, "send", *CALL, *DANA, *TEN).exit_code == 0
        finding = wait_until(lambda: only(settings), 60, "the conflict")
        done = touchstream(settings, "acknowledge", finding.finding_id, "--by", "jo")
        assert (done.exit_code, done.stdout.startswith("jo acts on it: The customer got")) == (0, True)
        again = touchstream(settings, "acknowledge", finding.finding_id, "--by", "kim")
        assert again.stdout.startswith("jo acts on it already")

        assert touchstream(settings, "send", *MAIL, *DANA, *NINE, "--touch-version", "2", "--deleted").exit_code == 0
        gone = wait_until(lambda: (one := only(settings)) and one.revision == 3 and one, 60, "the third revision")
        assert (gone.state, gone.withdrawn, gone.acknowledged_by) == ("amended", True, "jo")
        assert gone.cause is not None and (gone.cause.kind, gone.cause.id) == ("deletion", "mail")
        assert touchstream(settings, "send", *MAIL, *DANA, *NINE, "--touch-version", "3").exit_code == 0
        back = wait_until(lambda: (one := only(settings)) and one.revision == 4 and one, 60, "the fourth revision")
        assert (back.state, back.withdrawn, back.reason) == ("amended", False, finding.reason)
    shown = touchstream(settings, "tail", "conflicts", "--no-follow").stdout
    assert "[withdrawn: deletion mail] [jo acts on it]" in shown and "[amended: correction mail]" in shown
    assert buried(settings) == []


def test_what_is_not_there_cannot_be_acknowledged(settings: Settings) -> None:
    """An id that no alert topic has is an error that says where to look."""
    result = touchstream(settings, "acknowledge", "no-such-finding")
    assert result.exit_code == 1
    assert "no finding no-such-finding is in the alert topics" in result.stderr
