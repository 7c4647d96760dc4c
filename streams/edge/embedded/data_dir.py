"""The stack's data directory: one user at a time, enough space, and nobody left over from an earlier run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from streams.edge.embedded.errors import StackError, from_os_error


class DataDir:
    """One data directory. `acquire` makes it ours; the kernel frees it with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Touches nothing yet."""
        self.path = path
        self._lock: int | None = None
        self._children = path / "children.json"

    def acquire(self, min_free_bytes: int) -> None:
        """Makes and locks the directory, writes our pid into the lock file, and ends what an earlier run left behind.

        Raises:
            StackError: it cannot be written, another process holds it, or less than `min_free_bytes` are free.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise from_os_error(error, "use the data directory", self.path) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            other = os.pread(file, 32, 0).decode() or "unknown"
            os.close(file)
            raise StackError(
                f"the data directory {self.path} is in use by another touchstream (pid {other}); stop that one, or choose"
                f" another directory with --data-dir"
            ) from None
        except OSError as error:
            os.close(file)
            raise from_os_error(error, "lock the data directory", self.path) from None
        self._lock = file
        self._check_space(min_free_bytes)
        self._end_leftovers()

    def release(self) -> None:
        """Frees it for others; nothing when it is not ours."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remember(self, pids: Iterable[int]) -> None:
        """Writes down our running children, in place of those before, for the next `acquire`."""
        known = []
        for pid in pids:
            try:
                known.append([pid, psutil.Process(pid).create_time()])
            except psutil.NoSuchProcess:
                continue
        fresh = self._children.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(known), encoding="utf-8")
            fresh.replace(self._children)
        except OSError as error:
            raise from_os_error(error, "write down the running servers", self._children) from None

    def _check_space(self, min_free_bytes: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < min_free_bytes:
            raise StackError(
                f"only {free // 2**20} MiB are free at {self.path}, and the embedded servers need"
                f" {min_free_bytes // 2**20}; free some, or choose another place with --data-dir"
            )

    def _end_leftovers(self) -> None:
        """Kills children that outlived their parent, which they can where the kernel does not end them (macOS).

        A pid that was given to another program since is told apart by its start time.
        """
        try:
            known = [(int(pid), float(created)) for pid, created in json.loads(self._children.read_bytes())]
        except FileNotFoundError:
            return
        except (ValueError, TypeError):  # cut off by a full disk; whom it named cannot be known
            known = []
        for pid, created in known:
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - created) < 1.0:
                    process.kill()
                    process.wait(10)
            except psutil.NoSuchProcess:
                continue
        self._children.unlink()
