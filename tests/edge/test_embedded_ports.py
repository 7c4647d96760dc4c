"""Free ports of loopback: nobody else is given one before its server has started."""

from __future__ import annotations

import socket
import subprocess
import sys

from streams.edge.embedded import ports
from streams.edge.embedded.ports import LOOPBACK, PORTS, free_port

ASK = "from streams.edge.embedded.ports import free_port; print(*(free_port() for _ in range(50)))"


def test_processes_at_one_time_get_ports_of_their_own() -> None:
    """Three processes that each look for fifty ports, and start nothing there yet: no port is given twice, and none is one that the system
    would give to a connection."""
    processes = [subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = [int(port) for process in processes for port in process.communicate()[0].split()]
    assert len(set(found)) == len(found) == 150
    assert set(found) <= set(PORTS) and PORTS[-1] < 32_768


def test_a_port_that_somebody_has_is_passed_over() -> None:
    """The next one is free."""
    port = free_port()
    after = PORTS[(PORTS.index(port) + 1) % len(PORTS)]
    with socket.socket() as holder:
        holder.bind((LOOPBACK, after))
        assert ports.free_port() not in (port, after)
