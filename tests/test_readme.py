"""Every command of the README is run, and its links lead somewhere."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from streams.settings import Settings
from tests.gateway.running import Gateway
from tests.support.waiting import SLOWER, wait_until
from tests.support.worker import ROOT, Worker, environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = ROOT / "streams" / "demo"


def blocks(language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Shell commands of the README, continued lines joined, comments removed; `make` and `export` have tests of their own."""
    found: list[str] = []
    for block in blocks("sh"):
        open_quote = ""
        for line in block.splitlines():
            text = open_quote + line
            if text.count("'") % 2:
                open_quote = text + " "
                continue
            open_quote = ""
            command = text.split("  #")[0].split(" # ")[0].strip()
            if command and not command.startswith(("make ", "export ")):
                found.append(command)
    return found


def _form(who: str, days: float = 0) -> str:
    """A line of a touches' file: somebody asks for contact, so many days from now."""
    at = dt.datetime.fromtimestamp(time.time() + days * 86_400 - 1, dt.UTC)
    touch = {
        "channel": "ads", "department": "marketing", "direction": "inbound", "kind": "lead_form", "occurred_at": at.isoformat(),
        "touch_id": f"form-{who}", "customer": {"email": f"{who}@example.com"},
    }  # fmt: skip
    return json.dumps(touch) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the README's commands name."""
    shutil.copy(DEMO / "crm.jsonl", tmp_path / "touches.jsonl")
    shutil.copy(DEMO / "crm.jsonl", tmp_path / "FILE.jsonl")
    log = (DEMO / "sendgrid.json").read_text(encoding="utf-8")
    good = [line for line in log.splitlines() if "teleported" not in line]
    (tmp_path / "webhook-log.json").write_text("\n".join(good).replace("},\n]", "}\n]"), encoding="utf-8")
    shutil.copy(ROOT / "streams" / "policy.toml", tmp_path / "NEW.toml")
    (tmp_path / "pricing.html").write_text("<p>The Pro plan costs $49 a month.</p>", encoding="utf-8")
    (tmp_path / "profile.txt").write_text("Ask me about our Pro plan, now $59 a month.", encoding="utf-8")
    (tmp_path / "PLANS.jsonl").write_text(
        _form("dana", days=1).replace("inbound", "outbound").replace("lead_form", "impression")
    )
    (tmp_path / "CONSENTS.jsonl").write_text(
        '{"customer": "dana@example.com", "status": "granted", "source": "cmp", "recorded_by": "cmp"}\n',
        encoding="utf-8",
    )
    (tmp_path / "forms.jsonl").write_text(_form("lee") + _form("kim"), encoding="utf-8")
    (tmp_path / "teams.toml").write_text('[[teams]]\nname = "north"\n[[teams.reps]]\nid = "ana"\n', encoding="utf-8")
    for name in ("deals", "costs", "leads"):
        shutil.copy(ROOT / "tests" / "ledger" / "board" / f"{name}.jsonl", tmp_path)
    return tmp_path


def test_the_readme_has_the_commands_we_know() -> None:
    """The parser of this test finds the README's commands, so that the next test cannot pass on none."""
    found = commands()
    assert len(found) >= 10
    assert {"touchstream topics create", "touchstream send < touches.jsonl"} <= set(found)


