"""A real browser for a test: Chromium without a window, a profile of its own, and no network."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.stack import unavailable

PACKAGE = "the Debian package chromium is missing: run deploy/install-debian-packages.sh as root"


def chromium() -> str:
    """Path of Chromium. Without it the test fails in CI and is skipped elsewhere, with the package's name."""
    path = shutil.which("chromium")
    if path is None:
        unavailable(f"no chromium: {PACKAGE}")
        raise AssertionError("unavailable() always raises")
    return path


def look(page: Path, *options: str, timeout: float = 360) -> subprocess.CompletedProcess[str]:
    """Opens a file; `options` say what to do with it (--dump-dom, --screenshot=FILE). Every address but the file's fails."""
    with tempfile.TemporaryDirectory(prefix="touchstream-chromium-") as profile:
        return subprocess.run(
            [
                chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--disable-background-networking", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={profile}", "--enable-logging=stderr", *options, page.as_uri(),
            ],
            capture_output=True, text=True, timeout=timeout, check=True,
        )  # fmt: skip
