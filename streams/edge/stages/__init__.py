"""The stages of a worker, a micro-batch at a time: raw records in, one `Write` out. Called by the agents.

`Ingest` decodes, checks and identifies touches, `Requests` takes commands from outside, `Timelines` keeps the timelines and finds what is
to be found. None raises on input: what cannot go on becomes a dead letter with its address.
"""

from streams.edge.stages.ingest import Ingest
from streams.edge.stages.requests import Requests
from streams.edge.stages.timelines import Timelines

__all__ = ["Ingest", "Requests", "Timelines"]
