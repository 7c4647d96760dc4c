"""Changing a topic's settings behind the worker's back."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.edge.kafka_auth import client_options
from streams.settings import Settings


async def set_topic_config(settings: Settings, topic: str, config: Mapping[str, str]) -> None:
    """Replace the topic's own settings by these."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        for response in await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(config))]
        ):
            assert all(code == 0 for code, *_ in response.resources), response
    finally:
        await admin.close()
