"""Files that commands write."""

from __future__ import annotations

import tempfile
from pathlib import Path

from streams.commands.common import CommandError


def replace_file(path: Path, data: bytes) -> None:
    """The whole file or none: a reader never sees half a page. Raises CommandError."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            made = Path(folder, path.name)
            made.write_bytes(data)
            made.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
