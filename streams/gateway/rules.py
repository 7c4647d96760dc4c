"""The policy that one request is answered by, from its first look to its answer: another one comes into force between two requests."""

from __future__ import annotations

from msgspec import Struct

from streams.core.govern import compiled
from streams.core.policy import Policy, fingerprint


class Rules(Struct, frozen=True):
    """`version` and `fingerprint` stand in the answer; `account_wide` says whether some rule looks at a whole company."""

    policy: Policy
    version: str
    fingerprint: str
    account_wide: bool

    @property
    def degraded(self) -> str:
        """What a check answers that cannot see enough."""
        return self.policy.governance.degraded


def of(policy: Policy) -> Rules:
    """The rules of a policy."""
    ready = compiled.of(policy)
    return Rules(policy, ready.version, fingerprint(policy), bool(ready.account_wide))
