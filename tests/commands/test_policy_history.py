"""What `touchstream policy` tells before anybody has published one."""

from __future__ import annotations

import pytest

from streams.settings import Settings
from tests.support.commands import touchstream


@pytest.mark.stack
def test_where_no_policy_was_published(settings: Settings) -> None:
    """Show and history say by what everybody goes then; the list itself is empty."""
    shown, listed = (touchstream(settings, "policy", name) for name in ("show", "history"))
    assert (
        shown.stdout.startswith("none was published: each worker and gateway goes by its file") and listed.stdout == ""
    )
    assert listed.stderr == shown.stdout
