"""identity_split, identity_merge -> identities, touches.identified, conflicts: somebody says that two are not one person, or are.

The index cuts their link and says what leaves whom, or, if a guard never let it link, that their conflict has ended. From that follow
the fact "cut" for the log, with who asked, the command for the
timeline that the touches leave, and commands for those whose touches went there by ids that were merged before. Or it joins the two, and
what follows is the fact "joined", the end of their conflicts, and what any merge tells the timelines. Until Kafka has
these, the index reports them (`Ingest.mend`), and the request, read again, brings the same: so nothing is lost in between, whoever ends.
"""

from __future__ import annotations

import msgspec

from streams.core.commands import Command
from streams.core.identify import is_node
from streams.core.identity_facts import Fact, Request, Resolved, decode_request
from streams.core.touch_json import rfc3339
from streams.edge.identity_protocol import Decision

SPLIT, MERGE = "identity_split", "identity_merge"
"""The kinds of the commands."""


def problem(command: Command) -> str | None:
    """Why the request cannot be carried out, or None."""
    ids = command.identifiers
    if len(ids) == 2 and ids[0] != ids[1] and all(map(is_node, ids)):
        return None
    return (
        f"{command.kind} needs two pseudonymous ids of identifiers, such as `touchstream identity show` prints, and no plain addresses;"
        f" `touchstream identity {verb(command)}` takes either"
    )


def verb(command: Command) -> str:
    """What people call it: split or merge."""
    return command.kind.removeprefix("identity_")


def cause(command: Command) -> bytes:
    """The request as the cause of the fact."""
    by = command.requested_by or "somebody"
    reason = "" if command.cause in (command.command_id, by) else command.cause
    return msgspec.json.encode(Request(command.command_id, by, command.issued_at, reason))


def refusal(decision: Decision, a: str, b: str) -> str | None:
    """Why there was nothing to cut, or the two cannot be joined; None when it was done."""
    return {
        "late": _overruled(decision.fact, a, b),
        "one": f"{a} and {b} are one person already; `touchstream identity show` tells by which links",
        "shared": f"many people have one of {a} and {b}: it says nothing about who is who. Name another id of the person who is meant",
        "erased": f"one of {a} and {b} is of a person who was erased, and is nobody's since: there is nothing to merge",
        "unknown": f"no touch has shown one of {a} and {b}, so there is nobody to merge; `touchstream identity show` tells who is known",
        "before": f"the link of {a} and {b} was cut before: by another request, or since many people have one of the two",
        "apart": f"{a} and {b} are two people already, or unknown; `touchstream identity show` tells",
        "indirect": f"no touch links {a} and {b}, other links hold them together; `touchstream identity split` names the one to cut",
    }.get(decision.standing)


def _overruled(later: Fact | None, a: str, b: str) -> str:
    request = decode_request(later) if later else None
    by, at = (request.requested_by, rfc3339(request.requested_at)) if request else ("somebody", "a later time")
    said = "one person" if later and later.kind == "joined" else "two"
    return f"{by} decided otherwise later than this was asked for, at {at}: {a} and {b} are {said}. If that is wrong, ask again"


def decided(decision: Decision) -> list[tuple[Fact, Resolved]]:
    """What is to be published, each fact with the answer that it is of."""
    found = [(fact, who) for who in decision.waiting for fact in who.facts]
    known = {fact.key for fact, _ in found}
    for fact in (decision.fact, decision.ended):
        if fact is not None and fact.key not in known:  # asked again, and the log has it
            found.append((fact, Resolved(fact.a)))
    return found
