"""Who may ask: bearer tokens with scopes, in a TOML file that holds only their SHA-256 digests.

    [[token]]
    name = "mailer"                # stands in the log and in reservations
    scopes = ["check"]             # read, check, publish, admin (all of them)
    sha256 = "..."                 # of the token; `touchstream gateway token` makes both
    rate = 200                     # requests a second, if not TOUCHSTREAM_GATEWAY_RATE

A token has 256 random bits, so a plain digest is as safe as a slow one. The file is read again when it changes: who is taken out of it is
refused from then on.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

log = logging.getLogger("touchstream.gateway")

EVERY = 1.0
"""Seconds between two looks at the file."""

Scope = Literal["read", "check", "publish", "admin"]


class TokensError(ValueError):
    """The file of tokens cannot be used; the text says where and why."""


class Token(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    rate: Annotated[float, Meta(gt=0)] | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it has the scope."""
        return scope in self.scopes or "admin" in self.scopes


class _File(Struct, forbid_unknown_fields=True):
    token: tuple[Token, ...] = ()


def make(name: str, scopes: tuple[Scope, ...]) -> tuple[str, str]:
    """A new token, and its lines for the file."""
    secret = "ts_" + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    return secret, f'[[token]]\nname = "{name}"\nscopes = [{listed}]\nsha256 = "{_digest(secret)}"\n'


def load(path: str) -> tuple[Token, ...]:
    """The tokens of a file, at least one; none for an empty path.

    Raises:
        TokensError: it cannot be read, or is not what it must be.
    """
    if not path:
        return ()
    tokens = _parsed(path, _text(path))
    if not tokens:
        raise TokensError(f"{path}: no [[token]] stands in it; `touchstream gateway token --scope check` makes a token")
    return tokens


def _text(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TokensError(f"cannot read the tokens in {path}: {error.strerror}") from None


def _parsed(path: str, text: bytes) -> tuple[Token, ...]:
    try:
        tokens = msgspec.convert(tomllib.loads(text.decode()), _File).token
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise TokensError(f"{path}: {error}; `touchstream gateway token --scope check` makes a token") from None
    names = [token.name for token in tokens]
    if len(set(names)) != len(names):
        raise TokensError(f"{path}: two tokens have the same name")
    return tokens


OPEN = Token("", ("admin",), "0" * 64)
"""Whoever asks, when there are no tokens: then the gateway listens on loopback only."""


class Book:
    """The tokens of a gateway, and how much each has asked lately. `rate` is in requests a second. Begun without tokens it lets everybody
    in; if all of its tokens are taken from it, nobody."""

    def __init__(self, tokens: tuple[Token, ...], rate: float) -> None:
        self._tokens = tokens
        self._open = not tokens
        self._rate = rate
        self._left: dict[str, tuple[float, float]] = {}

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Those that are in force."""
        return self._tokens

    def who(self, presented: str | None) -> Token | None:
        """Whose token this is. Takes the same time whichever it is, and whether or not it is one."""
        if self._open:
            return OPEN
        digest = _digest(presented or "")
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    def use(self, tokens: tuple[Token, ...]) -> None:
        """From the next request on these are the tokens."""
        before, now = ({token.sha256: token.name for token in some} for some in (self._tokens, tokens))
        gone, new = (", ".join(sorted(a[x] for x in a.keys() - b.keys())) for a, b in ((before, now), (now, before)))
        log.info("tokens read again: new %s; revoked %s", new or "none", gone or "none")
        self._tokens = tokens

    def wait(self, token: Token) -> float:
        """Takes one request from the token's allowance, which holds that of a second: 0, or the seconds until there is one again."""
        rate = token.rate or self._rate
        now = time.monotonic()
        left, at = self._left.get(token.name, (max(rate, 1.0), now))
        left = min(max(rate, 1.0), left + (now - at) * rate)
        if left < 1:
            self._left[token.name] = left, now
            return (1 - left) / rate
        self._left[token.name] = left - 1, now
        return 0.0


class File:
    """The file of a gateway's tokens, whose changes `book` follows. A file that cannot be read, or has a mistake, changes nothing and is
    told in the log: otherwise a slip of the pen would lock all tools out."""

    def __init__(self, path: str, book: Book) -> None:
        self._path, self._book = path, book
        self._last: bytes | str | None = None

    async def follow(self) -> None:
        """Look every second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """Take over what has changed since the last look."""
        text: bytes | str
        try:
            text = _text(self._path)
            if text == self._last:
                return
            tokens = _parsed(self._path, text)
        except TokensError as error:
            if str(error) != self._last:
                log.error("the tokens stay as they were: %s", error)
            self._last = str(error)
            return
        first, self._last = self._last is None, text
        if not first or tokens != self._book.tokens:
            self._book.use(tokens)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
