"""SDK and commands with a real schema registry: Confluent framing out, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streams import Client
from streams.core.touch_json import parse
from streams.edge.client import PublishError
from streams.edge.embedded.ports import free_port
from streams.settings import Settings
from tests.support import schema_registry
from tests.support.commands import PAYLOADS, objects, stored, touchstream

pytestmark = pytest.mark.stack

TOUCH = parse((PAYLOADS / "send.jsonl").read_bytes().splitlines()[0])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Address of a real registry that is empty at first."""
    with schema_registry.started(tmp_path) as running:
        yield running.url


def test_touch_in_confluent_framing(settings: Settings, registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a registry the SDK writes Confluent framing, and `tail` fetches the schema and prints the touch."""
    with Client.sync(settings=msgspec.structs.replace(settings, schema_registry_url=registry)) as client:
        client.send(TOUCH)
    (record,) = stored(settings, "touches.email")
    assert record.value is not None
    assert record.value[0] == 0
    assert int.from_bytes(record.value[1:5], "big") >= 1
    monkeypatch.setenv("TOUCHSTREAM_SCHEMA_REGISTRY_URL", registry)
    result = touchstream(settings, "tail", "touches", "--json", "--no-follow")
    assert result.stderr == ""
    assert [touch["touch_id"] for touch in objects(result.stdout)] == ["s1"]


def test_registry_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer from the registry nothing is sent, and the error names its address."""
    away = f"http://127.0.0.1:{free_port()}"
    with (
        pytest.raises(PublishError, match=rf"schemas cannot be registered: .*{away}"),
        Client.sync(settings=msgspec.structs.replace(settings, schema_registry_url=away)),
    ):
        pytest.fail("connected without a registry")
    monkeypatch.setenv("TOUCHSTREAM_SCHEMA_REGISTRY_URL", "not an address")
    result = touchstream(settings, "tail", "conflicts", "--no-follow")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: TOUCHSTREAM_SCHEMA_REGISTRY_URL: ")
