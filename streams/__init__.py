"""touchstream: one stream of customer touches, so that sales and marketing act as one. The map:

=========  ==============================  =========================================  ====================================
stage      module                          reads -> writes                            metric
=========  ==============================  =========================================  ====================================
ingest     streams.core.ingest             touches.<channel> -> Touch | Rejected      touchstream_touches_total
identify   streams.core.identify           Touch -> touches.identified, identities    touchstream_identity_lookups_total
timeline   streams.core.timeline           touches.identified, commands -> timelines  touchstream_timelines
detect     streams.core.detect             timeline -> conflicts, handoffs            touchstream_findings_total
lead       streams.core.leads              timeline, commands -> leads                touchstream_lead_events_total
deliver    streams.edge.lane               records -> Kafka, acknowledged, committed  touchstream_finding_latency_seconds
=========  ==============================  =========================================  ====================================

`streams.core.pipeline` shows the way of one touch on one screen; `streams.edge.agents` is who calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.edge.client import Client, PublishError, TouchError

__all__ = ["Client", "PublishError", "TouchError"]


def __getattr__(name: str) -> object:
    # Lazy, so that `import streams.core` does not load Kafka's client.
    if name in __all__:
        from streams.edge import client

        return getattr(client, name)
    raise AttributeError(f"module 'streams' has no attribute {name!r}")
