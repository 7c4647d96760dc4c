"""`touchstream dead-letter`: what could not go on, and sending it again once mended."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import BinaryIO, TypeVar, cast, get_args

import click

from streams.commands import rendering
from streams.commands.common import CommandError, kafka_options, load_settings
from streams.commands.publishing import run_kafka
from streams.commands.replaying import Replayed, replay_all
from streams.core import touch_json
from streams.core.dead_letter import DeadLetter
from streams.core.ingest import Defaults
from streams.core.outcome import RejectReason
from streams.core.touch import DEPARTMENTS, Department, Touch
from streams.core.touch_json import TouchError
from streams.edge.client import Client
from streams.edge.codec import DecodeError
from streams.edge.reader import decoded, open_codec, read
from streams.edge.topics import DEAD_LETTER
from streams.settings import Settings

T = TypeVar("T")

REASONS = get_args(RejectReason)
SHORTEST_ID = 6


@click.group()
def dead_letter() -> None:
    """List dead letters (input that could not go on), and replay them once mended."""


@dead_letter.command("list")
@click.option("--reason", type=click.Choice(REASONS), help="Only those rejected for this reason.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the payload.")
@kafka_options
def list_(reason: str | None, as_json: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Print every dead letter that is kept, oldest first, and how many there are for each reason."""
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    letters = [letter for letter in _load(settings) if reason is None or letter.reason == reason]
    for letter in letters:
        click.echo(_json(letter) if as_json else rendering.dead_letter(letter))
    if not as_json:
        found = [name for name in REASONS if any(letter.reason == name for letter in letters)]
        tally = ", ".join(f"{name} {sum(letter.reason == name for letter in letters)}" for name in found)
        click.echo(f"{rendering.counted(len(letters), 'dead letter')}{f' ({tally})' if tally else ''}", err=True)


@dead_letter.command()
@click.argument("letter_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@kafka_options
def show(letter_id: str, as_json: bool, bootstrap: str | None, topic_prefix: str | None) -> None:
    """Print one dead letter with its payload. The beginning of the ID is enough if it is the only one."""
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    letter = _pick(_load(settings), letter_id)
    click.echo(_json(letter) if as_json else rendering.dead_letter_in_full(letter))


@dead_letter.command()
@click.option("--id", "ids", multiple=True, metavar="ID", help="This dead letter; may be given several times.")
@click.option("--reason", type=click.Choice(REASONS), help="All that were rejected for this reason.")
@click.option("--all", "everything", is_flag=True, help="All that are kept.")
@click.option("--with", "mended", type=click.File("rb"), help="Send this touch (JSON) instead; needs exactly one --id.")
@click.option("--department", type=click.Choice(DEPARTMENTS), help="For imports: as in `touchstream import`.")
@click.option("--campaign", help="For imports: as in `touchstream import`.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@kafka_options
def replay(
    ids: tuple[str, ...],
    reason: str | None,
    everything: bool,
    mended: BinaryIO | None,
    department: str | None,
    campaign: str | None,
    dry_run: bool,
    bootstrap: str | None,
    topic_prefix: str | None,
) -> None:
    """Send dead letters again, after the cause was mended.

    A record from Kafka goes back unchanged to the topic it came from, with its key; a record of an import or of
    `touchstream send` is read again and its touches are published. Several dead letters of the same content are sent
    once. What was kept only in part is fetched from its old place, as long as it is there.

    Replaying is safe to repeat: touch and finding ids are derived from the content, so a touch that is already on its
    customer's timeline changes nothing. What is still wrong is rejected again. The exit code is 1 when something could
    not be sent.
    """
    if sum((bool(ids), reason is not None, everything)) != 1:
        raise click.UsageError("give one of --id, --reason or --all")
    if mended is not None and len(ids) != 1:
        raise click.UsageError("--with replaces one dead letter, so it needs exactly one --id")
    settings = load_settings(bootstrap=bootstrap, topic_prefix=topic_prefix)
    touch = None if mended is None else _mended(mended)
    letters = _load(settings)
    if ids:
        letters = [_pick(letters, wanted) for wanted in ids]
    elif reason is not None:
        letters = [letter for letter in letters if letter.reason == reason]
    defaults = Defaults(department=cast("Department | None", department), campaign=campaign)
    done = run_kafka(_replay(settings, letters, touch, defaults, dry_run))
    click.echo(done.text(dry_run))
    if done.failed:
        sys.exit(1)


async def _replay(
    settings: Settings, letters: list[DeadLetter], touch: Touch | None, defaults: Defaults, dry_run: bool
) -> Replayed:
    if dry_run:
        return await replay_all(settings, letters, touch, defaults, None)
    async with Client(settings=settings) as client:
        return await replay_all(settings, letters, touch, defaults, client)


def _load(settings: Settings) -> list[DeadLetter]:
    """All dead letters that are kept, the newest of each id, oldest first; undecodable ones are named on stderr."""
    return sorted(run_kafka(_read_all(settings)), key=lambda letter: (letter.rejected_at, letter.dead_letter_id))


async def _read_all(settings: Settings) -> Iterable[DeadLetter]:
    letters: dict[str, DeadLetter] = {}
    async with open_codec(settings) as codec:
        records = read(settings, [settings.topic(DEAD_LETTER)], start="beginning", follow=False)
        async for stored, letter in decoded(records, codec, codec.decode_dead_letter):
            if isinstance(letter, DecodeError):
                click.echo(f"{stored.address} cannot be decoded: {letter}", err=True)
            else:
                letters[letter.dead_letter_id] = letter
    return letters.values()


def _pick(letters: list[DeadLetter], wanted: str) -> DeadLetter:
    exact = [letter for letter in letters if letter.dead_letter_id == wanted]
    found = exact or [letter for letter in letters if letter.dead_letter_id.startswith(wanted)]
    if not found or len(wanted) < SHORTEST_ID:
        raise CommandError(
            f"no dead letter has the id {wanted!r}; `touchstream dead-letter list` shows those that are kept (at least"
            f" {SHORTEST_ID} characters are needed)"
        )
    if len(found) > 1:
        raise CommandError(f"{len(found)} dead letters have ids that begin with {wanted!r}; give more of it")
    return found[0]


def _mended(file: BinaryIO) -> Touch:
    try:
        return touch_json.parse(file.read())
    except TouchError as error:
        raise CommandError(f"{file.name}: the mended touch is still wrong: {error}") from None


def _json(letter: DeadLetter) -> str:
    return json.dumps(rendering.dead_letter_json(letter), ensure_ascii=False)
