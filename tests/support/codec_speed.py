"""Run as a program: what the codec costs on realistic touches, beside fastavro on the same bytes. Prints a table in microseconds a record.

    python -m tests.support.codec_speed [rounds]

Both take turns in one process, and the processor's time is counted, so that the ratio holds on a machine that others use too.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from statistics import median
from time import thread_time
from typing import Any

import fastavro
from msgspec import to_builtins

import schemas
from streams.core import pipeline
from streams.core.touch import Origin
from streams.edge.avro_guard import plain
from streams.edge.codec import Codec
from tests.support import histories
from tests.support.samples import COMMAND, CONFLICT

CODEC = Codec()
PARSED = {subject: fastavro.parse_schema(plain(schemas.load(subject))) for subject in schemas.SUBJECTS}
TOUCHES = list(histories.stream(seed=3, customers=2000, count=2000))
PAYLOADS = [CODEC.encode_touch(touch) for touch in TOUCHES]
IDENTIFIED = [
    pipeline.identify(touch, f"c2-{n:020d}", touch.occurred_at + 900, Origin("touches.email", n % 4, n))
    for n, touch in enumerate(TOUCHES)
]
SPLICED = [CODEC.encode_identified(*both) for both in zip(IDENTIFIED, PAYLOADS, strict=True)]
FINDING, ORDER = CODEC.encode_finding(CONFLICT), CODEC.encode_command(COMMAND)


def read(subject: str, payload: bytes) -> Any:
    """One of our records, by fastavro."""
    return fastavro.schemaless_reader(io.BytesIO(payload[10:]), PARSED[subject])


def write(subject: str, datum: Any) -> bytes:
    """A datum, by fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED[subject], datum)
    return out.getvalue()


def cases() -> Iterable[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """What is done, by the codec, by fastavro; 2,000 records each."""
    pairs = list(zip(IDENTIFIED, PAYLOADS, strict=True))
    data = [read("touch", payload) for payload in PAYLOADS]
    whole = [read("identified_touch", payload) for payload in SPLICED]
    finding, order = read("conflict", FINDING), to_builtins(COMMAND, builtin_types=(bytes,)) | {"into": None}
    many = range(len(PAYLOADS))
    yield (
        "decode_touch",
        lambda: [CODEC.decode_touch(p) for p in PAYLOADS],
        lambda: [read("touch", p) for p in PAYLOADS],
    )
    yield (
        "decode_identified",
        lambda: [CODEC.decode_identified(p) for p in SPLICED],
        lambda: [read("identified_touch", p) for p in SPLICED],
    )
    yield "encode_touch", lambda: [CODEC.encode_touch(t) for t in TOUCHES], lambda: [write("touch", d) for d in data]
    yield (
        "encode_identified, spliced",
        lambda: [CODEC.encode_identified(i, p) for i, p in pairs],
        lambda: [write("identified_touch", d) for d in whole],
    )
    yield (
        "encode_finding",
        lambda: [CODEC.encode_finding(CONFLICT) for _ in many],
        lambda: [write("conflict", finding) for _ in many],
    )
    yield (
        "encode_command",
        lambda: [CODEC.encode_command(COMMAND) for _ in many],
        lambda: [write("command", order) for _ in many],
    )


def main() -> None:
    """Argument: rounds (15)."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    mean = sum(map(len, PAYLOADS)) // len(PAYLOADS)
    messages = sum(touch.message is not None for touch in TOUCHES)
    print(f"{len(TOUCHES)} touches of {mean} bytes, {messages} with a message; median of {rounds}, µs a record")
    for name, ours, theirs in cases():
        spent: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for times, run in zip(spent, (ours, theirs), strict=True):
                began = thread_time()
                run()
                times.append((thread_time() - began) / len(TOUCHES) * 1e6)
        us, fast = median(spent[0]), median(spent[1])
        print(f"{name:28} {us:6.2f}   fastavro {fast:6.2f}   {fast / us:.1f} times")


if __name__ == "__main__":
    main()
