"""All customers of a campaign: by the SDK, and by `touchstream check --file`, against a real gateway."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from streams import Client
from streams.cli import main
from streams.commands.check_file import FIELDS, STANDING, ask_all, questions
from streams.commands.tables import WHO
from streams.gateway import models, remote
from streams.gateway.remote import Answer, GatewayError, Unanswered
from streams.settings import Settings
from tests.gateway.running import Gateway

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
KIND = {"channel": "email", "department": "marketing"}


def test_more_than_one_request_may_hold(gateway: Gateway, settings: Settings) -> None:
    """10,050 customers: an answer each, in their order; what cannot be asked about, for nobody or too long, is told in its place and is no
    yes; fields of one customer hold for that one only."""
    asked: list[Any] = [{"customer": {"email": f"p{n}@example.com"}, "ref": str(n)} for n in range(10_050)]
    asked[3] = "dana@example.com"
    asked[4] = {"email": "nobody"}
    asked[5] = {"customer": {"email": "x@example.com"}, "standing": {"attributes": {"a": "x" * 70_000}}}
    asked[6] = {"customer": {"email": "dana@example.com"}, "department": "sales", "ref": "6"}

    async def ask() -> list[Answer | Unanswered]:
        async with Client(settings=replace(settings, gateway_url=gateway.url)) as client:
            return [one async for one in client.may_contact_all(asked, **KIND)]

    told = asyncio.run(ask())
    assert len(told) == len(asked)
    assert [n for n, one in enumerate(told) if not one] == [3, 4, 5]
    refused, nobody, long = told[3:6]
    assert isinstance(refused, Answer) and refused.violations[0].reason == "department_overlap"
    assert isinstance(nobody, Unanswered) and "no identifier is usable" in nobody.text and nobody.status == 422
    assert isinstance(long, Unanswered) and "a question may have 65536" in long.text
    rest = [one for n, one in enumerate(told) if n not in (3, 4, 5)]
    assert [one.ref for one in rest if isinstance(one, Answer)] == [str(n) for n in range(10_050) if n not in (3, 4, 5)]


def test_a_plain_script_asks_about_many(gateway: Gateway, settings: Settings) -> None:
    """Without async the answers come one by one; who has seen enough may stop; a gateway that is away is an error that says what to do."""
    with Client.sync(settings=replace(settings, gateway_url=gateway.url)) as client:
        some = ["a@example.com", "dana@example.com", "b@example.com"]
        assert [bool(one) for one in client.may_contact_all(some, **KIND)] == [True, False, True]
        assert next(iter(client.may_contact_all(some * 1000, **KIND)))
        assert list(client.may_contact_all([], **KIND)) == []
        assert client.may_contact("c@example.com", **KIND)
    with (
        Client.sync(settings=replace(settings, gateway_url="http://127.0.0.1:1")) as client,
        pytest.raises(GatewayError, match="`touchstream gateway` starts one"),
    ):
        list(client.may_contact_all(["a@example.com"], **KIND))


def check(gateway: Gateway, file: Path, *options: str) -> Result:
    """The command, about the customers of a file."""
    kind = ["--channel", "email", "--department", "marketing"]
    return CliRunner().invoke(main, ["check", "--file", str(file), "--gateway", gateway.url, *kind, *options])


def test_a_file_of_customers(gateway: Gateway, tmp_path: Path) -> None:
    """Who may not is told with the rule and when they may, broken lines by their number, and the numbers at the end; what a line says goes
    before the options, and JSON lines and CSV are told alike."""
    lines = tmp_path / "customers.jsonl"
    lines.write_text(
        """{"email": "a@example.com"}
{"email": "dana@example.com"}

