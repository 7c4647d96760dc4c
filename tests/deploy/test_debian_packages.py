"""deploy/install-debian-packages.sh: what it says and does, tried with stand-ins for apt-get on a PATH of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.promql import DEPLOY

SCRIPT = DEPLOY / "install-debian-packages.sh"
SHELL = "/bin/sh"
BASICS = ("cat", "chmod", "env", "mktemp", "rm", "sort", "tail", "tee", "tr")

COMMANDS = {"promtool": "prometheus", "faketime": "faketime", "chromium": "chromium"}
"""What the tests need, and the package that brings it."""

# Records how it was called; an install then brings the commands of the packages it names.
APT = """#!/bin/sh
echo "$*" >> {calls}
bring() {{ printf '#!/bin/sh\\n' > {bin}/$1; chmod 755 {bin}/$1; }}
case "$*" in *install*prometheus*) bring promtool;; esac
case "$*" in *install*faketime*) bring faketime;; esac
case "$*" in *install*chromium*) bring chromium;; esac
exit {status}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH: basic commands and an `id` that says root; no apt-get and nothing of COMMANDS yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BASICS:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    _put(folder / "id", "#!/bin/sh\necho 0\n")
    return folder


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _apt(machine: Path, status: int = 0) -> Path:
    calls = machine.parent / "calls"
    _put(machine / "apt-get", APT.format(calls=calls, bin=machine, status=status))
    return calls


def _run(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with its policy file in the test's folder, so that this machine's own is not touched."""
    script = machine.parent / "script.sh"
    policy = machine.parent / "policy-rc.d"
    script.write_text(
        SCRIPT.read_text(encoding="utf-8").replace("/usr/sbin/policy-rc.d", str(policy)), encoding="utf-8"
    )
    return subprocess.run(
        [SHELL, str(script)],
        env={"PATH": str(machine), "TMPDIR": str(machine.parent), **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_it_is_executable_and_plain_shell() -> None:
    """The script may be called by its name and is accepted by the system's plain shell."""
    assert os.access(SCRIPT, os.X_OK)
    assert subprocess.run([SHELL, "-n", str(SCRIPT)], timeout=180, check=False).returncode == 0


def test_nothing_to_do(machine: Path) -> None:
    """With everything there it neither says nor calls anything."""
    calls = _apt(machine)
    for command in COMMANDS:
        _put(machine / command, "#!/bin/sh\n")
    done = _run(machine, CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not calls.exists()


def test_it_installs_what_is_missing(machine: Path) -> None:
    """As root it installs the packages without recommendations, in one go, and does nothing the second time."""
    calls = _apt(machine)
    assert _run(machine).returncode == 0
    once = calls.read_text(encoding="utf-8")
    assert f"install -y --no-install-recommends {' '.join(sorted(COMMANDS.values()))}\n" in once
    assert _run(machine).returncode == 0
    assert calls.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("missing", COMMANDS)
def test_what_is_there_is_left_alone(machine: Path, missing: str) -> None:
    """When one of the commands is missing, its package alone is installed."""
    calls = _apt(machine)
    for command in COMMANDS.keys() - {missing}:
        _put(machine / command, "#!/bin/sh\n")
    assert _run(machine).returncode == 0
    assert calls.read_text(encoding="utf-8").endswith(f"--no-install-recommends {COMMANDS[missing]}\n")


def test_no_service_is_started(machine: Path) -> None:
    """While it installs, Debian's policy file forbids to start services; afterwards it is gone."""
    _apt(machine)
    policy = machine.parent / "policy-rc.d"
    seen = machine.parent / "seen"
    text = (machine / "apt-get").read_text(encoding="utf-8")
    _put(machine / "apt-get", text.replace("exit 0", f"cat {policy} > {seen}\nexit 0"))
    assert _run(machine).returncode == 0
    assert "exit 101" in seen.read_text(encoding="utf-8")
    assert not policy.exists()


def test_an_administrators_policy_stays(machine: Path) -> None:
    """A policy file that was there before is neither changed nor removed."""
    _apt(machine)
    policy = machine.parent / "policy-rc.d"
    policy.write_text("theirs", encoding="utf-8")
    assert _run(machine).returncode == 0
    assert policy.read_text(encoding="utf-8") == "theirs"


def test_without_root(machine: Path) -> None:
    """Without root and sudo it says, in one line a package, which tests are skipped and why, and is no error."""
    _apt(machine)
    _put(machine / "id", "#!/bin/sh\necho 1000\n")
    done = _run(machine)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0].startswith("SKIPPED: tests/deploy does not run the alert rules")
    assert lines[1].startswith("SKIPPED: tests/faults does not let the clock")
    assert lines[2].startswith("SKIPPED: tests/test_report_in_browser.py does not look at the report")
    for line, package in zip(lines, COMMANDS.values(), strict=True):
        assert line.endswith(f"(Debian package {package} is missing: neither root nor sudo without a password)")


def test_with_sudo(machine: Path) -> None:
    """With a sudo that asks for no password, apt-get runs through it."""
    calls = _apt(machine)
    _put(machine / "id", "#!/bin/sh\necho 1000\n")
    _put(machine / "sudo", f'#!/bin/sh\n[ "$1" = -n ] && exit 0\necho "sudo $*" >> {calls}\nexec "$@"\n')
    assert _run(machine).returncode == 0
    assert "sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install" in calls.read_text(encoding="utf-8")


def test_another_system(machine: Path) -> None:
    """Without apt-get it says so; in CI, where no test may be skipped, that is an error."""
    assert "this system has no apt-get" in _run(machine).stderr
    assert _run(machine).returncode == 0
    assert _run(machine, CI="true").returncode == 1


def test_a_failed_install_is_told(machine: Path) -> None:
    """When apt-get fails, its words and the command to run by hand are shown, and the policy file is gone."""
    _apt(machine, status=100)
    done = _run(machine)
    assert done.returncode == 1
    assert f"apt-get install --no-install-recommends {' '.join(sorted(COMMANDS.values()))}" in done.stderr
    assert not (machine.parent / "policy-rc.d").exists()
