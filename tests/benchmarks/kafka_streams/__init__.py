"""Kafka Streams: `RuleOnly.java`, compiled once a process; jars from Maven through jgo, beside those of the embedded broker.

Needs a JDK on PATH (`javac`); without one the engine is left out, with a line that says so.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from streams.edge.embedded import jars, java
from tests.benchmarks import COMMIT_SECONDS
from tests.benchmarks.plan import RULE_INPUT, RULE_OUTPUT, Run

JARS = ("org.apache.kafka:kafka-streams:4.2.0", "org.rocksdb:rocksdbjni:10.1.3")
"""What the broker does not bring; the version of RocksDB is the one that Kafka Streams 4.2.0 asks for."""

SOURCE = Path(__file__).with_name("RuleOnly.java")


def missing() -> str | None:
    """Why it cannot run here, or None."""
    return None if shutil.which("javac") else "no javac on PATH; install a JDK 17 or newer"


@cache
def class_path() -> str:
    """The compiled program and its jars."""
    from jgo.maven import MavenContext

    context = MavenContext(timeout=60)
    more = [context.create_dependency(coordinate).artifact.resolve() for coordinate in JARS]
    path = os.pathsep.join(str(jar) for jar in [*more, *jars.class_path()])
    target = tempfile.mkdtemp(prefix="bench-java-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    javac = shutil.which("javac")
    assert javac is not None, missing()
    subprocess.run([javac, "-cp", path, "-d", target, str(SOURCE)], check=True)
    return target + os.pathsep + path


def command(run: Run) -> list[str]:
    """Command line of the program. The JVM has its defaults but for the heap, which its default would make a quarter of memory."""
    arguments = (
        run.bootstrap,
        run.group,
        run.topic(RULE_INPUT),
        run.topic(RULE_OUTPUT),
        run.data_dir,
        str(run.threads),
    )
    options = ["-Xmx1g", "-Dlog4j2.level=WARN"]
    return [
        str(java.find().path),
        *options,
        "-cp",
        class_path(),
        "RuleOnly",
        *arguments,
        str(int(COMMIT_SECONDS * 1000)),
    ]
