"""Run as a program: feeds the decoders with hostile bytes, in a process of its own, for a crash must not end the tests.

Each case ends in a value or in DecodeError. Memory is limited to 1 GiB, so that a bomb that allocates is seen. Prints a JSON object:
cases tried, values decoded, refusals by reason.
"""

from __future__ import annotations

import asyncio
import collections
import io
import json
import random
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

import fastavro
import msgspec
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import schemas
from streams.edge.avro_guard import plain
from streams.edge.codec import Codec, DecodeError
from streams.edge.registry import Registry
from streams.edge.schema_check import example
from streams.edge.wire import single_object_header
from tests.support.samples import TOUCH, decoders, payloads

CODEC = Codec()
VALID = payloads(CODEC)
HEADERS = {subject: single_object_header(schemas.load(subject)) for subject in schemas.SUBJECTS}
DECODERS = decoders(CODEC)


class OneSchema(Registry):
    """A registry that holds one schema under every id: touches of somebody else, with types that ours do not have."""

    async def fetch(self, schema_id: int) -> str:
        """Our fields, the last ones first, and four more that our reader skips."""
        schema = schemas.load("touch")
        names = [{"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": "string"}}},
                 {"name": "either", "type": ["double", "string", {"type": "fixed", "name": "Hash", "size": 4}]},
                 {"name": "flag", "type": "boolean"}, {"name": "small", "type": "int"}]  # fmt: skip
        schema["fields"] = [*names, *schema["fields"][:6], *reversed(schema["fields"][12:]), *schema["fields"][6:12]]
        return json.dumps(schema)


def foreign() -> tuple[Codec, bytes]:
    """A codec that has learned that schema, and a touch written with it."""
    codec, registry = Codec(OneSchema("http://127.0.0.1:1")), OneSchema("http://127.0.0.1:1")
    asyncio.run(codec.learn([1]))
    out = io.BytesIO(b"\x00\x00\x00\x00\x01")
    out.seek(0, io.SEEK_END)
    extra = {"tags": {"a": ["b", "c"], "d": []}, "either": "text", "flag": True, "small": -7}
    schema = fastavro.parse_schema(plain(json.loads(asyncio.run(registry.fetch(1)))))
    fastavro.schemaless_writer(out, schema, {**example("touch"), **extra})
    assert codec.decode_touch(out.getvalue()) == TOUCH
    return codec, out.getvalue()


FOREIGN, VALID["foreign"] = foreign()
HEADERS["foreign"] = VALID["foreign"][:5]
DECODERS["foreign"] = FOREIGN.decode_touch
SPLICES = (
    b"\x80\x80\x80\x80\x80\x40",  # 2^40 as a long: length, count, index
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # the least long
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # the greatest
    b"\xff" * 30,  # a number without end
    b"\x01",  # -1: index, length, count
    b"\x00",
    b"\x02",
    b"\xed\xa0\x80",  # half a surrogate pair
    b"\x02" * 5000,
)
tried: collections.Counter[str] = collections.Counter()


def check(subject: str, payload: bytes) -> None:
    """One case. Anything but a value or a DecodeError ends the program with a traceback."""
    tried["cases"] += 1
    try:
        value = DECODERS[subject](payload)
    except DecodeError as error:
        assert error.detail and len(error.detail) < 1000, error
        error.detail.encode()
        tried[error.reason] += 1
        return
    assert isinstance(value, msgspec.Struct)
    tried["values"] += 1


def bombs() -> Iterator[tuple[str, bytes]]:
    """Every splice at every place of every valid record, put in and instead of what follows."""
    for subject, payload in VALID.items():
        for at in range(len(payload)):
            for splice in SPLICES:
                yield subject, payload[:at] + splice
                yield subject, payload[:at] + splice + payload[at + len(splice) :]


def run(cases: int) -> None:
    """Random bytes, random bytes behind true headers, and random edits of valid records."""
    subjects = st.sampled_from(sorted(VALID))
    edits = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4)

    def bounded(test: Callable[..., None]) -> Any:
        return seed(4)(settings(max_examples=cases, deadline=None, database=None, suppress_health_check=())(test))

    def edited(subject: str, changes: list[tuple[int, int, bytes]]) -> None:
        payload = VALID[subject]
        for at, width, new in changes:
            at %= len(payload) + 1
            payload = payload[:at] + new + payload[at + width :]
        check(subject, payload)

    bounded(given(subjects, st.binary(max_size=300))(check))()
    bounded(given(subjects, st.binary(max_size=300))(lambda s, body: check(s, HEADERS[s] + body)))()
    bounded(given(subjects, edits)(edited))()


def main() -> None:
    """Arguments: hypothesis examples per strategy, number of bombs (of about 50,000, chosen at random but always the same)."""
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    examples, wanted = int(sys.argv[1]), int(sys.argv[2])
    all_bombs = list(bombs())
    for subject, payload in random.Random(4).sample(all_bombs, min(wanted, len(all_bombs))):
        check(subject, payload)
    for subject in VALID:
        for count in (2**40, 2**31):
            check(subject, HEADERS[subject] + b"\x02" * 7 + count.to_bytes(6, "little") + b"\x00" * 200_000)
        check(subject, HEADERS[subject] + b"\x02" * 262_000)
        check(subject, b"\x00\x00\x00\x00\x01" + b"\x02" * 100_000)
    run(examples)
    print(json.dumps(tried))


if __name__ == "__main__":
    main()
