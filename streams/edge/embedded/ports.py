"""Loopback ports: find a free one, and say who holds one that is not."""

from __future__ import annotations

import errno
import itertools
import os
import socket

import psutil

from streams.edge.embedded.errors import StackError

LOOPBACK = "127.0.0.1"

PORTS = range(20_011, 32_300)
"""Where free ports are looked for: below those that systems hand out by themselves, to connections and to whoever binds port 0, which
may take one between the look and the server's start, seconds later. Their number is a prime."""

_numbers = itertools.count()


def free_port() -> int:
    """A port that nobody listens on now, and that no other process of ours is likely to be given. Another program can still take it
    before we do; then the start fails and says so.

    Raises:
        StackError: none of `PORTS` is free.
    """
    for _ in PORTS:
        port = PORTS[(401 * os.getpid() + next(_numbers)) % len(PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
            return port
    raise StackError(f"none of the ports {PORTS[0]} to {PORTS[-1]} at {LOOPBACK} is free; name one")


def claim(port: int, server: str, option: str) -> int:
    """`port` when it can be bound, a free one for 0.

    Raises:
        StackError: it is taken; names who holds it when the system tells, and the option that chooses another.
    """
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise StackError(
                    f"port {port} for {server} needs more rights; choose one above 1023 with {option}"
                ) from None
            if error.errno != errno.EADDRINUSE:
                raise StackError(
                    f"port {port} for {server} cannot be used: {error.strerror}; choose another with {option}"
                ) from None
            raise StackError(
                f"port {port} for {server} is taken by {holder(port)}; stop that, or choose another port with {option}"
                f" (0: any free one)"
            ) from None
    return port


def holder(port: int) -> str:
    """Name and pid of the process that listens on `port`, or "another process" when the system does not tell us."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells it to root only
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                break
    return "another process"


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((LOOPBACK, port)) == 0
