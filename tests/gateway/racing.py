"""Who race for slots: many at once from one process, or from several.

`python -m tests.gateway.racing URL...` is one such process: it says "ready", reads a line with what to ask (JSON), asks all at once, and
prints the answers.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import aiohttp


async def race(urls: list[str], asks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All at once, each of the next gateway; the answers in order."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as session:

        async def one(n: int, body: dict[str, Any]) -> dict[str, Any]:
            async with session.post(f"{urls[n % len(urls)]}/v1/reservations", json=body) as answer:
                told: dict[str, Any] = await answer.json(content_type=None)
                assert answer.status in (200, 201), told
                return told

        return await asyncio.gather(*(one(n, body) for n, body in enumerate(asks)))


def race_of_processes(urls: list[str], asks: list[dict[str, Any]], processes: int) -> list[dict[str, Any]]:
    """The same, from several client processes that begin at one moment; answers in no order."""
    command = [sys.executable, "-m", __name__, *urls]
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        for client in clients:
            assert client.stdout is not None and client.stdout.readline() == "ready\n"
        for n, client in enumerate(clients):
            assert client.stdin is not None
            theirs = asks[len(asks) * n // processes : len(asks) * (n + 1) // processes]
            client.stdin.write(json.dumps(theirs) + "\n")
            client.stdin.flush()
        told: list[dict[str, Any]] = []
        for client in clients:
            out, _ = client.communicate(timeout=360)
            assert client.returncode == 0
            told += json.loads(out)
        return told
    finally:
        for client in clients:
            client.kill()


def main() -> None:
    """One client process."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    told = asyncio.run(race(sys.argv[1:], json.loads(sys.stdin.readline())))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
