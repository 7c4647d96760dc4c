"""Stands in for a worker where only its life as a process matters: `stand_in_worker.py DIRECTORY [EXIT_CODE...]`.

Writes its environment's settings to DIRECTORY/<pid>.json. The n-th start of all ends with the n-th EXIT_CODE; after
the last one it runs until SIGTERM, and then exits 0.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

directory = Path(sys.argv[1])
directory.mkdir(exist_ok=True)
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
number = len(list(directory.glob("*.json")))
fresh = directory / f"{os.getpid()}.new"
given = {name: value for name, value in os.environ.items() if name.startswith("TOUCHSTREAM_")}  # noqa: TID251
fresh.write_text(json.dumps(given))
fresh.rename(fresh.with_suffix(".json"))
print(f"start {number}", flush=True)
if number < len(sys.argv) - 2:
    sys.exit(int(sys.argv[2 + number]))
while not stop.wait(0.1):
    pass
