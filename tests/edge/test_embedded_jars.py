"""The broker's jars: locked, fetched once, checked, and a clear error when they cannot be had."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from streams.edge.embedded import jars
from streams.edge.embedded.errors import StackError
from streams.edge.embedded.ports import free_port

CONTENT = b"a small jar"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COORDINATE = "org.example:thing:1.0"
RELATIVE = Path("org/example/thing/1.0/thing-1.0.jar")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, says nothing."""

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Maven cache, one locked jar, and no way to the internet."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, nowhere)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("M2_REPO", str(tmp_path / "cache"))
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "jgo.conf"))
    monkeypatch.setattr(jars, "locked", lambda: {COORDINATE: SHA256})
    return tmp_path / "cache"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Path]:
    """A Maven repository on loopback that jgo's configuration names; the directory that it serves."""
    root = tmp_path / "mirror"
    (root / RELATIVE).parent.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "jgo.conf").write_text(f"[repositories]\nmirror = http://127.0.0.1:{server.server_port}\n")
    yield root
    server.shutdown()
    thread.join()
    server.server_close()


def test_lock_has_the_broker_the_logging_and_hashes() -> None:
    """The locked list holds both starting points, one version of each artifact, and a SHA-256 for every one."""
    locked = jars.locked()
    assert jars.BROKER in locked
    assert jars.LOGGING in locked
    artifacts = [coordinate.rpartition(":")[0] for coordinate in locked]
    assert len(artifacts) == len(set(artifacts))
    assert all(len(sha256) == 64 for sha256 in locked.values())
    version = jars.BROKER.rpartition(":")[2]
    kafka = {c.rpartition(":")[2] for c in locked if c.startswith("org.apache.kafka:")}
    assert kafka == {version}, "a jar of another Kafka release among them breaks the broker"


def test_downloads_once_and_works_offline_then(cache: Path, mirror: Path) -> None:
    """A jar comes from the configured mirror, is kept in the Maven cache, and is not asked for again."""
    (mirror / RELATIVE).write_bytes(CONTENT)
    shown: list[str] = []

    def progress(what: str) -> jars.AbstractContextManager[None]:
        shown.append(what)
        return jars.silent(what)

    assert jars.class_path(progress) == [cache / RELATIVE]
    assert (cache / RELATIVE).read_bytes() == CONTENT
    (mirror / RELATIVE).unlink()
    assert jars.class_path(progress) == [cache / RELATIVE]
    assert shown == ["downloading the Kafka broker (1 of 1 files)"]
    assert [path.name for path in cache.iterdir()] == ["org"], "the staging directory is gone"


def test_damaged_cache_is_repaired(cache: Path, mirror: Path) -> None:
    """A cut-off jar in the cache is noticed by its hash and fetched again."""
    (mirror / RELATIVE).write_bytes(CONTENT)
    (cache / RELATIVE).parent.mkdir(parents=True)
    (cache / RELATIVE).write_bytes(CONTENT[:4])
    jars.class_path()
    assert (cache / RELATIVE).read_bytes() == CONTENT


def test_wrong_download_is_refused(cache: Path, mirror: Path) -> None:
    """A jar whose hash is not the locked one does not get into the cache."""
    (mirror / RELATIVE).write_bytes(b"something else")
    with pytest.raises(StackError, match=r"org\.example:thing:1\.0 is damaged or not the file expected"):
        jars.class_path()
    assert not (cache / RELATIVE).exists()


def test_offline_with_nothing_cached(cache: Path) -> None:
    """Without network and cache the error names the jar, the cache, and the ways out."""
    with pytest.raises(StackError, match=rf"cannot download {COORDINATE}.*{cache}.*jgo\.conf.*--bootstrap"):
        jars.class_path()
