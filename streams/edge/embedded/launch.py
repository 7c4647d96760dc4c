"""Becomes another program that dies when its parent dies: `python launch.py PARENT_PID PROGRAM ARGUMENT...`.

Runs as a script of its own between fork and the program, because code in `preexec_fn` can deadlock in a process that
has threads. Standard library only, and it must not import `streams`: it runs with `-I -S` to be quick.
"""

import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
SIGKILL = 9


def main() -> None:
    """Asks the kernel to end us with the parent, makes sure that it was not too late for that, and turns into the
    program.
    """
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit(f"parent {parent} is gone")
    try:
        os.execv(command[0], command)  # noqa: S606 - that is what it is for
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


main()
