"""The broker's jars: a locked list with hashes, fetched by `jgo` once, then used from the user's Maven cache.

The list (`jars.lock`) is resolved when it is made, not when a broker is started: no POM is fetched, so a start is
quick and works offline, and what runs is what was tested. Every jar is checked against its hash before it is used;
jgo itself only logs a wrong checksum, and writes downloads in place, so that a cut-off one would stay in the cache.
Repositories in jgo's configuration file (a company mirror) come before Maven Central; `M2_REPO` moves the cache.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from streams.edge.embedded.errors import StackError, from_os_error

BROKER = "org.apache.kafka:kafka_2.13:4.2.0"
# Kafka logs to SLF4J 1.7 and brings Log4j 2; without the binding between them a broker says nothing about its errors.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3"
LOCK = Path(__file__).with_name("jars.lock")
_HEADER = (
    "# Jars of the embedded Kafka, `group:artifact:version sha256`; made by `python -m streams.edge.embedded.jars`."
)

Progress = Callable[[str], AbstractContextManager[None]]


def silent(_what: str) -> AbstractContextManager[None]:
    """The progress of who does not want to see any."""
    return nullcontext()


def locked() -> dict[str, str]:
    """Coordinates and SHA-256 of every jar, in the order of the class path."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if line and not line.startswith("#"))


def class_path(progress: Progress = silent) -> list[Path]:
    """Paths of all jars, downloading those that the Maven cache lacks or holds damaged.

    Raises:
        StackError: a jar is not cached and cannot be downloaded, or its hash is not the locked one.
    """
    from jgo.constants import default_maven_repo

    cache: Path = default_maven_repo()
    wanted = locked()
    missing = [
        coordinate for coordinate, sha256 in wanted.items() if not _intact(cache / _relative(coordinate), sha256)
    ]
    if missing:
        with progress(f"downloading the Kafka broker ({len(missing)} of {len(wanted)} files)"):
            _download(missing, wanted, cache)
    return [cache / _relative(coordinate) for coordinate in wanted]


def _relative(coordinate: str) -> Path:
    group, artifact, version = coordinate.split(":")
    return Path(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def _intact(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _download(coordinates: list[str], wanted: dict[str, str], cache: Path) -> None:
    """Into a directory beside the cache, and from there by rename: two starts at once or a cut-off one do no harm."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".touchstream-", dir=cache) as name, ThreadPoolExecutor(4) as pool:
            staging = Path(name)
            list(pool.map(lambda coordinate: _fetch(coordinate, wanted[coordinate], staging, cache), coordinates))
    except OSError as error:
        raise from_os_error(error, "store the Kafka broker's jars", cache) from None


def _fetch(coordinate: str, sha256: str, staging: Path, cache: Path) -> None:
    import requests
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=staging, remote_repos=repositories, timeout=60)
    try:
        path: Path = context.create_dependency(coordinate).artifact.resolve()
    except (requests.RequestException, RuntimeError) as error:
        raise StackError(
            f"cannot download {coordinate}, which the embedded Kafka broker needs and the Maven cache {cache} does not"
            f" hold: {error}. Check the network (HTTPS_PROXY is honoured), name a mirror under [repositories] in"
            f" ~/.config/jgo.conf, copy a filled cache there, or use a Kafka of your own with --bootstrap HOST:PORT"
        ) from None
    if not _intact(path, sha256):
        raise StackError(
            f"the download of {coordinate} is damaged or not the file expected (SHA-256 differs); try again"
        )
    target = cache / _relative(coordinate)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


def resolve() -> str:
    """The text of a fresh `jars.lock`, resolved by jgo from the two coordinates above. Needs the network."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as name:
        context = MavenContext(repo_cache=Path(name), timeout=60)
        # The binding is added alone: jgo would apply its managed versions to the broker too (an older kafka-clients
        # among them), and what it needs, the broker brings.
        inputs, transitive = context.resolver.resolve([context.create_dependency(BROKER)])
        used = [dep for dep in (*inputs, *transitive) if dep.scope not in ("test", "provided")]
        used.append(context.create_dependency(LOGGING))
        rows = {
            f"{dep.groupId}:{dep.artifactId}:{dep.version}": hashlib.sha256(
                dep.artifact.resolve().read_bytes()
            ).hexdigest()
            for dep in used
        }
    return "\n".join((_HEADER, *(f"{coordinate} {rows[coordinate]}" for coordinate in sorted(rows)), ""))


if __name__ == "__main__":
    LOCK.write_text(resolve(), encoding="utf-8")
