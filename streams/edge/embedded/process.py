"""A child process with a log file, that dies with us.

Linux: the kernel kills the child when the thread that started it ends (prctl PR_SET_PDEATHSIG, see `launch.py`), also
after `kill -9` of this process. The signal belongs to the starting *thread*, so one thread that lives as long as the
process starts them all. macOS has no such call: there children outlive a `kill -9`, and the next start on the same
data directory ends them (`stack.py` keeps their pids).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streams.edge.embedded.errors import StackError, from_os_error

_LAUNCHER = Path(__file__).with_name("launch.py")
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starts-children")
_JAVA_FRAME = re.compile(r"\s+(at [\w.$/]+[(<]|\.\.\. \d+ more)")
MAX_LOG_BYTES = 10 * 1024 * 1024


class Child:
    """One running child. Its output is appended to `log`, which a start puts aside as `<log>.1` when over 10 MiB."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Starts it, in a process group of its own (Ctrl-C in the terminal reaches us only, and we stop it in order).

        Args:
            command: absolute path of the program, then its arguments.
            env: the whole environment; None is ours.
        """
        self.name = name
        self.log = log
        argv = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *command]
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
                log.replace(log.with_name(log.name + ".1"))
            with log.open("ab") as out:
                self._start_of_log = out.tell()
                self._popen = _STARTER.submit(
                    lambda: subprocess.Popen(  # noqa: S603 - our own argument list, no shell
                        argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True
                    )
                ).result()
        except OSError as error:
            raise from_os_error(error, f"start {name}", log) from None

    @property
    def pid(self) -> int:
        """Process id; also of its process group."""
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int | None:
        """Exit code, or None when it still runs after `seconds`."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """SIGTERM, and no waiting."""
        self._signal(signal.SIGCONT)  # a paused process would not notice SIGTERM
        self._signal(signal.SIGTERM)

    def stop(self, seconds: float) -> int:
        """SIGTERM, and SIGKILL to the whole group when it still runs after `seconds`; returns the exit code."""
        self.terminate()
        code = self.wait(seconds)
        return code if code is not None else self.kill()

    def kill(self) -> int:
        """SIGKILL to the whole group; returns the exit code."""
        self._signal(signal.SIGKILL, group=True)
        return self._popen.wait()

    def pause(self) -> None:
        """SIGSTOP: it lives, but answers nothing from the return on."""
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._popen.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # its threads stop one by one

    def resume(self) -> None:
        """SIGCONT: ends `pause`."""
        self._signal(signal.SIGCONT)

    def last_lines(self, count: int = 8) -> str:
        """The end of what it wrote since this start, indented; without Java's stack frames, which hide the message."""
        with self.log.open("rb") as log:
            log.seek(max(self._start_of_log, log.seek(0, os.SEEK_END) - 64 * 1024))
            written = log.read().decode("utf-8", "replace").splitlines()
        lines = [line for line in written if not _JAVA_FRAME.match(line)]
        return "\n".join(f"    {line}" for line in lines[-count:])

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        if self._popen.poll() is not None:  # reaped: the pid may belong to another process already
            return
        if group:
            os.killpg(self._popen.pid, number)
        else:
            self._popen.send_signal(number)


def exit_text(code: int) -> str:
    """`exit code 3`, or `signal 9 (SIGKILL)`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def died(child: Child, code: int, files: Sequence[Path] = ()) -> StackError:
    """The error for a child that ended by itself, with the end of its log; names `files` as the place to read on."""
    # On a full disk the log itself may have missed the reason.
    full = shutil.disk_usage(child.log.parent).free < 1024 * 1024
    if full or "No space left on device" in child.last_lines(1000):
        return StackError(
            f"{child.name} ended: no space left at {child.log.parent}; free some, or choose another --data-dir"
        )
    where = ", ".join(str(path) for path in (child.log, *files))
    return StackError(f"{child.name} ended with {exit_text(code)}; the end of its log ({where}):\n{child.last_lines()}")
