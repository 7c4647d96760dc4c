"""How every Kafka client of ours connects: address, TLS, SASL; the one place that turns settings into arguments."""

from __future__ import annotations

import ssl
from typing import Any

from streams.settings import PREFIX, Settings, SettingsError


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's producer, consumer and admin client.

    Raises:
        SettingsError: the CA file cannot be read or holds no certificate.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol != "PLAINTEXT":
        options["ssl_context"] = _ssl_context(settings.ssl_cafile)
    if settings.security_protocol == "SASL_SSL":
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = settings.sasl_password
    return options


def _ssl_context(cafile: str) -> ssl.SSLContext:
    # The default context checks the certificate's chain and that it is for the host we asked for.
    try:
        return ssl.create_default_context(cafile=cafile or None)
    except ssl.SSLError as error:
        raise SettingsError(
            f"{PREFIX}SSL_CAFILE names {cafile}, which holds no usable certificate: {error.reason}"
        ) from None
    except OSError as error:
        raise SettingsError(f"{PREFIX}SSL_CAFILE names {cafile}, which cannot be read: {error.strerror}") from None