[1]
{"email":
{"email": "dana@example.com", "department": "sales"}
{"name": "x"}
{"email": "b@example.com", "chanel": "email"}
{"customer": {"email": "c@example.com"}, "attributes": {"tier": "gold"}}
""",
        encoding="utf-8",
    )
    table = tmp_path / "customers.CSV"
    table.write_bytes(
        "\ufeffemail,department,attributes.tier\na@example.com,,gold\ndana@example.com,,\ndana@example.com,sales,\n,sales,\n"
        '"c@example.com",,"gold, old"\nd@example.com,,,more\nnobody,,\n'.encode()
    )
    told = check(gateway, lines)
    assert told.exit_code == 1
    refused, summary = told.stdout.splitlines()
    assert refused.startswith("line 2: NO, dana@example.com: departments-apart (delay_until); earliest 20")
    assert summary == (
        "3 of 4 customers may be contacted, 1 may not: 1 by departments-apart; 4 lines could not be asked about, see above"
    )
    problems = told.stderr.splitlines()
    assert [one.split(":")[0] for one in problems] == ["line 4", "line 5", "line 7", "line 8"]
    assert "not a JSON object" in problems[0] and "not JSON" in problems[1] and "nobody: give email" in problems[2]
    assert problems[3] == "line 8: chanel: Extra inputs are not permitted"
    by_table = check(gateway, table)
    assert by_table.exit_code == 1
    assert by_table.stdout.splitlines()[0].startswith("line 3: NO, dana@example.com: departments-apart")
    assert by_table.stdout.splitlines()[1] == summary.replace("4 lines", "3 lines")
    assert [one.split(":")[0] for one in by_table.stderr.splitlines()] == ["line 5", "line 7", "line 8"]


def test_one_mistake_in_many_lines(gateway: Gateway, tmp_path: Path) -> None:
    """A field that no check has is told of five lines, then of how many more have it; a country may be in small letters."""
    lines = tmp_path / "customers.jsonl"
    lines.write_text(
        "".join(f'{{"email": "m{n}@example.com", "nickname": "m"}}\n' for n in range(300)) + "[1]\n", encoding="utf-8"
    )
    told = check(gateway, lines)
    assert told.exit_code == 1 and told.stdout.endswith("301 lines could not be asked about, see above\n")
    same = "nickname: Extra inputs are not permitted"
    assert sorted(told.stderr.splitlines()) == sorted(
        [
            *(f"line {n}: {same}" for n in range(1, 6)),
            "line 301: not a JSON object",
            f"the same of 295 more lines, the last is line 300: {same}",
        ]
    )
    table = tmp_path / "customers.csv"
    table.write_text("email,country\na@example.com,de\nb@example.com,Germany\n", encoding="utf-8")
    told = check(gateway, table)
    assert told.stdout == "1 of 1 customer may be contacted; 1 line could not be asked about, see above\n"
    assert told.stderr.startswith("line 3: standing.country: ")


def test_answers_for_scripts(gateway: Gateway, tmp_path: Path) -> None:
    """`--json` gives each answer with its line, the summary goes to standard error, and `--exit-code` tells that somebody may not."""
    table = tmp_path / "customers.csv"
    table.write_text("email\na@example.com\ndana@example.com\n", encoding="utf-8")
    told = check(gateway, table, "--json", "--exit-code")
    assert told.exit_code == 3
    assert [(one["line"], one["allowed"]) for one in map(json.loads, told.stdout.splitlines())] == [
        (2, True),
        (3, False),
    ]
    assert told.stderr.splitlines() == ["1 of 2 customers may be contacted, 1 may not: 1 by departments-apart"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "line 1: the file is empty; its first line names the columns"),
        ("a.csv", b"name,city\nx,y\n", "line 1: no column is called email, phone"),
        ("a.csv", b"email;campaign\nx;y\n", "with commas between them, and is 'email;campaign'"),
        ("a.csv", b"email,name\na@example.com,A\n", "line 1: unknown columns: name; leave them out"),
        ("a.csv", b"email,ref,email\na@example.com,1,\n", "line 1: several columns are called email"),
        ("a.txt", b"email\na@example.com\n", "line 1: not a JSON object"),
        ("a.json", b'[{"email": "a@example.com"}]\n', "a table with a head line as a file called .csv"),
        ("a.csv", b"email\na@example.com\n\xff\n", "not UTF-8 text"),
        ("a.csv", b'email\n"a@example.com\n', "what is quoted must end"),
    ],
)
def test_a_table_that_is_none(gateway: Gateway, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """What is wrong with it is told, without a traceback."""
    file = tmp_path / name
    file.write_bytes(content)
    told = check(gateway, file)
    assert told.exit_code == 1 and words in told.stderr, told.output


def test_a_line_says_what_the_crm_knows() -> None:
    """Company, owner, time zone, country and attributes of a line are the customer's standing; an attribute that it leaves open is that of
    the options, and a column without a name and a value is nothing."""
    file = BytesIO(
        b"email,account,owner,time_zone,country,attributes.plan,\na@example.com,acme,ana,Europe/Berlin,DE,pro,\n"
    )
    file.name = "a.csv"
    common = {"channel": "email", "standing": {"account": "other", "attributes": {"tier": "gold", "plan": "free"}}}
    broken: list[str] = []
    ((number, question),) = questions(file, common, broken)
    assert (number, broken) == (2, [])
    assert question == {
        "customer": {"email": "a@example.com"},
        "channel": "email",
        "standing": {
            "account": "acme", "owner": "ana", "time_zone": "Europe/Berlin", "country": "DE",
            "attributes": {"tier": "gold", "plan": "pro"},
        },
    }  # fmt: skip


def test_who_acts_by_a_line_is_a_person() -> None:
    """As with --actor-id: an actor's id on a line means a rep, unless the line says that it is a machine; without one nothing is said."""
    lines = (
        b'{"email": "a@example.com"%s}' % said
        for said in (b"", b', "actor_id": "ana"', b', "actor_id": "j1", "actor_kind": "automation"')
    )
    asked = [question.get("actor_kind") for _, question in questions(BytesIO(b"\n".join(lines)), {}, [])]
    assert asked == [None, "person", "automation"]


def test_a_table_may_have_all_fields_of_a_check() -> None:
    """Each that is no object is a column."""
    assert set(FIELDS) == models.CheckIn.model_fields.keys() - {"customer", "standing"}
    assert models.StandingIn.model_fields.keys() >= set(STANDING)
    assert models.CustomerIn.model_fields.keys() >= set(WHO)


def test_what_the_command_cannot_do(tmp_path: Path) -> None:
    """One customer and a file, or one without a channel, are wrong usage; a gateway that is away is told with how far it came."""
    file = tmp_path / "a.jsonl"
    file.write_text('{"email": "a@example.com"}\n', encoding="utf-8")
    kind = ["--channel", "email", "--department", "marketing"]
    run = CliRunner().invoke
    assert "--file says whom: leave out --email" in run(main, ["check", "--file", str(file), "--email", "x"]).output
    alone = run(main, ["check", "--email", "a@example.com"])
    assert alone.exit_code == 2 and "Missing option '--channel'" in alone.output
    away = run(main, ["check", "--file", str(file), "--gateway", "http://127.0.0.1:1", *kind])
    assert away.exit_code == 1 and "cannot be asked" in away.output and "0 customers were answered" in away.output
    nowhere = run(main, ["check", "--file", str(file), "--gateway", "127.0.0.1:8484", *kind])
    assert nowhere.exit_code == 1 and "'127.0.0.1:8484' is no address of a gateway" in nowhere.output
    when = run(main, ["check", "--file", str(file), "--at", "tomorrow", *kind])
    assert when.exit_code == 1 and "--at: 'tomorrow' is not an RFC 3339 time" in when.output


class _Asked(dict[str, Any]):
    """A question of which can be told whether it is still held."""


def test_what_was_answered_is_not_kept(
    gateway: Gateway, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file may be longer than memory is large: of 200 customers, asked about by tens, never more than a few tens are held at once."""
    monkeypatch.setattr(remote, "BATCH_CUSTOMERS", 10)
    held: list[weakref.ref[_Asked]] = []
    most = 0

    def asked() -> Iterator[tuple[int, dict[str, Any]]]:
        nonlocal most
        for n in range(1, 201):
            question = _Asked(KIND, customer={"email": f"p{n}@example.com"})
            held.append(weakref.ref(question))
            most = max(most, sum(one() is not None for one in held))
            yield n, question

    outcome = asyncio.run(ask_all(replace(settings, gateway_url=gateway.url), asked(), [], False))
    assert outcome.allowed == 200
    assert 10 <= most < 50
    assert capsys.readouterr() == ("", "")
