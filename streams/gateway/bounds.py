"""What a batch may hold, of checks or of records of consent: for who answers and who asks."""

from __future__ import annotations

BATCH = "/v1/checks/batch"
CONSENTS_BATCH = "/v1/consents/batch"
BATCH_CUSTOMERS = 10_000
BATCH_BYTES = 32 * 1024 * 1024
LINE_BYTES = 64 * 1024
NDJSON = "application/x-ndjson"
