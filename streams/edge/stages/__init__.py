"""The two stages of a worker, a micro-batch at a time: raw records in, one `Write` out. Called by the agents.

`Ingest` decodes, checks and identifies; `Timelines` keeps the timelines and finds what is to be found. Neither raises on input:
what cannot go on becomes a dead letter with its address.
"""

from streams.edge.stages.ingest import Ingest
from streams.edge.stages.timelines import Timelines

__all__ = ["Ingest", "Timelines"]
