"""Every knob of a process, in one frozen record; the only module that reads the environment.

Each field has a default, its unit and the reason for the default. The environment variable of `partitions` is
`TOUCHSTREAM_PARTITIONS`, and so on; a variable with `_FILE` behind it names a file that holds the value (for secrets).
`deploy/reference.env` lists them all and is generated from here (`touchstream settings`); a test keeps it fresh.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

PREFIX = "TOUCHSTREAM_"


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the text names the variable and what is allowed."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """See the module. Durations are seconds, sizes bytes, unless the name says otherwise."""

    bootstrap: Annotated[str, Meta(description="Kafka brokers, host:port separated by commas.")] = "127.0.0.1:9092"
    redis_url: Annotated[
        str, Meta(description="Redis-compatible server (>= 6) for the identity index; rediss:// for TLS.")
    ] = "redis://127.0.0.1:6379/0"
    schema_registry_url: Annotated[
        str,
        Meta(
            description="Confluent-compatible registry. Empty: Avro single-object encoding is written. Set: Confluent framing."
        ),
    ] = ""
    app_id: Annotated[
        str,
        Meta(
            description="Consumer group and prefix of the changelog topic; changing it starts from nothing.",
            min_length=1,
        ),
    ] = "touchstream"
    topic_prefix: Annotated[
        str, Meta(description="Put before every topic name, for several tenants on one cluster.")
    ] = ""
    partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Partitions of every topic; the ceiling of parallel workers. Cannot change later without a move.",
        ),
    ] = 4
    replication: Annotated[
        int, Meta(ge=1, le=10, description="Copies of every topic. 1 fits one machine; production wants 3.")
    ] = 1
    id_key: Annotated[
        str,
        Meta(description="Secret that pseudonymises customer ids (HMAC-SHA256). Changing it renames every customer."),
    ] = ""
    policy_path: Annotated[str, Meta(description="Policy file (TOML). Empty: the shipped defaults.")] = ""
    default_region: Annotated[
        str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166 country of phone numbers written without a country code.")
    ] = "US"
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_SSL"],
        Meta(description="How to speak to Kafka. SASL without TLS is refused: it sends the password in clear."),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Meta(description="Used with SASL_SSL.")
    ] = "SCRAM-SHA-512"
    sasl_username: Annotated[str, Meta(description="Used with SASL_SSL.")] = ""
    sasl_password: Annotated[str, Meta(description="Used with SASL_SSL; better as TOUCHSTREAM_SASL_PASSWORD_FILE.")] = (
        ""
    )
    ssl_cafile: Annotated[str, Meta(description="CA bundle for Kafka's certificate. Empty: the system's.")] = ""
    session_timeout: Annotated[
        float,
        Meta(
            ge=6,
            le=300,
            description="Seconds until a dead worker's partitions move. Faust's 60 is a long outage; under 10, pauses look like deaths.",
        ),
    ] = 12.0
    commit_interval: Annotated[
        float, Meta(gt=0, le=60, description="Seconds between offset commits; what is re-read after a crash.")
    ] = 1.0
    max_batch_records: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Records that a stage takes at once, and that wait for it. More is faster and later.",
        ),
    ] = 1000
    max_message_bytes: Annotated[
        int, Meta(ge=1024, le=800_000, description="Largest touch accepted; larger ones are dead-lettered undecoded.")
    ] = 256 * 1024
    metrics_host: Annotated[
        str, Meta(description="Address that /metrics binds to. Loopback unless told otherwise.")
    ] = "127.0.0.1"
    metrics_port: Annotated[int, Meta(ge=0, le=65535, description="Port of /metrics; 0 takes a free one.")] = 9464
    view: Annotated[
        Literal["on", "off"],
        Meta(
            description="on: workers copy the timelines into Redis, where the gateway's checks look. Off saves its memory."
        ),
    ] = "on"
    gateway_host: Annotated[
        str, Meta(description="Address that the gateway binds to. Any but loopback needs tokens.")
    ] = "127.0.0.1"
    gateway_port: Annotated[int, Meta(ge=0, le=65535, description="Port of the gateway; 0 takes a free one.")] = 8484
    gateway_metrics_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="Port at the metrics host on which the gateway serves /metrics without a token, for Prometheus. 0: only at its own"
            " port, for tokens with the scope read.",
        ),
    ] = 0
    gateway_tokens_path: Annotated[
        str,
        Meta(
            description="File with the gateway's tokens, as `touchstream gateway token` makes them; read again when it changes."
            " Empty: none is asked for."
        ),
    ] = ""
    gateway_rate: Annotated[
        float, Meta(gt=0, le=1_000_000, description="Requests a second that one token may make of one gateway process.")
    ] = 1000.0
    view_max_age: Annotated[
        float, Meta(gt=0, le=86_400, description="Seconds that the view may be behind before checks count as degraded.")
    ] = 15.0
    view_max_lag: Annotated[
        int, Meta(ge=0, description="Records that a partition may be behind before its checks count as degraded.")
    ] = 20_000
    gateway_url: Annotated[str, Meta(description="Where clients find the gateway.")] = "http://127.0.0.1:8484"
    gateway_token: Annotated[
        str, Meta(description="Token of clients of the gateway; better as TOUCHSTREAM_GATEWAY_TOKEN_FILE.")
    ] = ""
    data_dir: Annotated[str, Meta(description="Where the embedded stack keeps its data.")] = ".touchstream"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least severe log line printed.")
    ] = "INFO"
    crash_at: Annotated[
        str,
        Meta(
            pattern="^$|^(after_decode|after_outputs_acknowledged|after_changelog_sent|after_changelog_acknowledged"
            "|before_commit|after_commit|ledger_in_transaction|ledger_after_facts|ledger_before_figures|ledger_after_figures)"
            ":[1-9][0-9]*$",
            description="For the fault tests only; leave it empty. point:N ends the worker at its Nth pass of a crash point.",
        ),
    ] = ""

    @property
    def data_path(self) -> Path:
        """`data_dir` as an absolute path."""
        return Path(self.data_dir).expanduser().resolve()

    def topic(self, name: str) -> str:
        """Full name of a catalogued topic in this cluster."""
        return self.topic_prefix + name

    def __repr__(self) -> str:
        shown = {
            name: ("***" if value and name in {"id_key", "sasl_password", "gateway_token"} else value)
            for name, value in fields(self)
        }
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def fields(settings: Settings) -> list[tuple[str, Any]]:
    """Names and values, in the order of the class."""
    return [(name, getattr(settings, name)) for name in settings.__struct_fields__]


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the environment, with `overrides` (not None) on top.

    Raises:
        SettingsError: a value is not allowed, or a variable with our prefix is not a setting (a typing mistake).
    """
    env = os.environ if environ is None else environ  # noqa: TID251 - the only reader
    values: dict[str, Any] = {}
    for variable, value in env.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower()
        if name.endswith("_file") and name not in Settings.__struct_fields__:
            name, value = name[:-5], _read_secret(variable, value)
        if name not in Settings.__struct_fields__:
            raise SettingsError(f"{variable} is not a setting; `touchstream settings` lists them all")
        values[name] = value
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise SettingsError(f"{PREFIX}{path.rstrip('`').upper()}: {problem}") from None
    if settings.security_protocol == "SASL_SSL" and not (settings.sasl_username and settings.sasl_password):
        raise SettingsError(
            f"{PREFIX}SECURITY_PROTOCOL is SASL_SSL, but {PREFIX}SASL_USERNAME or {PREFIX}SASL_PASSWORD is empty"
        )
    return settings


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{variable} names {path}, which cannot be read: {error.strerror}") from None


def version() -> str:
    """Version of the installed package."""
    return importlib.metadata.version("touchstream")
