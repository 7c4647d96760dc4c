"""Sending dead letters again: each back to where it came from, the same content once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from streams.commands import rendering
from streams.commands.publishing import JSON_SOURCE
from streams.core import touch_json
from streams.core.dead_letter import KEY_LIMIT, DeadLetter
from streams.core.ingest import ADAPTERS, Defaults
from streams.core.outcome import Rejected
from streams.core.touch import Touch
from streams.core.touch_json import TouchError
from streams.edge.client import Client, Sent
from streams.edge.publisher import PublishError, Record, TooLarge, Written
from streams.edge.reader import fetch
from streams.edge.topics import catalogue
from streams.settings import Settings


class Unreplayable(Exception):
    """A dead letter that cannot be sent again as it is; the text says why and what to do."""


@dataclass(slots=True)
class Replayed:
    """What became of the dead letters of one replay."""

    letters: int = 0
    records: int = 0
    repeated: int = 0
    nothing: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def text(self, dry_run: bool) -> str:
        """One line for people."""
        verb = "would replay" if dry_run else "replayed"
        parts = [f"{verb} {self.letters} dead letters ({self.records} records)"]
        if self.repeated:
            parts.append(f"{self.repeated} with the same content as another")
        if self.nothing:
            parts.append(f"{self.nothing} hold no touch")
        parts.append(f"not replayed {self.failed.total()}")
        return ", ".join(parts)


async def replay_all(
    settings: Settings, letters: Iterable[DeadLetter], mended: Touch | None, defaults: Defaults, client: Client | None
) -> Replayed:
    """Send dead letters again, one after another; without a client only say what would be sent.

    `mended` stands in for the content of the (only) letter. What cannot be sent is named on standard error.

    Raises:
        PublishError: Kafka does not take records any more.
        ReadError: a payload that was cut cannot be looked up.
    """
    done = Replayed()
    seen: set[tuple[str | None, bytes | None, str]] = set()
    for letter in letters:
        # A replayed record that is still wrong makes a second letter of the same content: sending each again would
        # double their number with every replay.
        content = (letter.origin.topic if letter.origin else letter.source, letter.key, letter.payload_sha256)
        if content in seen:
            done.repeated += 1
            continue
        seen.add(content)
        try:
            batch: list[Touch | Record] = [mended] if mended is not None else await _content(settings, letter, defaults)
            sent = await _send(client, batch) if client else [_would(item) for item in batch]
        except (Unreplayable, TouchError, TooLarge) as error:
            done.failed[letter.reason] += 1
            click.echo(f"{letter.dead_letter_id} is not replayed: {rendering.clean(str(error))}", err=True)
            continue
        done.records += len(sent)
        if sent:
            done.letters += 1
            click.echo(f"{letter.dead_letter_id} -> {', '.join(sent)}")
        else:
            done.nothing += 1
    return done


async def _content(settings: Settings, letter: DeadLetter, defaults: Defaults) -> list[Touch | Record]:
    """What a letter sends: its record, or the touches of its record for imports."""
    if letter.reason == "erased":
        return []  # its payload was not kept
    if letter.origin is None:
        if not letter.is_whole:
            raise Unreplayable(
                f"only {len(letter.payload)} of {letter.payload_size} bytes are kept; import {rendering.where(letter)} again"
            )
        return list(read_again(letter, defaults))
    topic = letter.origin.topic
    if topic not in {spec.name for spec in catalogue(settings)}:
        raise Unreplayable(f"it came from {topic}, which is no topic of this installation (is --topic-prefix right?)")
    if letter.is_whole and len(letter.key or b"") < KEY_LIMIT:
        return [Record(topic, letter.key, letter.payload)]
    stored = await fetch(settings, letter.origin)
    if stored is None or stored.value is None or hashlib.sha256(stored.value).hexdigest() != letter.payload_sha256:
        raise Unreplayable(
            f"only {len(letter.payload)} of {letter.payload_size} bytes are kept, and {rendering.where(letter)} does not"
            " hold the record any more; have its producer send it again, or give the mended touch by --with"
        )
    return [Record(topic, stored.key, stored.value)]


def read_again(letter: DeadLetter, defaults: Defaults) -> Iterable[Touch]:
    """The touches in the record of an import.

    Raises:
        Unreplayable: nothing can read it, or it is still wrong.
        TouchError: it is still wrong.
    """
    if letter.source == JSON_SOURCE:
        yield touch_json.parse(letter.payload)
        return
    if letter.source in ("deals", "costs"):
        raise Unreplayable(f"mend the line and give it to `touchstream {letter.source}`")
    if letter.source not in ADAPTERS:
        raise Unreplayable(f"no adapter is called {letter.source!r}; give the mended touch by --with")
    for outcome in ADAPTERS[letter.source].adapt(letter.payload, defaults):
        if isinstance(outcome, Rejected):
            raise Unreplayable(f"it is still wrong: {outcome.reason}: {outcome.detail}")
        if isinstance(outcome, Touch):
            yield outcome


async def _send(client: Client, batch: list[Touch | Record]) -> list[str]:
    """Publish, wait, and say where each record stands."""
    touches = [item for item in batch if isinstance(item, Touch)]
    records = [item for item in batch if isinstance(item, Record)]
    results: list[Sent | Written | TouchError | PublishError] = [
        *(await client.attempt(touches)),
        *(await client.publisher.publish_many(records)),
    ]
    places = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        places.append(f"{result.topic}[{result.partition}]@{result.offset}")
    return places


def _would(item: Touch | Record) -> str:
    if isinstance(item, Record):
        return f"{item.topic} ({len(item.value or b'')} bytes)"
    return touch_json.to_json(item).decode()
