"""Many records to Kafka, some of which were refused before: one result each, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from streams.edge.publisher import Publisher, PublishError, Record, TooLarge

T = TypeVar("T")
R = TypeVar("R")
E = TypeVar("E", bound=Exception)


async def acknowledged(
    publisher: Publisher,
    items: Sequence[tuple[str, Record] | E],
    done: Callable[[str, int, int, str], R],
    refused: Callable[[str], E],
) -> list[R | E | PublishError]:
    """Results of prepared records with their ids, all of them under way at once: `done` of topic, partition, offset and id, what was wrong
    before, or what Kafka said; `refused` where that is its size."""
    good = [item for item in items if not isinstance(item, Exception)]
    written = iter(await publisher.publish_many([record for _, record in good]))
    results: list[R | E | PublishError] = []
    for item in items:
        if isinstance(item, Exception):
            results.append(item)
            continue
        place = next(written)
        if isinstance(place, TooLarge):
            results.append(refused(str(place)))
        elif isinstance(place, PublishError):
            results.append(place)
        else:
            results.append(done(place.topic, place.partition, place.offset, item[0]))
    return results


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at once."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
