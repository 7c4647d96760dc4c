"""Turns into a worker, after applying what a fault has laid ready: `launch.py DIRECTORY`.

The supervisor starts this as the worker's command. The first start that finds DIRECTORY/next.json takes it: {"env": {...},
"directory": where it runs, "no_files": true when no file may grow by a byte}.
"""

import json
import os
import resource
import sys
from pathlib import Path

ready = Path(sys.argv[1], "next.json")
taken = ready.with_suffix(f".{os.getpid()}")
try:
    ready.rename(taken)
    change = json.loads(taken.read_text())
except FileNotFoundError:
    change = {}
os.environ.update(change.get("env", {}))  # noqa: TID251 - it becomes the worker's
if change.get("no_files"):
    os.environ["TOUCHSTREAM_LOG_LEVEL"] = "WARNING"  # noqa: TID251 - its log is such a file
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
if directory := change.get("directory"):
    sys.path.insert(0, os.getcwd())
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # noqa: TID251
    os.chdir(directory)
os.execv(sys.executable, [sys.executable, "-m", "streams", "worker"])
