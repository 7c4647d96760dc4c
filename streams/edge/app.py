"""The worker's Faust app: the only place that builds one. Settings in, an app with its agents, table and lane out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from streams import settings as settings_module
from streams.core.policy import Policy, fingerprint
from streams.core.published import Published
from streams.edge import companies
from streams.edge.codec import Codec
from streams.edge.freshness import Freshness
from streams.edge.gather import Gather
from streams.edge.identity_index import IdentityIndex
from streams.edge.kafka_auth import client_options
from streams.edge.lane import Lane
from streams.edge.metrics import Metrics
from streams.edge.policies import Policies
from streams.edge.reader import make_codec, make_registry
from streams.edge.recovery import Tables
from streams.edge.registry import Registry, RegistryUnavailable
from streams.edge.reservations import Reservations
from streams.edge.stages import Ingest, Requests, Timelines
from streams.edge.store import Store
from streams.edge.topics import IDENTIFIED, TIMELINES_TABLE, changelog
from streams.edge.view import View
from streams.settings import Settings

REGISTRY_PAUSE = 2.0
"""Seconds between two tries to reach the schema registry at the start."""

log = logging.getLogger("touchstream.app")

PRODUCER_BATCH = 950_000
"""Bytes of one produced record batch; just under Kafka's default max.message.bytes of 1,048,588."""


class App(faust.App):  # type: ignore[misc]
    """A Faust app that knows its lane. See `create`."""

    metrics: Metrics
    touchstream: Settings
    lane: Lane | None = None
    gathers: dict[str, Gather]
    """By the full names of the topics that are read for them."""
    codec: Codec
    index: IdentityIndex
    reservations: Reservations
    freshness: Freshness
    view: View | None
    registry: Registry | None
    policies: Policies

    async def on_first_start(self) -> None:
        """Before anything is written, the schemas are registered; while the registry is away the worker waits."""
        while True:
            try:
                await self.codec.prepare()
                break
            except RegistryUnavailable as error:
                log.warning("waiting for the schema registry: %s", error)
                await asyncio.sleep(REGISTRY_PAUSE)
        await self.policies.catch_up()
        await super().on_first_start()
        # Faust subscribes to the topics of its conductor, and to their changelog.
        self.topics.add(self.topic(*self.gathers))

    async def on_shutdown(self) -> None:
        """Close what `create` opened."""
        await super().on_shutdown()
        await self.index.close()
        await self.reservations.close()
        if self.view is not None:
            await self.view.close()
        if self.registry is not None:
            await self.registry.close()

    def on_rebalance_return(self) -> None:
        """The assignment has been made known to all who ask for it."""
        super().on_rebalance_return()
        self.tables.recovery.begin()

    def _create_directories(self) -> None:
        """None: nothing of a worker is on disk, so that its container can be read-only."""

    def open_lane(self, producer: AIOKafkaProducer) -> None:
        """Called by the transport's producer when it has started."""
        settings = self.touchstream
        self.lane = Lane(producer, changelog(settings), settings.partitions, self.metrics, settings.session_timeout)

    @property
    def writes(self) -> Lane:
        """The lane, which is open whenever an agent runs."""
        if self.lane is None:
            raise RuntimeError("the producer has not started")
        return self.lane


def create(settings: Settings, policy: Policy, metrics: Metrics | None = None) -> App:
    """A worker's app, ready to be run by `faust.Worker`."""
    from streams.edge import agents, forgetting, loads, mend, timers, view, watch

    app = App(
        settings.app_id,
        broker=";".join(f"lane://{address.strip()}" for address in settings.bootstrap.split(",")),
        broker_credentials=_credentials(settings),
        store="touchstream://",
        TableManager=Tables,
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 4,
        broker_request_timeout=max(90.0, settings.session_timeout * 2),
        broker_commit_interval=settings.commit_interval,
        broker_max_poll_records=settings.max_batch_records,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_request_timeout=30.0,
        producer_max_batch_size=PRODUCER_BATCH,
        producer_max_request_size=4 * PRODUCER_BATCH,
        producer_linger_ms=0,
        stream_wait_empty=True,
        table_standby_replicas=0,
    )
    app.touchstream = settings
    app.gathers = {}
    app.metrics = metrics or Metrics()
    app.metrics.worker_info.labels(settings_module.version(), fingerprint(policy)).set(1)
    table = app.Table(TIMELINES_TABLE, partitions=settings.partitions, key_type=bytes, value_type=bytes)
    store: Store = table.data
    registry = make_registry(settings)
    app.registry = registry
    app.codec = codec = make_codec(settings, registry)
    app.index = index = IdentityIndex(settings, app.metrics, policy.identity.shared_after, policy.erasure.for_good)
    app.freshness = Freshness(settings.topic(IDENTIFIED))
    app.view = None
    if settings.view == "on":
        app.view = View(
            settings,
            app.metrics,
            store,
            lambda: app.writes.changelog_ends,
            lambda: app.writes.fence(),
            companies.needed(policy),
        )
    ingest = Ingest(settings, policy, codec, app.metrics, index)
    app.reservations = Reservations(settings)
    requests = Requests(settings, policy, codec, app.metrics, index, ingest, app.reservations)
    timelines = Timelines(settings, policy, codec, app.metrics, store, app.view)
    forgets = forgetting.Forgetting(settings, policy, codec, store)
    app.policies = Policies(settings, codec, _user(app, ingest, requests, forgets))
    app.task(app.policies.follow)
    agents.register(app, ingest, requests, timelines)
    watch.register(app, store, timelines)
    if app.view is not None:
        view.register(app, app.view)
    mend.register(app, ingest)
    forgetting.register(app, forgets, requests)
    timers.register(app, timers.Timers(settings, codec, store, lambda partition: timelines.in_force(partition)[1]))
    loads.register(app, loads.Teller(settings, codec, store))
    return app


def _user(app: App, *deciding: Any) -> Callable[[Policy, Published], None]:
    """What is to be done with a policy that comes into force."""

    def use(policy: Policy, published: Published) -> None:
        for one in deciding:
            one.use(policy)
        if app.view is not None and companies.needed(policy):
            app.view.keep_companies()
        app.metrics.worker_info.clear()
        app.metrics.worker_info.labels(settings_module.version(), published.fingerprint).set(1)

    return use


def _credentials(settings: Settings) -> Any:
    context = client_options(settings).get("ssl_context")
    if settings.security_protocol == "PLAINTEXT":
        return None
    if settings.security_protocol == "SSL":
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=settings.sasl_username,
        password=settings.sasl_password,
        ssl_context=context,
        mechanism=settings.sasl_mechanism,
    )
