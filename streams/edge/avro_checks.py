"""The checked parts that generated readers call (`avro_reader`): each takes bytes and a position, and trusts neither.

All give the value and the position behind it, and raise NotAvro, IndexError (the bytes end too early) or UnicodeDecodeError.
Format: Avro specification 1.11, "Binary encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from streams.edge.avro_guard import NotAvro, UnknownSymbol

Read = Callable[[bytes, int], tuple[Any, int]]
"""Takes the bytes and a position; gives the value and the position behind it."""

_HIGH_BITS = (0x80 >> 1) + (0x80 << 6) + (0x80 << 13) + (0x80 << 20) + (0x80 << 27)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A zig-zag number of at most 64 bits. One and two bytes (lengths) and six (timestamps) come first, for speed."""
    low = data[at]
    if low < 0x80:
        return (low >> 1) ^ -(low & 1), at + 1
    high = data[at + 1]
    if high < 0x80:
        value = low & 0x7F | high << 7
        return (value >> 1) ^ -(value & 1), at + 2
    if not low & 1 and len(data) - at > 5:
        b2, b3, b4, b5 = data[at + 2], data[at + 3], data[at + 4], data[at + 5]
        if b2 & b3 & b4 > 0x7F > b5:
            return (low >> 1) + (high << 6) + (b2 << 13) + (b3 << 20) + (b4 << 27) + (b5 << 34) - _HIGH_BITS, at + 6
    return _read_long(data, at)


def _read_long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    value, shift, end = byte & 0x7F, 7, at + 1
    while byte > 0x7F:
        byte = data[end]
        value |= (byte & 0x7F) << shift
        shift += 7
        end += 1
        if shift > 63 and byte > 1:
            raise NotAvro(f"the number at byte {at} has more than 64 bits")
    return (value >> 1) ^ -(value & 1), end


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """A number of at most 32 bits."""
    value, end = read_long(data, at)
    if not -(2**31) <= value < 2**31:
        raise NotAvro(f"the int at byte {at} has more than 32 bits")
    return value, end


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their length before them."""
    size, start = read_long(data, at)
    if size < 0 or size > len(data) - start:
        raise NotAvro(f"the length at byte {at} is {size}, but {len(data) - start} bytes are left")
    end = start + size
    return data[start:end], end


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """Text. Lengths of two bytes (64 to 8191 bytes of text) come first, for speed."""
    low = data[at]
    if low > 0x7F and not low & 1:
        high, start = data[at + 1], at + 2
        end = start + (low >> 1 & 0x3F | high << 6)
        if high < 0x80 and end <= len(data):
            return data[start:end].decode(), end
    value, end = read_bytes(data, at)
    return value.decode(), end


def read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    """One byte, 0 or 1."""
    if data[at] > 1:
        raise NotAvro(f"the boolean at byte {at} is {data[at]}")
    return data[at] == 1, at + 1


def read_float(data: bytes, at: int) -> tuple[float, int]:
    """32 bits, little-endian."""
    return struct.unpack("<f", read_fixed(data, at, 4)[0])[0], at + 4


def read_double(data: bytes, at: int) -> tuple[float, int]:
    """64 bits, little-endian."""
    return struct.unpack("<d", read_fixed(data, at, 8)[0])[0], at + 8


def read_fixed(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """That many bytes."""
    if size > len(data) - at:
        raise IndexError
    return data[at : at + size], at + size


def read_symbol(data: bytes, at: int, symbols: tuple[str, ...], refuse_at: str | None) -> tuple[str, int]:
    """A symbol of an enum. With a path in `refuse_at` the symbol `unknown` raises UnknownSymbol."""
    index, end = read_long(data, at)
    if not 0 <= index < len(symbols):
        raise NotAvro(f"the enum at byte {at} has no symbol {index}")
    symbol = symbols[index]
    if refuse_at is not None and symbol == "unknown":
        raise UnknownSymbol(refuse_at)
    return symbol, end


def read_union(data: bytes, at: int, *branches: Read) -> tuple[Any, int]:
    """A value of one of the branches."""
    index, end = read_long(data, at)
    if not 0 <= index < len(branches):
        raise NotAvro(f"the union at byte {at} has no branch {index}")
    return branches[index](data, end)


def read_null(data: bytes, at: int) -> tuple[None, int]:
    """The branch of no bytes."""
    return None, at


def read_array(data: bytes, at: int, item: Read) -> tuple[tuple[Any, ...], int]:
    """Items in blocks."""
    values: list[Any] = []
    at = _blocks(data, at, item, values)
    return tuple(values), at


def read_map(data: bytes, at: int, value: Read) -> tuple[dict[str, Any], int]:
    """Keys and values in blocks; the last of equal keys counts."""

    def pair(data: bytes, at: int) -> tuple[tuple[str, Any], int]:
        key, at = read_string(data, at)
        found, at = value(data, at)
        return (key, found), at

    pairs: list[tuple[str, Any]] = []
    at = _blocks(data, at, pair, pairs)
    return dict(pairs), at


def _blocks(data: bytes, at: int, item: Read, values: list[Any]) -> int:
    """Walks the blocks of an array or a map; every item takes a byte at least, which bounds the counts."""
    add = values.append
    while True:
        start = at
        count, at = read_long(data, at)
        if count == 0:
            return at
        end = None
        if count < 0:
            count = -count
            size, at = read_long(data, at)
            end = at + size
        if count > len(data) - at:
            raise NotAvro(f"the block at byte {start} says {count} items, but {len(data) - at} bytes are left")
        for _ in range(count):
            value, at = item(data, at)
            add(value)
        if end is not None and at != end:
            raise NotAvro(f"the block at byte {start} does not have the size that it says")


def no_branch(at: int) -> NotAvro:
    """The error of a value that is neither missing nor there."""
    return NotAvro(f"the union at byte {at} has no branch of that index")
