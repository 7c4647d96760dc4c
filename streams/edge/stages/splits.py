"""identity_split -> identities, touches.identified, conflicts: a person says that two identifiers do not belong together.

The index cuts their link and says what leaves whom, or, if a guard never let it link, that their conflict has ended. From that follow
the fact "cut" for the log, with who asked, the command for the
timeline that the touches leave, and commands for those whose touches went there by ids that were merged before. Until Kafka has
these, the index reports them (`Ingest.mend`), and the request, read again, brings the same: so nothing is lost in between, whoever ends.
"""

from __future__ import annotations

import msgspec

from streams.core.commands import Command
from streams.core.identify import is_node
from streams.core.identity_facts import Fact, Request, Resolved
from streams.edge.identity_index import Cut

SPLIT = "identity_split"
"""The kind of the command."""


def problem(command: Command) -> str | None:
    """Why the request cannot be carried out, or None."""
    ids = command.identifiers
    if len(ids) == 2 and ids[0] != ids[1] and all(map(is_node, ids)):
        return None
    return (
        "identity_split needs two pseudonymous ids of identifiers, such as `touchstream identity show` prints, and no plain addresses;"
        " `touchstream identity split` takes either"
    )


def cause(command: Command) -> bytes:
    """The request as the cause of the fact."""
    by = command.requested_by or "somebody"
    reason = "" if command.cause in (command.command_id, by) else command.cause
    return msgspec.json.encode(Request(command.command_id, by, command.issued_at, reason))


def refusal(cut: Cut, a: str, b: str) -> str | None:
    """Why there was nothing to cut, or None when it was cut."""
    return {
        "before": f"the link of {a} and {b} was cut before: by another request, or since many people have one of the two",
        "apart": f"{a} and {b} are two people already, or unknown; `touchstream identity show` tells",
        "indirect": f"no touch links {a} and {b}, other links hold them together; `touchstream identity split` names the one to cut",
    }.get(cut.standing)


def decided(cut: Cut) -> list[tuple[Fact, Resolved]]:
    """What is to be published, each fact with the answer that it is of."""
    found = [(fact, who) for who in cut.waiting for fact in who.facts]
    known = {fact.key for fact, _ in found}
    for fact in (cut.fact, cut.ended):
        if fact is not None and fact.key not in known:  # asked again, and the log has it
            found.append((fact, Resolved(fact.a)))
    return found
