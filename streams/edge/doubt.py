"""The way out on doubt: say why, then end the process at once, without committing.

Faust drops its list of processed offsets when a commit fails, so going on inside the process could lose touches. The
supervisor (`touchstream up`, compose, Kubernetes) starts a clean one that reads again from the last committed offset.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits: the supervisor restarts; 0 is left to a wanted stop, 1 to wrong settings."""

log = logging.getLogger("touchstream.doubt")


def leave(reason: str, error: BaseException | None = None) -> NoReturn:
    """Log the reason and exit with 70, skipping every clean-up that might commit or write."""
    log.critical(
        "leaving without commit: %s%s", reason, f" ({type(error).__name__}: {error})" if error else "", exc_info=error
    )
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)
