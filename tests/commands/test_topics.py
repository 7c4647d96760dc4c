"""`touchstream topics` against a real broker."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner

from schemas import SUBJECTS
from streams.cli import main
from streams.edge import topic_admin
from streams.edge.embedded.ports import free_port
from streams.edge.embedded.stack import EmbeddedStack
from streams.edge.topics import CATALOGUE, catalogue
from streams.settings import PREFIX, Settings
from tests.support.stack import fresh_settings


def call(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Exit code and everything printed by `touchstream topics ...` for this installation."""
    env = {
        f"{PREFIX}BOOTSTRAP": settings.bootstrap,
        f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix,
        f"{PREFIX}APP_ID": settings.app_id,
        f"{PREFIX}PARTITIONS": str(settings.partitions),
    }
    result = CliRunner().invoke(main, ["topics", *arguments], env=env)
    return result.exit_code, result.output


@pytest.mark.stack
def test_create_check_and_wrong_partitions(stack: EmbeddedStack) -> None:
    """create makes all topics once, check then passes, and another wanted count fails with every topic listed."""
    settings = fresh_settings(stack)
    count = len(catalogue(settings))
    assert call(settings, "check")[0] == 1
    code, text = call(settings, "create")
    assert (code, text.count("created ")) == (0, count)
    assert f"{count} topics created, 0 were there." in text
    assert f"0 topics created, {count} were there." in call(settings, "create")[1]
    said = f"{count} topics at {settings.bootstrap} and {len(SUBJECTS)} schemas are as they should be.\n"
    assert call(settings, "check") == (0, said)
    code, text = call(settings, "check", "--partitions", "5")
    assert code == 1
    assert f"{count} problems" in text
    assert text.count("2 partitions, wanted 5") == count
    asyncio.run(topic_admin.delete(settings))


def test_list_is_the_catalogue() -> None:
    """list prints every topic under its full name with its meaning, without a broker."""
    code, text = call(Settings(topic_prefix="acme."), "list")
    assert code == 0
    lines = text.splitlines()
    assert len(lines) == len(CATALOGUE) + 2, "head, catalogue, changelog"
    for spec, line in zip(CATALOGUE, lines[1:], strict=False):
        assert line.startswith(f"acme.{spec.name} ")
        assert line.endswith(spec.meaning)
    assert "latest per key" in lines[-1]


def test_unreachable_broker_is_an_error_without_a_traceback() -> None:
    """Nobody at the address: exit 1, one error that names it, and no log lines around it."""
    address = f"127.0.0.1:{free_port()}"
    code, text = call(Settings(bootstrap=address), "check")
    assert code == 1
    assert text.startswith(f"Error: Kafka cannot be reached at {address}")
    assert "Traceback" not in text
