"""Files that commands read and write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.commands.common import CommandError
from streams.core import touch_json
from streams.core.touch import Touch


def touch_lines(lines: Iterable[bytes], broken: list[str]) -> Iterator[tuple[int, Touch]]:
    """Touches as JSON lines, with the numbers of their lines; what is none is named in `broken`."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                touch = touch_json.parse(line)
            except touch_json.TouchError as error:
                broken.append(f"line {number}: {error}")
            else:
                yield number, touch


def replace_file(path: Path, data: bytes) -> None:
    """The whole file or none: a reader never sees half a page. Raises CommandError."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            made = Path(folder, path.name)
            made.write_bytes(data)
            made.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
