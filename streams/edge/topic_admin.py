"""Creates the catalogued topics and checks the ones that are there, so that nothing starts on a wrong cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.edge.kafka_auth import client_options
from streams.edge.topics import TopicSpec, catalogue
from streams.settings import PREFIX, Settings

REQUEST_SECONDS = 20
VISIBLE_SECONDS = 60


class TopicAdminError(RuntimeError):
    """The cluster cannot be reached or refuses; the text says which address or topic, why, and what to do."""


def wanted_config(spec: TopicSpec, settings: Settings) -> dict[str, str]:
    """Topic settings that the topic should have on this installation.

    From three copies on, a write counts only when two copies have it, else the loss of one broker can lose touches that
    were acknowledged.
    """
    return {**spec.config, "min.insync.replicas": "2"} if settings.replication >= 3 else dict(spec.config)


async def create_missing(settings: Settings) -> list[str]:
    """Creates the topics that are not there and returns their names; existing ones are left as they are.

    Returns when every created partition has a leader, so that a client that starts now finds them.

    Raises:
        TopicAdminError: see there.
    """
    async with _admin(settings) as admin:
        present = await _topics(admin)
        missing = [spec for spec in catalogue(settings) if spec.name not in present]
        if not missing:
            return []
        response = await admin.create_topics(
            [
                NewTopic(
                    spec.name, settings.partitions, settings.replication, topic_configs=wanted_config(spec, settings)
                )
                for spec in missing
            ],
            timeout_ms=REQUEST_SECONDS * 1000,
        )
        for name, code, *rest in response.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):  # another worker may have been quicker
                raise TopicAdminError(f"topic {name} cannot be created: {_reason(code, rest[0] if rest else None)}")
        names = [spec.name for spec in missing]
        await _until(admin, lambda topics: [name for name in names if not _led(topics.get(name, []))], "have no leader")
        return names


async def check(settings: Settings) -> list[str]:
    """Problems as sentences, each with topic, what was found and what is wanted; empty when all is well.

    Raises:
        TopicAdminError: see there.
    """
    async with _admin(settings) as admin:
        present = await _topics(admin)
        specs = catalogue(settings)
        configs = await _configs(admin, [spec.name for spec in specs if spec.name in present])
    problems: list[str] = []
    for spec in specs:
        if spec.name not in present:
            problems.append(f"{spec.name}: missing; `touchstream topics create` creates it")
        else:
            problems += compare(
                spec.name, present[spec.name], configs[spec.name], settings, wanted_config(spec, settings)
            )
    return problems


async def delete(settings: Settings) -> None:
    """Deletes the catalogued topics with all their data, and returns when they are gone."""
    async with _admin(settings) as admin:
        present = await _topics(admin)
        names = [spec.name for spec in catalogue(settings) if spec.name in present]
        response = await admin.delete_topics(names, timeout_ms=REQUEST_SECONDS * 1000)
        for name, code, *_ in response.topic_error_codes:
            if code != 0:
                raise TopicAdminError(f"topic {name} cannot be deleted: {_reason(code, None)}")
        await _until(admin, lambda topics: [name for name in names if name in topics], "are still there")


def compare(
    name: str,
    partitions: list[dict[str, Any]],
    config: Mapping[str, str],
    settings: Settings,
    wanted: Mapping[str, str],
) -> list[str]:
    """Differences of one topic; `partitions` as in a metadata response, `config` its effective settings."""
    problems = []
    if len(partitions) != settings.partitions:
        # Customers are spread by hash: with another count, their state is looked for in the wrong partition.
        problems.append(
            f"{name}: {len(partitions)} partitions, wanted {settings.partitions}; set {PREFIX}PARTITIONS={len(partitions)}"
            f" if all topics have that many, else move to new topics with another --topic-prefix (adding partitions would"
            f" split customers)"
        )
    copies = min((len(partition["replicas"]) for partition in partitions), default=0)
    if copies < settings.replication:
        problems.append(
            f"{name}: replication factor {copies}, wanted {settings.replication}; raise it with"
            f" `kafka-reassign-partitions.sh`"
        )
    for key, value in wanted.items():
        found = config.get(key, "")
        enough = int(found or 0) >= int(value) if key == "min.insync.replicas" else _same(found, value)
        if not enough:
            problems.append(
                f"{name}: {key} is {found or 'not set'}, wanted {value}; mend it with"
                f" `kafka-configs.sh --alter --topic {name} --add-config {key}={value}`"
            )
    return problems


def _same(found: str, wanted: str) -> bool:
    try:
        return float(found) == float(wanted)
    except ValueError:
        return set(found.split(",")) == set(wanted.split(","))


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=REQUEST_SECONDS * 1000)
    try:
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            raise TopicAdminError(
                f"Kafka cannot be reached at {settings.bootstrap} ({settings.security_protocol}): {error}. Is it running,"
                f" and is the address right (--bootstrap or {PREFIX}BOOTSTRAP)?"
            ) from None
        try:
            yield admin
        except (KafkaError, OSError) as error:
            raise TopicAdminError(
                f"Kafka at {settings.bootstrap} did not do it: {type(error).__name__}: {error}"
            ) from None
    finally:
        await admin.close()


async def _topics(admin: AIOKafkaAdminClient) -> dict[str, list[dict[str, Any]]]:
    # All topics, because asking for one by name creates it on brokers with auto.create.topics.enable.
    return {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}


async def _until(
    admin: AIOKafkaAdminClient, not_yet: Callable[[Mapping[str, list[dict[str, Any]]]], list[str]], what: str
) -> None:
    """Waits until `not_yet` is empty; the controller answers before the brokers know of the change."""
    deadline = asyncio.get_running_loop().time() + VISIBLE_SECONDS
    while waiting := not_yet(await _topics(admin)):
        if asyncio.get_running_loop().time() > deadline:
            raise TopicAdminError(
                f"after {VISIBLE_SECONDS} s these topics {what}: {', '.join(waiting)}; look at the brokers' logs"
            )
        await asyncio.sleep(0.1)


def _led(partitions: list[dict[str, Any]]) -> bool:
    return bool(partitions) and all(partition["leader"] >= 0 for partition in partitions)


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for code, message, _type, name, entries in response.resources:
            if code != 0:
                raise TopicAdminError(f"the settings of topic {name} cannot be read: {_reason(code, message)}")
            found[name] = {entry[0]: entry[1] or "" for entry in entries}
    return found


def _reason(code: int, message: str | None) -> str:
    kind = for_code(code)
    return f"{kind.__name__}: {message or kind.description}"
