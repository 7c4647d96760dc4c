"""What goes to the script in Redis and what comes back, in its own notation: see `identity.lua` and `identity_operations.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Literal

from msgspec import Struct

from streams.core.identity_facts import Erased, Fact, Resolved, parse_key
from streams.settings import Settings


class Decision(Struct, frozen=True, gc=False):
    """How it stands what a person decided of two identifiers: "cut" or "joined" now; "again", by the same request before; or why not:
    "late", since somebody who asked later decided otherwise (`fact`). To be cut they were cut "before", by another request, or since an
    identifier is shared; they are "apart", two people; or one person, but by other links only ("indirect"). To be joined they are "one"
    person already, or one of them is "shared", "erased" or "unknown".

    `fact` is of the kind "cut" or "joined" unless there is none, `ended` when a cut ended the conflict of the pair; `waiting` is what is to
    be told of the customers of both."""

    standing: Literal[
        "cut", "joined", "again", "late", "before", "apart", "indirect", "one", "shared", "erased", "unknown"
    ]
    fact: Fact | None
    waiting: tuple[Resolved, ...]
    ended: Fact | None = None


class Act(Struct, frozen=True, gc=False):
    """How a conflict stands on which somebody acts: "acted", by this request; "before", by another one; or it has "ended"."""

    standing: Literal["acted", "before", "ended"]
    fact: Fact | None


def _lua(*names: str) -> str:
    return "".join(files("streams.edge").joinpath(name).read_text(encoding="utf-8") for name in names)


LINKS = _lua("identity.lua")
"""What the index's keys mean and who is who by them; for scripts that only look, too. ARGV[2] is the key prefix."""

SCRIPT = LINKS + _lua("identity_apart.lua", "identity_decided.lua", "identity_operations.lua")
"""The index's script."""

TAKEN_BACK = b"-"
"""In place of a fact's value: the log's record has none."""

_WITH_HEAD = frozenset({"told", "cut", "joined", "erased", "blocked", "acted", "ended"})


def key_prefix(settings: Settings) -> str:
    """What all keys of an installation's index begin with."""
    return f"touchstream:{settings.app_id}:id:"


def value_of(fact: Fact) -> bytes:
    """What the script is told of a fact besides its key."""
    if fact.kind not in _WITH_HEAD:
        return fact.cause
    head = f"{' '.join(fact.customers)};{fact.at};{fact.until};{' '.join(fact.ids)}"
    if fact.untold:
        head += f";{' '.join(fact.untold)};{' '.join(fact.staying)}"
    return head.encode() + b"\n" + fact.cause


def fact_of(key: bytes, value: bytes) -> Fact:
    """A fact that the script reports."""
    kind, a, b = parse_key(key.decode())
    head, _, cause = value.partition(b"\n")
    if not head:
        return Fact(a, b, kind, cause)
    customers, at, until, *ids = [*head.decode().split(";"), "", ""]
    own, untold, staying, *_ = [tuple(some.split()) for some in (*ids, "", "", "")]
    return Fact(a, b, kind, cause, tuple(customers.split()), own, int(at or 0), int(until or 0), untold, staying)


def resolved(answer: Sequence[bytes], ids: Sequence[str], at: int) -> Resolved:
    """The script's answer for a touch with these ids, strongest first, at a moment of its clock; `ids` are empty when no touch asked."""
    facts = tuple(map(fact_of, answer[1::2], answer[2::2])) if len(answer) > 1 else ()
    if len(facts) > 1 and any(
        fact.kind == "gone" for fact in facts
    ):  # first, for what was decided anew since stands in the log behind it
        facts = tuple(sorted(facts, key=lambda fact: fact.kind != "gone"))
    customer, *more = answer[0].decode().split(" ")
    place, erased_at, refused = map(int, more) if more else (1, 0, 0)
    own = ids[place - 1] if ids else customer
    return Resolved(customer, facts, "" if own == customer else own, at, erased_at, bool(refused))


def erased(answer: bytes) -> Erased:
    """The script's answer to an erasure."""
    customer, at, identifiers, used, keys, *decided = answer.split(b"\n")
    told = [decided[n : n + 3] for n in range(0, len(decided), 3)]
    facts = tuple(fact_of(fact, head + b"\n" + cause) for fact, head, cause in told)
    ids, held, log_keys = (tuple(line.decode().split()) for line in (identifiers, used, keys))
    return Erased(customer.decode(), ids, held, int(at), log_keys, facts)
