"""What a group has committed, as the broker says."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from streams.edge.kafka_auth import client_options
from streams.settings import Settings


async def committed(settings: Settings) -> dict[tuple[str, int], int]:
    """Committed offset by (topic, partition) of the installation's workers."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(settings.app_id)
        return {(place.topic, place.partition): known.offset for place, known in found.items()}
    finally:
        await admin.close()
