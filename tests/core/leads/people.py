"""Several customer ids, whose they are by an index's decisions, and what is published of them: commands go where they are sent."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core import customer
from streams.core.commands import Command
from streams.core.customer import Effect
from streams.core.leads import asked
from streams.core.leads.events import LeadEvent, standing
from streams.core.moving import merge_command, split_command
from streams.core.outcome import Finding
from streams.core.policy import Policy
from streams.core.timeline import EMPTY, Timeline, decode, due, encode
from streams.core.touch import Actor, Customer, IdentifiedTouch, Kind, Touch


class People:
    """`records` are all lead events published, in order. Between steps timelines are encoded and decoded, as a restart would. `home` is the
    customer of each identifier that goes by another id."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.held: dict[str, Timeline] = {}
        self.home: dict[str, str] = {}
        self.records: list[LeadEvent] = []
        self.findings: list[Finding] = []
        self.erasures: set[str] = set()
        self._clock = 0

    def timeline(self, who: str) -> Timeline:
        """What is held under this id."""
        return self.held.get(who, EMPTY)

    @property
    def moment(self) -> int:
        """When the index last decided something, by its clock (us)."""
        return self._clock

    def _decided(self, now: int) -> int:
        """The identity index's clock (us): no two decisions at one moment."""
        self._clock = max(self._clock + 1, now * 1000)
        return self._clock

    def _take(self, who: str, effect: Effect) -> Effect:
        self.held[who] = decode(encode(effect.timeline))
        self.records += effect.leads
        self.findings += effect.findings
        if effect.forward is not None:
            self._take(
                effect.forward.customer_id,
                customer.on_touch(self.timeline(effect.forward.customer_id), effect.forward, self.policy),
            )
        for command in effect.commands:
            self.tell(command)
        return effect

    def tell(self, command: Command) -> Effect:
        """A command reaches its customer."""
        who = command.customer_id
        return self._take(who, customer.on_command(self.timeline(who), command, self.policy))

    def touch(self, who: str, id_: str, kind: Kind, at: int, came: int | None = None, person: bool = False) -> Effect:
        """A touch of the identifier: of sales by a `person`, else of marketing, in the direction usual for its kind; it came at `came`."""
        inbound = kind in ("clicked", "replied", "lead_form", "opened")
        actor = None if inbound else Actor("rep") if person else Actor("robot", kind="automation")
        touch = Touch(
            id_, "email", "sales" if person else "marketing", "inbound" if inbound else "outbound", kind, at, Customer(email="a"),
            actor=actor,
        )  # fmt: skip
        now = at if came is None else came
        home = self.home.get(who, who)
        identified = IdentifiedTouch(
            home, touch, (), now, identifier="" if home == who else who, resolved_at=self._decided(now)
        )
        return self._take(home, customer.on_touch(self.timeline(home), identified, self.policy))

    def say(self, who: str, kind: asked.AskedKind, now: int, **more: object) -> Effect:
        """What sales says of the customer's lead."""
        command = asked.lead_command(kind, who, "rep", now)
        return self.tell(replace(command, command_id=f"{command.command_id}-{len(self.records)}", **more))

    def tick(self, who: str, now: int) -> Effect:
        """The moment has come."""
        return self.tell(asked.tick_command(who, due(self.timeline(who)) or now, now))

    def merge(self, who: str, into: str, now: int, named: bool = True) -> Effect:
        """The index finds that two are one; `into` is the lesser id. Not `named`: as earlier releases told it."""
        gone = [id_ for id_ in (who, *self.home) if self.home.get(id_, id_) == who]
        self.home |= dict.fromkeys(gone, into)
        return self.tell(merge_command(who, into, now, "link", self._decided(now), gone if named else ()))

    def split(self, who: str, now: int) -> Effect:
        """The index finds that an identifier is not the customer's whom it went to."""
        home = self.home.pop(who)
        return self.tell(split_command(home, who, [who], now, "cut", self._decided(now)))

    def erase(self, who: str, now: int) -> None:
        """All that is held of the person with this identifier goes."""
        home, at = self.home.get(who, who), self._decided(now)
        theirs = tuple(sorted({home, *(id_ for id_, to in self.home.items() if to == home)}))
        for id_ in theirs:
            self.home.pop(id_, None)
            command = Command(
                f"erase-{at}", id_, "customer_erased", now, "a letter", decided_at=at, identifiers=theirs, requested_by="p.ito"
            )  # fmt: skip
            self.erasures.add(command.command_id)
            self.tell(command)

    def handoffs(self, who: str) -> dict[str, Finding]:
        """The hand-offs of one customer that hold, by the touch that led to them."""
        last = {one.finding_id: one for one in self.findings if one.handoff is not None and one.customer == who}
        return {one.handoff.crossing_touch: one for one in last.values() if one.handoff and one.state != "retracted"}

    def standing(self, who: str) -> list[LeadEvent]:
        """What holds of one customer for a consumer who folds by id, in order of time."""
        return standing(event for event in self.records if event.customer == who)
