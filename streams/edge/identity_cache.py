"""What a worker remembers of the identity index, so that a touch whose answer it knows costs no look-up of its own.

Most touches bring nothing new: all their identifiers lead to one customer, and the log has every link between them. Such an answer
holds until its customer goes by a smaller id, is split or erased, and the index tells each worker of that with every look-up,
before the answer is used. So a remembered answer is as fresh as one that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.core.identity_facts import Resolved

GENERATION = 100_000
"""Answers in one of the two generations, some 30 MB each. A worker that serves more customers asks for the rest."""


class Settled:
    """Answers by a touch's node ids. `place` is how far into the index's list of changes they are known to hold; `era` is another
    number after each `clear`."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self.place = ""
        self.era = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything: the index was rebuilt, or may have changed unseen."""
        self.era += 1
        self._young: dict[tuple[str, ...], Resolved] = {}
        self._old: dict[tuple[str, ...], Resolved] = {}
        self._gone: set[str] = set()

    def get(self, touches: Iterable[tuple[str, ...]]) -> list[Resolved | None]:
        """The answer for each touch with these ids, or None when it is not known."""
        young, gone, answers = self._young, self._gone, []
        for ids in touches:
            answer = young.get(ids)
            if answer is None:
                answer = self._renewed(ids)
                young = self._young
            answers.append(None if answer is None or answer.customer_id in gone else answer)
        return answers

    def hold(self, answers: Iterable[Resolved | None]) -> bool:
        """Whether answers that `get` gave in this era still hold."""
        gone = self._gone
        return not gone or all(answer is None or answer.customer_id not in gone for answer in answers)

    def put(self, ids: tuple[str, ...], answer: Resolved) -> None:
        """Remember an answer that was just given, unless something of it must still be told, or depends on when the touch was."""
        if not (answer.facts or answer.erased_at or answer.customer_id in self._gone):
            self._keep(ids, answer)

    def drop(self, customers: Sequence[str]) -> None:
        """These ids are no customers any more, or some of their identifiers are no longer theirs."""
        self._gone.update(customers)
        if len(self._gone) > self._generation:
            self.clear()

    def _renewed(self, ids: tuple[str, ...]) -> Resolved | None:
        answer = self._old.pop(ids, None)
        if answer is not None:
            self._keep(ids, answer)
        return answer

    def _keep(self, ids: tuple[str, ...], answer: Resolved) -> None:
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}
        self._young[ids] = answer
