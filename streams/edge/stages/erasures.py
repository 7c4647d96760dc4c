"""customer_erased -> identities, touches.identified, conflicts, reservations, erasures: a person is erased (GDPR article 17).

The index forgets the person and says what it had. From that follow, in this order: the marks by which touches from before the erasure
are known, what an erasure must not swallow (timelines are told of a cut, people that a finding is withdrawn), the command for each
timeline, and the identity part of the receipt; then, once Kafka has these, null values for all that the identity log says of the person,
and for their reservations; then the part again, which says that they are gone. A timeline's part comes twice, too: before its changelog
and behind it. One that came only once would be lost with a crash, or be there before what it says is true.

Read again after a crash, all of it comes again: until the offset is committed the index remembers the request, or was lost, and then the
log still tells the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from streams.core.commands import Command
from streams.core.erasure import IDENTITY, TIMELINE, Receipt, fate
from streams.core.identify import is_node
from streams.core.identity_facts import Erased
from streams.edge.codec import Codec
from streams.edge.lane import Out
from streams.edge.topics import ERASURES, IDENTIFIED, IDENTITIES, RESERVATIONS, catalogue
from streams.settings import Settings

ERASE = "customer_erased"
"""The kind of the command."""


def problem(command: Command) -> str | None:
    """Why the request cannot be carried out, or None. A plain address must not travel on as somebody's id."""
    if is_node(command.customer_id):
        return None
    return (
        "customer_erased needs the pseudonymous id of a customer or identifier, such as `touchstream identity show` prints, and no plain"
        " address; `touchstream customer erase` takes either"
    )


def timelines(gone: Erased, for_good: bool) -> tuple[str, ...]:
    """Those that may hold something of the person. If they are erased `for_good`, each of their identifiers gets a timeline's mark: while
    the index is away, it is the timeline that knows them."""
    return tuple(sorted({gone.customer_id, *gone.used, *(gone.identifiers if for_good else ())}))


def told(
    settings: Settings, codec: Codec, command: Command, gone: Erased, timestamp: int, timelines: Sequence[str]
) -> list[Out]:
    """A command for each of these timelines."""
    outputs = []
    for customer in timelines:
        own = Command(
            command.command_id, customer, ERASE, command.issued_at, command.cause,
            decided_at=gone.decided_at, identifiers=gone.identifiers, requested_by=command.requested_by,
        )  # fmt: skip
        outputs.append(Out(settings.topic(IDENTIFIED), customer.encode(), codec.encode_command(own), timestamp))
    return outputs


def identity_part(
    settings: Settings, codec: Codec, command: Command, gone: Erased, timelines: tuple[str, ...], reservations: int
) -> tuple[Out, Out]:
    """The identity part of the receipt: which timelines were told, and how many `reservations` go. For before they go, and for after."""
    done_at = gone.decided_at // 1000
    theirs = [spec for spec in catalogue(settings) if spec.name != settings.topic(ERASURES)]
    receipt = Receipt(
        command.command_id, IDENTITY, gone.customer_id, command.issued_at, done_at, command.requested_by,
        identifiers=len(gone.identifiers), log_records=len(gone.log_keys), timelines=timelines,
        findings=sum(fact.kind == "blocked" for fact in gone.decided),
        topics=tuple(fate(spec.name, spec.config, done_at) for spec in theirs), reservations=reservations,
    )  # fmt: skip
    return _published(settings, codec, receipt, done_at)


def null_values(settings: Settings, gone: Erased, reservations: list[str]) -> list[Out]:
    """The end of each record that the identity log has of the person, and of these reservations."""
    keys = [(IDENTITIES, key) for key in gone.log_keys] + [(RESERVATIONS, id_) for id_ in reservations]
    return [Out(settings.topic(topic), key.encode(), None) for topic, key in keys]


def timeline_part(
    settings: Settings, codec: Codec, command: Command, touches: int, findings: int, segments: int
) -> tuple[Out, Out]:
    """The receipt of one timeline: how many touches, findings and segments go. For before they go, and for after."""
    done_at = command.decided_at // 1000
    receipt = Receipt(
        command.command_id, TIMELINE, command.customer_id, command.issued_at, done_at, command.requested_by,
        touches=touches, findings=findings, segments=segments,
    )  # fmt: skip
    return _published(settings, codec, receipt, done_at)


def _published(settings: Settings, codec: Codec, receipt: Receipt, timestamp: int) -> tuple[Out, Out]:
    topic, key = settings.topic(ERASURES), receipt.customer_id.encode()
    decided, done = (codec.encode_receipt(replace(receipt, gone=gone)) for gone in (False, True))
    return Out(topic, key, decided, timestamp), Out(topic, key, done, timestamp)
