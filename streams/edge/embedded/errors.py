"""What goes wrong when servers are started here, in words for the person who typed `touchstream up`."""

from __future__ import annotations

import errno
from pathlib import Path


class StackError(RuntimeError):
    """A server could not be started or kept up; the text says what is wrong, where, and what to do."""


def from_os_error(error: OSError, doing: str, path: Path) -> StackError:
    """Translates a failed file operation; `doing` completes "cannot ..."."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StackError(
            f"cannot {doing}: no space left at {path}; free some, or choose another place with --data-dir"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StackError(f"cannot {doing}: {path} is not writable for this user; choose another place with --data-dir")
    return StackError(f"cannot {doing}: {path}: {error.strerror or error}")
