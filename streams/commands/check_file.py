"""`touchstream check --file`: whom of a campaign's customers may be contacted. Questions from a file, answers a line each, one summary."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import click
import msgspec

from streams.commands import tables
from streams.commands.common import CommandError
from streams.commands.mistakes import Mistakes
from streams.commands.rendering import clean, counted
from streams.commands.tables import WHO
from streams.gateway.remote import Answer, GatewayError, Remote, Unanswered, asked_of
from streams.settings import Settings

FIELDS = (
    "channel", "department", "at", "kind", "campaign", "category", "sequence", "actor_id", "actor_kind", "priority", "offer",
    "offer_ends", "approved_by", "touch_id", "ref",
)  # fmt: skip
"""Of a check, with a value that a table can hold."""

STANDING = ("account", "owner", "time_zone", "country")
"""What a line may say of the customer beside its attributes."""

ATTRIBUTE = "attributes."
"""What columns of segments' attributes begin with: `attributes.plan`."""

_COLUMNS = tables.Columns(
    (*WHO, *FIELDS, *STANDING), ATTRIBUTE, f"leave them out, or call what segments ask for {ATTRIBUTE}NAME"
)

Question = tuple[int, dict[str, Any]]
"""The number of its line, and what is asked of the gateway."""


class Outcome:
    """What came of a file."""

    def __init__(self) -> None:
        self.allowed = self.refused = self.degraded = 0
        self.rules: Counter[str] = Counter()
        self.mistakes = Mistakes()

    def take(self, answer: Answer) -> None:
        """Counts an answer."""
        self.allowed += answer.allowed
        self.refused += not answer.allowed
        self.degraded += answer.degraded is not None
        if not answer.allowed:
            self.rules.update({one.rule for one in answer.violations if one.action != "alert"})

    def text(self) -> str:
        """In one line."""
        told = f"{self.allowed} of {counted(self.allowed + self.refused, 'customer')} may be contacted"
        if self.refused:
            rules = ", ".join(f"{count} by {rule}" for rule, count in self.rules.most_common())
            told += f", {self.refused} may not{f': {rules}' if rules else ''}"
        if self.degraded:
            told += f"; of {self.degraded} not everything could be seen"
        if self.mistakes.count:
            told += f"; {counted(self.mistakes.count, 'line')} could not be asked about, see above"
        return told


def questions(file: BinaryIO, common: Mapping[str, Any], broken: list[str]) -> Iterator[Question]:
    """What the lines of a file ask, with what is `common` to all where a line does not say it; what is no question is named in `broken`.

    A line has identifiers (`email`, ...), fields of a check (`channel`, `at`, ...), `account`, `owner`, `time_zone`, `country` and
    attributes; or `customer` and `standing` as POST /v1/checks has them. Files named .csv have a head line. Raises CommandError for a file
    that is neither, or whose columns mean nothing.
    """
    rows = tables.rows(file, _COLUMNS, broken) if tables.is_table(file) else _json(file, broken)
    for number, row in rows:
        question = _question(row, common)
        if not question["customer"]:
            broken.append(f"line {number}: nobody: give {', '.join(WHO[:-1])} or {WHO[-1]}")
        else:
            yield number, question


def _question(row: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in row.items() if value is not None and value != ""}
    customer, standing = given.pop("customer", {}), given.pop("standing", {})
    if isinstance(customer, dict):  # else the gateway says what it must be
        customer = customer | {name: given.pop(name) for name in WHO if name in given}
    attributes = {name: given.pop(name) for name in list(given) if name.startswith(ATTRIBUTE)}
    known: dict[str, Any] = {name: given.pop(name) for name in (*STANDING, "attributes") if name in given}
    if "actor_id" in given:  # as the option --actor-id: a rep, unless the line says that it is a machine
        given.setdefault("actor_kind", "person")
    if attributes:
        known["attributes"] = {name.removeprefix(ATTRIBUTE): value for name, value in attributes.items()}
    shared = dict(common)
    own = shared.pop("standing", None) or {}
    if isinstance(known.get("attributes"), dict):
        known["attributes"] = own.get("attributes", {}) | known["attributes"]
    if isinstance(standing, dict):
        standing = own | known | standing
    return {**asked_of({}, **shared), "customer": customer, **given, **({"standing": standing} if standing else {})}


def _json(file: BinaryIO, broken: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    first = True
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        if first and not line.lstrip().startswith(b"{"):
            raise CommandError(
                f"line {number}: not a JSON object; give one for each customer, on a line of its own, or a table with a head line as a"
                " file called .csv"
            )
        first = False
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            broken.append(f"line {number}: not JSON: {error}")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            broken.append(f"line {number}: not a JSON object")


async def ask_all(settings: Settings, asked: Iterable[Question], broken: list[str], as_json: bool) -> Outcome:
    """Asks about all, prints what is no on standard output, with `as_json` each answer, and what could not be asked on standard error.
    Raises CommandError."""
    outcome, waiting = Outcome(), deque[Question]()
    done = last = 0
    remote = Remote(settings)

    def each() -> Iterator[dict[str, Any]]:
        for number, question in asked:
            waiting.append((number, question))
            yield question

    try:
        async for answer in remote.check_all(each()):
            number, question = waiting.popleft()
            done, last = done + 1, number
            _problems(broken, outcome)
            if isinstance(answer, Unanswered):
                broken.append(f"line {number}: {answer.text}")
                continue
            outcome.take(answer)
            if as_json:
                click.echo(msgspec.json.encode({"line": number, **msgspec.to_builtins(answer)}).decode())
            elif not answer.allowed:
                click.echo(clean(f"line {number}: {_told(answer, question)}"))
    except GatewayError as error:
        _problems(broken, outcome)
        where = f" up to line {last}" if done else ""
        raise CommandError(f"{error}\n{counted(done, 'customer')} were answered{where}") from None
    finally:
        await remote.close()
    _problems(broken, outcome)
    for problem in outcome.mistakes.more():
        click.echo(clean(problem), err=True)
    return outcome


def _problems(broken: list[str], outcome: Outcome) -> None:
    for problem in broken:
        if outcome.mistakes.take(problem):
            click.echo(clean(problem), err=True)
    broken.clear()


def _told(answer: Answer, question: Mapping[str, Any]) -> str:
    who = " ".join(map(str, question["customer"].values()))
    rules = ", ".join(f"{one.rule} ({one.action})" for one in answer.violations if one.action != "alert")
    unseen = f"not everything could be seen ({', '.join(answer.degraded.gaps)})" if answer.degraded else ""
    slot = answer.slots.get(str(question.get("channel")))
    return f"NO, {who}: {'; '.join(filter(None, (rules, unseen)))}; earliest {slot or 'never'}"
