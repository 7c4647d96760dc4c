"""All customers' timelines as Kafka holds them now, for whoever looks at all of them at once: the changelog, read to its end.

It is what the workers decide by: corrections, deletions, merges, splits and erasures are in it, and nothing of the workers is disturbed.
Values stay encoded until they are asked for, some 1.7 GB a million customers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from streams.core.entry import DamagedError
from streams.core.govern.colleagues import NOWHERE, Belonging, belonging
from streams.core.timeline import Timeline, customer_of, decode, is_customer, may_have_plans, segment_key
from streams.edge.reader import latest
from streams.edge.topics import changelog
from streams.settings import Settings


class History(Mapping[str, Timeline]):
    """Timelines by customer id. What is asked for is decoded anew each time."""

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self._values = values
        self._belongings: dict[str, Belonging] | None = None
        self._changed: dict[str, None] = {}
        """Whose belongings are to be looked at again."""

    def belongings(self) -> Mapping[str, Belonging]:
        """What each customer's touches say of their company. All timelines are decoded for it, later only those that have changed. Raises
        `DamagedError`."""
        if self._belongings is None:
            self._belongings, self._changed = {}, dict.fromkeys(self)
        while self._changed:
            customer, _ = self._changed.popitem()  # the last: the first stands behind all that were taken out
            try:
                held = self.get(customer)
                found = NOWHERE if held is None else belonging(held.entries)
            except DamagedError as error:
                self._changed[customer] = None
                raise error.of(customer) from None
            if found is NOWHERE:
                self._belongings.pop(customer, None)
            else:
                self._belongings[customer] = found
        return self._belongings

    def planned(self) -> Iterator[tuple[str, Timeline]]:
        """Customers for whom something is planned, with their timelines. Raises `DamagedError`."""
        for key, value in self._values.items():
            if b"#" not in key and may_have_plans(value):
                timeline = self[key.decode()]
                if timeline.plans:
                    yield key.decode(), timeline

    def __getitem__(self, customer: str) -> Timeline:
        """Raises KeyError for nobody, `DamagedError` for what is damaged, or a newer release wrote."""
        key = customer.encode()
        try:
            return decode(self._values[key], lambda digest: self._values.get(segment_key(key, digest)))
        except DamagedError as error:
            raise error.of(customer) from None

    def __iter__(self) -> Iterator[str]:
        """Ids of the customers who hold touches."""
        return (key.decode() for key, value in self._values.items() if b"#" not in key and is_customer(value))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Followed(History):
    """Timelines that are kept up to date."""

    def __init__(self, values: dict[bytes, bytes]) -> None:
        super().__init__(values)
        self._own = values

    def take(self, key: bytes, value: bytes | None) -> None:
        """What has changed since, one record of the changelog after the other."""
        if value is None:
            self._own.pop(key, None)
        else:
            self._own[key] = value
        if self._belongings is not None and b"#" not in key:
            self._changed[key.decode()] = None


async def history(settings: Settings, only: Collection[str] | None = None) -> Followed:
    """What the changelog held at the call, of all customers or only of these. Raises `streams.edge.reader.ReadError`."""
    keys = None if only is None else {customer.encode() for customer in only}
    return Followed(
        await latest(settings, changelog(settings), None if keys is None else lambda key: customer_of(key) in keys)
    )
