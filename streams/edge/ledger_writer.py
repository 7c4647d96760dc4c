"""The ledger's way out: each batch of records, and the offsets of what they were made of, in one transaction of Kafka.

There is one transactional id an installation. Whoever takes it over ends the transactions of the process before, and that one can write
nothing from then on: so two processes never publish figures beside each other, wherever one of them stood still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from streams.edge import crash_points
from streams.edge.kafka_auth import client_options
from streams.edge.ledger_turn import group_of
from streams.edge.publisher import MAX_RECORD, PublishError, Record, describe, give_up
from streams.settings import Settings

TIMEOUT = 60.0
"""Seconds for one transaction."""


class Superseded(Exception):
    """Another process has taken over; this one must end. Started anew, it stands by."""

    def __init__(self) -> None:
        super().__init__(
            "another `touchstream ledger` of this installation has taken over, as this one did not answer for a while; started again, it"
            " stands by"
        )


class LedgerWriter:
    """`async with LedgerWriter(settings) as writer`: it is this process' turn from then on."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._group = settings, group_of(settings)
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> LedgerWriter:
        self._producer = AIOKafkaProducer(
            client_id="touchstream-ledger",
            transactional_id=self._group,
            transaction_timeout_ms=int(TIMEOUT * 1000),
            acks="all",
            compression_type="lz4",
            max_batch_size=256 * 1024,
            max_request_size=MAX_RECORD,
            **client_options(self._settings),
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._producer.start()
                # The id is taken over with the first transaction: what the process before had begun ends here.
                await self._producer.begin_transaction()
                await self._producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch) as error:
            await self.close()
            raise Superseded from error
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise PublishError(f"cannot write to Kafka at {self._settings.bootstrap}: {describe(error)}") from error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect; a transaction that is open is given up, and ended by whoever comes next."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await give_up(producer)

    async def write(self, records: Sequence[Record], read: Mapping[TopicPartition, int] | None = None) -> None:
        """All of the records, with the offsets up to which was read, or none.

        Raises:
            Superseded: another process has taken over.
            PublishError: Kafka did not take them in time; they may be there all the same, and it is safe to write them again.
        """
        producer = self._producer
        assert producer is not None, "used in `async with`"
        try:
            async with asyncio.timeout(TIMEOUT):
                await producer.begin_transaction()
                futures = [await producer.send(one.topic, one.value, one.key) for one in records]
                if futures:
                    await asyncio.gather(*futures)
                crash_points.reach("ledger_in_transaction")
                if read:
                    await producer.send_offsets_to_transaction(dict(read), self._group)
                await producer.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise Superseded from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise PublishError(
                f"Kafka at {self._settings.bootstrap} did not take {len(records)} records of the ledger: {describe(error)}"
            ) from error
