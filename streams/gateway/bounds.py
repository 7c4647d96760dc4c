"""What a batch of checks may hold: for who answers and who asks."""

from __future__ import annotations

BATCH = "/v1/checks/batch"
BATCH_CUSTOMERS = 10_000
BATCH_BYTES = 32 * 1024 * 1024
LINE_BYTES = 64 * 1024
NDJSON = "application/x-ndjson"
