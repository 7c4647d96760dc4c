"""Who may ask: tokens and their scopes, rates, and where a gateway without tokens may listen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from streams.cli import main
from streams.gateway import tokens
from streams.gateway.app import create
from streams.gateway.metrics import GatewayMetrics
from streams.gateway.server import is_loopback
from streams.gateway.tokens import Book, TokensError
from streams.settings import Settings
from tests.gateway.running import Gateway
from tests.support.waiting import wait_until


def made(scope: str, name: str) -> tuple[str, str]:
    """A token and its lines, by the command."""
    done = CliRunner().invoke(main, ["gateway", "token", "--scope", scope, "--name", name])
    assert done.exit_code == 0, done.output
    return done.stderr.rsplit(" ", 1)[1].strip(), done.stdout


@pytest.mark.stack
@pytest.mark.timeout(120)
def test_a_token_may_do_what_its_scopes_say_and_no_more(settings: Settings, tmp_path: Path) -> None:
    """None: 401. A wrong one: 401. The scope check cannot publish: 403. admin can. More than its rate: 429. The file has no token.
    `touchstream check` says which setting holds one."""
    check, check_lines = made("check", "mailer")
    admin, admin_lines = made("admin", "ops")
    slow, slow_lines = made("check", "slow")
    file = tmp_path / "tokens.toml"
    file.write_text(f"{check_lines}{admin_lines}{slow_lines}rate = 0.01\n")
    assert check not in file.read_text()
    body = {"customer": {"email": "a@example.com"}, "channel": "email", "department": "marketing"}
    with Gateway(settings, TOUCHSTREAM_GATEWAY_TOKENS_PATH=str(file)) as gateway:

        def status(path: str, token: str, method: str = "POST") -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return gateway.call(method, path, body if method == "POST" else None, headers)[0]

        assert [status("/v1/checks", token) for token in ("", "ts_wrong", check, admin)] == [401, 401, 200, 200]
        assert [status("/v1/touches", token) for token in (check, admin)] == [403, 422]
        assert [status("/v1/plans", token) for token in (check, admin)] == [403, 422]
        assert [status("/metrics", token, "GET") for token in ("", check, admin)] == [401, 403, 200]
        assert [status("/v1/checks", slow) for _ in range(2)] == [200, 429]
        assert status("/healthz", "", "GET") == 200
        asked = ["check", "--email", "a@example.com", "--channel", "email", "--department", "marketing", "--gateway"]
        wrong = CliRunner().invoke(main, [*asked, gateway.url], env={"TOUCHSTREAM_GATEWAY_TOKEN": "ts_wrong"})
        assert wrong.exit_code == 1 and "TOUCHSTREAM_GATEWAY_TOKEN holds it" in wrong.stderr
        assert not any(secret in line for line in gateway.log for secret in (check, admin, slow))


@pytest.mark.stack
@pytest.mark.timeout(120)
def test_a_token_is_revoked_without_a_restart(settings: Settings, tmp_path: Path) -> None:
    """What is taken out of the file is refused, what comes into it is taken, within seconds; a file with a mistake changes nothing; one
    without tokens lets nobody in."""
    (mailer, mailer_lines), (crm, crm_lines) = made("check", "mailer"), made("check", "crm")
    file = tmp_path / "tokens.toml"
    file.write_text(mailer_lines)
    body = {"customer": {"email": "a@example.com"}, "channel": "email", "department": "marketing"}
    with Gateway(settings, TOUCHSTREAM_GATEWAY_TOKENS_PATH=str(file)) as gateway:

        def answers() -> list[int]:
            bearers = [{"Authorization": f"Bearer {token}"} for token in (mailer, crm)]
            return [gateway.call("POST", "/v1/checks", body, one)[0] for one in bearers]

        def told(text: str) -> bool:
            return any(text in line for line in gateway.log)

        assert answers() == [200, 401]
        replaced = tmp_path / "new.toml"
        replaced.write_text(crm_lines)
        replaced.rename(file)
        wait_until(lambda: answers() == [401, 200], 20, "the other token")
        wait_until(lambda: told("new crm; revoked mailer"), 20, "the change to be told")
        file.write_text("[[token]")
        wait_until(lambda: told("the tokens stay as they were"), 20, "the mistake to be told")
        assert answers() == [401, 200]
        file.write_text("# nobody")
        wait_until(lambda: answers() == [401, 401], 20, "nobody to be let in")


def test_who_has_no_token_has_no_body_read() -> None:
    """Without a token, or with a wrong one, the answer is 401 before a byte of the body is read, on every route but the open ones."""
    secret, lines = tokens.make("a", ("check",))
    book = Book((tokens.Token("a", ("check",), lines.split('sha256 = "')[1].split('"')[0]),), 100.0)
    app = create(SimpleNamespace(metrics=GatewayMetrics(CollectorRegistry()), book=book))  # type: ignore[arg-type]

    async def status(path: str, token: str, body: bytes | None = None) -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            if body is None:
                raise AssertionError("the body was read")
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": headers,
            "query_string": b"",
            "root_path": "",
        }
        await app(scope, receive, send)
        return int(sent[0]["status"])

    async def story() -> None:
        paths = (
            "/v1/touches",
            "/v1/plans",
            "/v1/reservations",
            "/v1/reservations/a/commit",
            "/v1/checks",
            "/v1/checks/batch",
        )
        for path in paths:
            assert [await status(path, token) for token in ("", "ts_wrong")] == [401, 401], path
        assert await status("/v1/touches", secret, b"{}") == 403
        assert await status("/healthz", "", b"") == 405

    asyncio.run(story())


def test_no_tokens_no_address_but_loopback() -> None:
    """Without tokens the gateway refuses to listen where others reach it, and says what to do."""
    done = CliRunner().invoke(main, ["gateway", "--host", "0.0.0.0", "--port", "0"])
    assert done.exit_code == 1 and "touchstream gateway token" in done.output
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "example.com")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_file_of_tokens_is_checked(tmp_path: Path) -> None:
    """A misspelt scope, two of one name, no file: an error with the place."""
    file = tmp_path / "tokens.toml"
    lines = tokens.make("a", ("check",))[1]
    for text, said in ((lines.replace('"check"', '"chek"'), "chek"), (lines * 2, "same name"), ("", "token")):
        file.write_text(text)
        with pytest.raises(TokensError, match=said):
            tokens.load(str(file))
    with pytest.raises(TokensError, match="No such file"):
        tokens.load(str(tmp_path / "none"))


def test_an_allowance_is_that_of_a_second() -> None:
    """A token of three requests a second may make three at once, then has to wait for a third of a second at most."""
    secret, lines = tokens.make("a", ("check",))
    digest = lines.split('sha256 = "')[1].split('"')[0]
    book = Book((tokens.Token("a", ("check",), digest),), 3.0)
    token = book.who(secret)
    assert token is not None and token.may("check") and not token.may("publish") and book.who("x") is None
    waits = [book.wait(token) for _ in range(4)]
    assert waits[:3] == [0, 0, 0] and 0 < waits[3] <= 1 / 3
