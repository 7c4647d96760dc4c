"""Writes that Kafka refuses: a record too large for its topic, a topic that is gone."""

from __future__ import annotations

import asyncio
import time

from streams.edge import topic_admin
from streams.edge.topics import CONFLICTS, DEAD_LETTER, catalogue, changelog
from tests.faults.kinds import RESTARTED, Fault
from tests.faults.site import Site
from tests.support.topic_config import set_topic_config


class TooLarge(Fault):
    """A topic takes no record of a useful size any more. Workers must leave with 70, and go on when it does again."""

    ends, must_end = RESTARTED, True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = f"writes refused: {name}"
        self._topic = name

    def inject(self, site: Site) -> None:
        """Lower the limit, and wait until a worker has left for it."""
        self._full = changelog(site.settings) if self._topic == "changelog" else site.settings.topic(self._topic)
        asyncio.run(
            set_topic_config(site.settings, self._full, {**_config(site, self._full), "max.message.bytes": "100"})
        )
        site.wait_end("exit code 70", "a worker to leave with 70")

    def heal(self, site: Site) -> None:
        """As it was."""
        asyncio.run(set_topic_config(site.settings, self._full, _config(site, self._full)))

    def confirm(self, site: Site) -> None:
        """The reason names the topic and Kafka's error."""
        said = "".join(end.text for end in site.said)
        assert self._full in said and "MessageSizeTooLarge" in said, said


class Missing(Fault):
    """The dead-letter topic is deleted. Workers must leave, say what is missing when they cannot start, and go on when it is back."""

    name = "dead-letter topic deleted"
    ends, must_end = RESTARTED, True

    def inject(self, site: Site) -> None:
        """Delete it once all that stands in it is read, and wait for a worker that cannot start without it."""
        self._topic = site.settings.topic(DEAD_LETTER)
        assert site.load is not None
        site.load.may_be_bad.clear()  # a letter that is deleted before the checker saw it would look lost
        time.sleep(1)
        for _ in range(2):  # what is found bad behind the first stage, too
            site.wait_recovered()
        site.checker.absent(self._topic)
        asyncio.run(_delete(site, self._topic))
        site.load.may_be_bad.set()
        site.wait_end("exit code 1", "a worker to refuse to start")

    def heal(self, site: Site) -> None:
        """Create it, as the error says."""
        asyncio.run(topic_admin.create_missing(site.settings))
        site.checker.present(self._topic)

    def confirm(self, site: Site) -> None:
        """The supervisor's line tells what is missing and the command that mends it."""
        said = "".join(end.text for end in site.said if end.how == "exit code 1")
        assert self._topic in said and "touchstream topics create" in said, said


def _config(site: Site, full: str) -> dict[str, str]:
    return next(spec.config for spec in catalogue(site.settings) if spec.name == full)


async def _delete(site: Site, topic: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=site.settings.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()


def faults() -> list[Fault]:
    """All of this module."""
    return [TooLarge("changelog"), TooLarge(CONFLICTS), TooLarge(DEAD_LETTER), Missing()]
