"""The way out on doubt, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from streams.edge.doubt import EXIT_CODE

PROGRAM = """
import atexit, logging, sys
from logging.handlers import MemoryHandler
from streams.edge import doubt
logging.basicConfig(handlers=[MemoryHandler(1000, flushLevel=100, target=logging.StreamHandler(sys.stderr))])
atexit.register(print, "a clean-up that might commit")
sys.stdout.write("printed before")
try:
    {body}
finally:
    print("a clean-up that might write")
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def test_leaves_at_once_with_reason_and_cause() -> None:
    """It exits with 70, says why with the cause's type and text, flushes what was printed, and runs no clean-up."""
    ended = run('doubt.leave("Kafka did not acknowledge a write", ValueError("too large"))')
    assert ended.returncode == EXIT_CODE == 70
    assert "leaving without commit: Kafka did not acknowledge a write (ValueError: too large)" in ended.stderr
    assert ended.stdout == "printed before"


def test_without_a_cause() -> None:
    """Without an exception the reason stands alone, with no trace."""
    ended = run('doubt.leave("the process stood still")')
    assert ended.returncode == EXIT_CODE
    assert ended.stderr.strip() == "leaving without commit: the process stood still"


def test_not_stopped_by_exception_handlers() -> None:
    """Code that catches everything, as Faust does, cannot keep the process alive."""
    ended = run("""
    try: doubt.leave("doubt")
    except BaseException: print("went on")
    """)
    assert ended.returncode == EXIT_CODE
    assert "went on" not in ended.stdout
