"""`touchstream settings`, `metrics`, `check-policy`: they tell what the code does, and the shipped env files are theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.commands.reference import setting_specs
from streams.core.policy import Policy, fingerprint
from streams.edge.ledger_catalogue import CATALOGUE as OF_LEDGER
from streams.edge.metrics import CATALOGUE
from streams.settings import Settings, SettingsError, load
from tests.support.envfile import parse
from tests.support.promql import DEPLOY

SHIPPED_POLICY = Path(__file__).parents[1] / "streams" / "policy.toml"


def _run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == exit_code, result.output
    return result.output


def test_the_reference_file_is_fresh() -> None:
    """deploy/reference.env is what `touchstream settings --format env` prints; if not, run it again."""
    assert (DEPLOY / "reference.env").read_text(encoding="utf-8") == _run("settings", "--format", "env")


def test_the_reference_file_holds_the_defaults() -> None:
    """Read back as an environment, deploy/reference.env gives exactly the default settings, none left out."""
    variables = parse(DEPLOY / "reference.env")
    assert load(variables) == Settings()
    assert len(variables) == len(Settings.__struct_fields__)


def test_every_setting_is_explained() -> None:
    """Each setting has a meaning in one line that ends as a sentence."""
    for spec in setting_specs():
        assert spec.meaning.endswith("."), spec.variable
        assert "\n" not in spec.meaning, spec.variable


@pytest.mark.parametrize(
    ("variable", "allowed"),
    [
        ("TOUCHSTREAM_PARTITIONS", "1 to 1000"),
        ("TOUCHSTREAM_COMMIT_INTERVAL", "more than 0, at most 60"),
        ("TOUCHSTREAM_MAX_MESSAGE_BYTES", "1024 to 800000"),
        ("TOUCHSTREAM_LOG_LEVEL", "DEBUG, ERROR, INFO, WARNING"),
        ("TOUCHSTREAM_APP_ID", "not empty"),
        ("TOUCHSTREAM_BOOTSTRAP", ""),
    ],
)
def test_the_reference_says_what_is_allowed(variable: str, allowed: str) -> None:
    """Ranges and choices of the reference are those that `load` enforces."""
    assert {spec.variable: spec.allowed for spec in setting_specs()}[variable] == allowed
    if allowed:
        with pytest.raises(SettingsError, match=variable):
            load({variable: "" if allowed == "not empty" else "-1"})


def test_settings_as_a_table() -> None:
    """The table names every variable with its default and its meaning."""
    table = _run("settings")
    for spec in setting_specs():
        assert f"{spec.variable}={spec.default}\n    {spec.meaning[:40]}" in table


def test_the_minimal_file_is_enough(tmp_path: Path) -> None:
    """With its three secrets in place, deploy/minimal.env gives a production's settings: TLS, three copies, secrets read."""
    secrets = {"sasl_password": "kafka-secret\n", "redis_url": "rediss://:pw@redis:6379/0\n", "id_key": "0f" * 32}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value, encoding="utf-8")
    variables = parse(DEPLOY / "minimal.env")
    settings = load(
        {name: value.replace("/run/secrets/touchstream", str(tmp_path)) for name, value in variables.items()}
    )
    assert settings.security_protocol == "SASL_SSL"
    assert settings.replication == 3
    assert (settings.sasl_password, settings.redis_url, settings.id_key) == tuple(v.strip() for v in secrets.values())


def test_the_minimal_file_without_its_secrets() -> None:
    """A missing secret file is an error that names the variable and the file."""
    with pytest.raises(SettingsError, match="TOUCHSTREAM_SASL_PASSWORD_FILE names /run/secrets/touchstream"):
        load(parse(DEPLOY / "minimal.env"))


def test_metrics_as_json() -> None:
    """`--json` is the catalogue, field by field."""
    told = json.loads(_run("metrics", "--json"))
    known = [*CATALOGUE, *OF_LEDGER]
    assert [(one["name"], one["type"], one["meaning"], one["remedy"]) for one in told] == [
        (spec.name, spec.type, spec.meaning, spec.remedy) for spec in known
    ]
    assert [one["labels"] for one in told] == [list(spec.labels) for spec in known]


def test_metrics_as_a_table() -> None:
    """The table names each metric with its labels and type, and says what to do."""
    table = _run("metrics")
    assert "touchstream_touches_total{channel, outcome} (counter)" in table
    assert "touchstream_commit_age_seconds (gauge)" in table
    assert table.count("What to do:") == len(CATALOGUE) + len(OF_LEDGER)


def test_check_policy_accepts_the_shipped_one() -> None:
    """The shipped policy is ok, with the fingerprint that the workers show in their metrics."""
    assert _run("check-policy", str(SHIPPED_POLICY)) == f"{SHIPPED_POLICY}: ok (fingerprint {fingerprint(Policy())})\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[double_contact]\nwindow_hours = -1\n", "double_contact.window_hours: Expected `float` > 0"),
        (b"[double_contract]\n", "unknown field `double_contract`"),
        (b"window = \n", "is not TOML"),
        (b"# \xff\n", "is not UTF-8 text"),
    ],
)
def test_check_policy_refuses(tmp_path: Path, text: bytes, problem: str) -> None:
    """A policy that cannot be used is told with its file, place and reason; exit code 1 and no traceback."""
    file = tmp_path / "policy.toml"
    file.write_bytes(text)
    output = _run("check-policy", str(file), exit_code=1)
    assert str(file) in output
    assert problem in output
    assert "Traceback" not in output


def test_check_policy_without_a_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    assert "cannot read the policy" in _run("check-policy", str(tmp_path / "none.toml"), exit_code=1)