@pytest.mark.stack
@pytest.mark.timeout(400)
def test_every_command_of_the_readme_runs(settings: Settings, folder: Path) -> None:
    """Each command ends with 0 in the order of the README, or runs until it is told to stop and then ends with 0."""
    env = environment(settings) | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # noqa: TID251 - the child needs it
    handoffs: list[str] = []
    backtest = f"touchstream backtest FILE.jsonl --policy {folder / 'NEW.toml'}"
    for command in [
        *commands(),
        backtest,
        "touchstream check-policy NEW.toml",
        "touchstream settings",
        "touchstream metrics",
    ]:
        if command.startswith("touchstream worker"):
            with Worker(settings) as worker:
                assert worker.stop() == 0, "".join(worker.log[-30:])
        elif command == "touchstream ledger":
            _runs_until_stopped(command, env | {"TOUCHSTREAM_METRICS_PORT": "0"}, folder)
        elif command == "touchstream gateway":
            _runs_until_stopped(command, env | {"TOUCHSTREAM_GATEWAY_PORT": "0"}, folder)
        elif command.startswith("touchstream check "):
            with Gateway(settings) as gateway:
                done = _run(command, env | {"TOUCHSTREAM_GATEWAY_URL": gateway.url}, folder)
                assert done.returncode == 0 and "policy" in done.stdout, f"{done.stdout}\n{done.stderr}"
        elif command.startswith(("touchstream identity show", "touchstream consent show")):
            with Worker(settings):  # what the README publishes of the customer must have been placed
                wait_until(lambda command=command: _run(command, env, folder).returncode == 0, 60, command)
        elif command.startswith("touchstream customer erase"):
            with Worker(settings):  # it waits for the receipt
                done = _run(command, env, folder)
                assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        elif command.startswith("touchstream handoff"):
            handoffs.append(command)
        elif command == "touchstream tail conflicts" or command.endswith(" --follow"):
            _runs_until_stopped(command, env, folder)
        else:
            done = _run(command, env, folder)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    _hand_offs(handoffs, settings, env, folder)


def _run(command: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, env=env, cwd=folder, capture_output=True, text=True, timeout=120 * SLOWER
    )


def _runs_until_stopped(command: str, env: dict[str, str], folder: Path) -> None:
    process = subprocess.Popen(
        shlex.split(command), env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        port = int(env["TOUCHSTREAM_BOOTSTRAP"].rsplit(":", 1)[1])

        def begun() -> bool:  # a slow machine imports for long; whatever runs on has asked Kafka first
            peers = [one.raddr for one in psutil.Process(process.pid).net_connections("tcp") if one.raddr]
            return process.poll() is not None or any(peer.port == port for peer in peers)

        wait_until(begun, 60, f"{command} to begin")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60 * SLOWER)
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.wait(30)


def _hand_offs(commands: list[str], settings: Settings, env: dict[str, str], folder: Path) -> None:
    """Sales answers what two people asked for; a worker whose policy has a team hands it over."""
    with Worker(settings, TOUCHSTREAM_POLICY_PATH=str(folder / "teams.toml")):
        assert _run("touchstream send < forms.jsonl", env, folder).returncode == 0
        wait_until(lambda: "2 leads" in _run(commands[0], env, folder).stderr, 60, "the two hand-offs")
        for command in commands:
            done = _run(command, env, folder)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.stack
@pytest.mark.timeout(200)
def test_the_python_block_runs(settings: Settings, folder: Path) -> None:
    """The SDK example of the README publishes its touch."""
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(settings),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120 * SLOWER,
    )
    assert done.returncode == 0, done.stderr
    assert "touches.calls" in done.stdout


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_make_demo_works_on_a_fresh_clone_and_offline_the_second_time(tmp_path: Path) -> None:
    """From a clone in a new folder `make demo` sets itself up and tells the day; again, with no network, it does the same."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    make = ["make", "demo", "ARGS=--once", f"PYTHON={sys.executable}"]
    first = subprocess.run(make, cwd=clone, capture_output=True, text=True, timeout=600 * SLOWER)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "J. Okafor at 15:40, 6 h 28 min later." in first.stdout
    assert "127.0.0.1" not in first.stdout, "no address of what is stopped"
    nowhere = "http://127.0.0.1:9"
    offline = os.environ | {  # noqa: TID251 - the child needs it
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "NO_PROXY": "127.0.0.1",
    }
    second = subprocess.run(make, cwd=clone, env=offline, capture_output=True, text=True, timeout=300 * SLOWER)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "J. Okafor at 15:40, 6 h 28 min later." in second.stdout


def test_make_test_runs_the_linters_the_types_and_pytest() -> None:
    """`make test` (which runs this test) calls ruff, mypy and pytest, and `.ci/run` calls `make test`."""
    plan = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(tool in plan for tool in ("ruff check", "ruff format --check", "mypy", "-m pytest"))
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_links_of_the_readme_lead_to_files() -> None:
    """Every relative link names a file or folder of the repository."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
