"""Which claims of two texts cannot both be true.

Precision comes first: a salesperson who is called wrong without reason stops reading the findings. Claims are compared only
when they are about the same thing, and a list of prices contradicts another only where they have none in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from streams.core.claims.subjects import PLAN_WORDS, SIZE_WORDS, stands_apart
from streams.core.claims.values import Relation, relate
from streams.core.outcome import Contradiction
from streams.core.touch import Claim

KINDS = ("price", "discount", "deadline", "offer")


class Statement(Protocol):
    """What is compared: a claim, or a term of the congruence check. `subject` "" means that none was named."""

    @property
    def subject(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def quote(self) -> str: ...


S = TypeVar("S", bound=Statement)


def contradictions(
    earlier: Sequence[Claim], later: Sequence[Claim], *, same_campaign: bool, against: str = "message"
) -> tuple[Contradiction, ...]:
    """The contradictions between two messages' claims, ordered by kind (price, discount, deadline, offer), then as `later`.

    Claims with the same subject are compared; when `same_campaign`, also a claim without a subject with those that have one.
    Prices in different currencies or periods, and a percentage with an amount, are not compared. If each side has several
    values for a subject, they contradict each other only if no value agrees. `against` is "message" or "campaign_facts".
    """
    if not earlier or not later or earlier == later:
        return ()
    found = []
    for kind in KINDS:
        one = [claim for claim in earlier if claim.kind == kind]
        other = [claim for claim in later if claim.kind == kind]
        if one and other:
            for a, b in clashes(one, other, lambda x, y, k=kind: relate(k, x, y), loose=same_campaign):  # type: ignore[misc]
                subject = b.subject or a.subject
                found.append(Contradiction(kind, subject, a.value, a.quote, b.value, b.quote, against))
    return tuple(found)


def clashes(
    one: Sequence[S], other: Sequence[S], relation: Callable[[str, str], Relation], *, loose: bool
) -> list[tuple[S, S]]:
    """Pairs of statements of one kind that cannot both be true; at most one a subject and comparable sort of value.

    `loose` lets a statement without subject meet those that have one, unless it agrees with any of them.
    """
    related = {(a.value, b.value): relation(a.value, b.value) for a in one for b in other}
    agreed = [
        (a, b)
        for a in one
        for b in other
        if meets(a.subject, b.subject, loose) and related[a.value, b.value] == "agree"
    ]
    # A subjectless statement that agrees with something on the other side has been explained by it.
    explained = {id(s) for pair in agreed for s in pair if not s.subject}
    found: list[tuple[S, S]] = []
    for a, b in _by_subject(one, other, loose):
        if id(a) in explained or id(b) in explained or related[a.value, b.value] != "differ":
            continue
        # One statement without a subject is one contradiction, however many plans it meets.
        if any((not a.subject and a is c) or (not b.subject and b is d) for c, d in found):
            continue
        if any(_same_list(a, b, c, d, relation, loose) for c, d in agreed):
            continue
        if any(_same_list(a, b, c, d, relation, loose) for c, d in found):
            continue
        found.append((a, b))
    return found


def _by_subject(one: Sequence[S], other: Sequence[S], loose: bool) -> list[tuple[S, S]]:
    """Pairs that meet, in the order of `other`; pairs that name the same subject hide those that name none."""
    pairs = []
    for b in other:
        meeting = [a for a in one if meets(a.subject, b.subject, loose)]
        named = [a for a in meeting if a.subject and b.subject]
        pairs += [(a, b) for a in named or meeting]
    named_one = {id(a) for a, b in pairs if a.subject and b.subject}
    return [(a, b) for a, b in pairs if id(a) not in named_one or b.subject]


def _same_list(a: S, b: S, c: S, d: S, relation: Callable[[str, str], Relation], loose: bool) -> bool:
    """Whether (a, b) and (c, d) are values of the same two lists: same subject, comparable sort of value."""
    if not (meets(a.subject, c.subject, loose) and meets(b.subject, d.subject, loose)):
        return False
    return relation(a.value, c.value) != "apart" and relation(b.value, d.value) != "apart"


def meets(one: str, other: str, loose: bool) -> bool:
    """Whether two subjects are the same thing: "pro" is "acme pro", but not "pro max"; "business""
    " is not "small business"."""
    if one == other:
        return bool(one) or loose
    if not one or not other:
        return loose and not stands_apart(one or other)
    short, long = sorted((one, other), key=len)
    if short not in PLAN_WORDS or not long.endswith(f" {short}"):
        return False
    return SIZE_WORDS.isdisjoint(long.split()) and PLAN_WORDS.isdisjoint(long[: -len(short)].split())
