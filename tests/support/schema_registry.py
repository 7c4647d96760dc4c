"""A real schema registry for tests: Apicurio Registry, from Maven Central, in memory, on a free loopback port.

The distribution (104 MiB) is fetched once into the Maven cache, as the broker's jars are, and checked against its hash.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.edge.embedded import java
from streams.edge.embedded.errors import StackError
from streams.edge.embedded.ports import free_port
from streams.edge.embedded.process import Child, died
from tests.support.stack import unavailable
from tests.support.waiting import wait_until

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.0.9"
SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
# Measured: 235 MB resident, ready in 4 s.
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
API = "apis/ccompat/v7"


class SchemaRegistry:
    """A running registry. `url` is what TOUCHSTREAM_SCHEMA_REGISTRY_URL takes."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/{API}"

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """One call without our client: GET, or POST of a JSON body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=90) as response:
            return json.loads(response.read())


@contextmanager
def started(directory: Path) -> Iterator[SchemaRegistry]:
    """A registry that has nothing in it; its log is in `directory`. Stops with the block."""
    try:
        runtime = java.find()
        archive = distribution()
    except (StackError, OSError, RuntimeError) as error:
        unavailable(f"the schema registry {GROUP}:{ARTIFACT}:{VERSION} cannot run here: {error}")
    with tempfile.TemporaryDirectory(dir=directory) as unpacked:
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        port = free_port()
        jar = Path(unpacked, f"{ARTIFACT}-{VERSION}-runner.jar")
        options = ("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}")
        log = directory / "schema-registry.log"
        child = Child(
            "the schema registry", [str(runtime.path), *JVM, *options, "-jar", str(jar)], log, cwd=Path(unpacked)
        )
        try:
            registry = SchemaRegistry(port)
            wait_until(lambda: _ready(registry, child), 180, "the schema registry answers")
            yield registry
        finally:
            child.stop(20)


def distribution() -> Path:
    """The archive in the Maven cache, downloaded when it is not there or damaged."""
    from jgo.constants import default_maven_repo
    from jgo.maven import MavenContext

    cache: Path = default_maven_repo()
    name = f"{ARTIFACT}-{VERSION}-all.tar.gz"
    target = cache.joinpath(*GROUP.split("."), ARTIFACT, VERSION, name)
    if target.is_file() and _sha256(target) == SHA256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".touchstream-", dir=cache) as staging:
        context = MavenContext(repo_cache=Path(staging), timeout=120)
        artifact = context.project(GROUP, ARTIFACT).at_version(VERSION).artifact("all", "tar.gz")
        path: Path = artifact.resolve()
        if _sha256(path) != SHA256:
            raise RuntimeError(f"the download of {name} does not have the SHA-256 {SHA256}")
        path.replace(target)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ready(registry: SchemaRegistry, child: Child) -> bool:
    code = child.exit_code()
    if code is not None:
        raise died(child, code)
    try:
        return registry.ask("subjects") == []
    except (urllib.error.URLError, OSError, ValueError):
        return False
