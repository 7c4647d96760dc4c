"""Who a customer is: the identity index, read without changing it. Only touches make people known."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from msgspec import Struct

from streams.core.identify import account_node, nodes
from streams.core.policy import Policy
from streams.core.touch import Customer
from streams.edge.identity_protocol import LINKS, key_prefix
from streams.settings import Settings

SCRIPT = LINKS + files("streams.gateway").joinpath("lookup.lua").read_text(encoding="utf-8")


class Person(Struct, frozen=True, gc=False):
    """`customers` are the ids whose timelines count: one, or several which a touch with the same identifiers would make one. `persons` are
    all ids under which something may be kept of them."""

    customers: tuple[str, ...]
    persons: tuple[str, ...]

    @property
    def customer_id(self) -> str:
        """The id that the person goes by, or would."""
        return min(self.customers)

    def persons_apart(self, persons: tuple[str, ...]) -> bool:
        """Whether these are the ids of somebody else."""
        return set(self.persons).isdisjoint(persons)


class People:
    """Reads the identity index in Redis."""

    def __init__(self, settings: Settings, policy: Policy, client: Any) -> None:
        self._key, self._region = settings.id_key, settings.default_region
        self.use(policy)
        self._script = client.register_script(SCRIPT)
        self._prefix = key_prefix(settings)

    def use(self, policy: Policy) -> None:
        """Tell identifiers by this policy from the next question on."""
        self._roles = frozenset(policy.identity.role_addresses)
        self._same_mailbox = policy.identity.same_mailbox

    def nodes(self, customer: Customer) -> tuple[str, ...]:
        """Pseudonymous ids of the usable identifiers; none when there is no usable one."""
        return nodes(customer, self._key, self._region, self._roles, self._same_mailbox)

    def account(self, account: str) -> str:
        """Pseudonymous id of a company."""
        return account_node(account, self._key)

    async def find(self, asked: Sequence[tuple[str, ...]]) -> tuple[bool, list[Person]]:
        """Whether the index is complete, and who these are, by their node ids. RedisError when it is away."""
        synced, *answers = await self._script(args=["look", self._prefix, *(" ".join(ids) for ids in asked)])
        people = []
        for answer in answers:
            customers, _, persons = answer.decode().partition(";")
            people.append(Person(tuple(customers.split()), tuple(persons.split())))
        return bool(synced), people
