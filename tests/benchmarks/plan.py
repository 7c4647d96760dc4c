"""What one run is, as passed to the engine's process on its command line."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from streams.core.policy import Policy, parse
from streams.settings import Settings
from tests.benchmarks import COMMIT_SECONDS, PARTITIONS
from tests.support.stack import POLICY

Job = Literal["whole_worker", "rule_only"]
JOBS: tuple[Job, ...] = ("whole_worker", "rule_only")

RULE_INPUT, RULE_OUTPUT = "contacts", "pairs"
"""Topics of `rule_only`, without prefix."""


class Size(Struct, frozen=True):
    """How much input."""

    name: str
    touches: int
    customers: int

    @property
    def suffix(self) -> str:
        """Behind the job's name in results.json."""
        return "" if self.name == "200k" else f"_{self.name}"


SIZES = {
    size.name: size
    for size in (Size("quick", 20_000, 2_000), Size("200k", 200_000, 20_000), Size("1m", 1_000_000, 100_000))
}


class Run(Struct, frozen=True):
    """One engine's run. `group` is its consumer group and the root of its changelog's name; `records` is the input's length. `identities`
    says where a peer's whole worker keeps them."""

    job: Job
    bootstrap: str
    redis_url: str
    prefix: str
    group: str
    data_dir: str
    records: int
    threads: int = 1
    identities: Literal["memory", "redis"] = "memory"

    def settings(self) -> Settings:
        """As the product's settings, so that topics are named and customers hashed alike in every engine."""
        return Settings(
            bootstrap=self.bootstrap,
            redis_url=self.redis_url,
            topic_prefix=self.prefix,
            app_id=self.group,
            id_key="bench",
            partitions=PARTITIONS,
            commit_interval=COMMIT_SECONDS,
            metrics_port=0,
            policy_path=str(POLICY),
        )

    def policy(self) -> Policy:
        """The one that the workers have: the made-up touches are of days long past."""
        return parse(POLICY.read_text())

    def topic(self, name: str) -> str:
        """A topic's full name."""
        return self.prefix + name

    def encode(self) -> str:
        """For the command line."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def decode(text: str) -> Run:
        """Inverse of `encode`."""
        return msgspec.json.decode(text, type=Run)
