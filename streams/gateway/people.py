"""Who a customer is, and what stands under their ids: read in one trip to Redis, and nothing is changed. Only touches make people known."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from msgspec import Struct

from streams.core.identify import account_node, nodes
from streams.core.policy import Policy
from streams.core.touch import Customer
from streams.edge import reservations, view
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


class Glance(Struct, frozen=True):
    """What one trip brought. `synced`: the identity index is complete; `ready` says of which run of the server the reservations are
    (`Holds.is_complete`); `beats` of the view are None when they were not asked for. `timelines` by customer: whether the copy of the
    partition is whole, and the encoded timeline; `held` by the ids of persons and companies: `Holds.found` reads it."""

    synced: bool
    ready: bytes | None
    beats: dict[bytes, bytes] | None
    people: list[Person]
    timelines: dict[str, tuple[bytes | None, bytes | None]]
    held: dict[str, dict[bytes, bytes]]


class People:
    """Reads the identity index in Redis."""

    def __init__(self, settings: Settings, policy: Policy, client: Any) -> None:
        self._key, self._region = settings.id_key, settings.default_region
        self.use(policy)
        self._script = client.register_script(SCRIPT)
        prefixes = key_prefix(settings), view.prefix(settings), reservations.key_prefix(settings)
        self._args = ("see", *prefixes, settings.partitions)

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

    async def see(
        self, asked: Sequence[tuple[str, ...]], companies: Sequence[str | None] = (), beats: bool = False
    ) -> Glance:
        """Who these are, by their node ids, and what stands under their ids and their companies' at that moment. RedisError when it is
        away."""
        operands: list[str] = []
        for ids, company in zip(asked, companies or [None] * len(asked), strict=True):
            operands += " ".join(ids), company or ""
        synced, ready, told, *answers = await self._script(args=[*self._args, int(beats), *operands])
        glance = Glance(bool(synced), ready, _mapping(told) if beats else None, [], {}, {})
        for (ids, found, held), company in zip(answers, operands[1::2], strict=True):
            customers, _, persons = ids.decode().partition(";")
            person = Person(tuple(customers.split()), tuple(persons.split()))
            glance.people.append(person)
            glance.timelines.update(zip(person.customers, zip(found[::2], found[1::2], strict=True), strict=True))
            places = (*person.persons, company) if company else person.persons
            glance.held.update(zip(places, map(_mapping, held), strict=True))
        return glance


def _mapping(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True)) if flat else {}
