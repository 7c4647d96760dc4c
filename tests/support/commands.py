"""Running `touchstream` in a test: in this process, against a test's own topics."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from streams.cli import main
from streams.core.dead_letter import DeadLetter
from streams.core.touch import Touch
from streams.edge.reader import Stored, in_order, make_codec, read
from streams.edge.topics import DEAD_LETTER, TOUCH_TOPICS
from streams.settings import Settings

PAYLOADS = Path(__file__).parents[1] / "payloads"


def touchstream(settings: Settings | None, *arguments: str, stdin: bytes | str | None = None) -> Result:
    """The result of a command: exit_code, stdout, stderr. With settings, it talks to their Kafka and topics."""
    env = {"TOUCHSTREAM_ID_KEY": settings.id_key, "TOUCHSTREAM_APP_ID": settings.app_id} if settings else {}
    where = ["--bootstrap", settings.bootstrap, "--topic-prefix", settings.topic_prefix] if settings else []
    result = CliRunner(env=env).invoke(main, [*arguments, *where], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def objects(output: str) -> list[dict[str, Any]]:
    """JSON lines as dicts."""
    return [json.loads(line) for line in output.splitlines()]


def stored(settings: Settings, *names: str) -> list[Stored]:
    """All records of topics, named as in the catalogue, by the time at which they were written."""

    async def run() -> list[Stored]:
        topics = [settings.topic(name) for name in names]
        return [record async for record in read(settings, topics, start="beginning", follow=False)]

    return in_order(asyncio.run(run()), lambda one: (one.topic, one.partition), lambda one: one.timestamp)


def published(settings: Settings) -> list[Touch]:
    """All touches in the four touch topics, by id."""
    codec = make_codec(settings)
    touches = [codec.decode_touch(record.value or b"") for record in stored(settings, *TOUCH_TOPICS.values())]
    return sorted(touches, key=lambda touch: touch.touch_id)


def buried(settings: Settings) -> list[DeadLetter]:
    """All records of the dead-letter topic, by line."""
    codec = make_codec(settings)
    letters = [codec.decode_dead_letter(record.value or b"") for record in stored(settings, DEAD_LETTER)]
    return sorted(letters, key=lambda letter: (letter.line or 0, letter.dead_letter_id))
