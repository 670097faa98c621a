"""
How the client is told where the cluster is and who we are, a time limit on everything, and one way to fail.

A consumer, a producer or an admin client lives once; whoever needs another makes it, with options made anew, so that
rotated passwords, tokens and certificates are taken up.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any, Final

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.ending import close, noted
from bridge.kafka.failures import translated
from bridge.kafka.files import text_of
from bridge.kafka.options import KafkaConnection, Sasl, Tls
from bridge.kafka.quiet import quiet
from bridge.kafka.reach import patience, why
from bridge.kafka.tokens import Tokens, hear_refusals
from bridge.tasks import bounded

__all__ = ["CALL_LIMIT", "client_options", "close", "limited", "quiet", "start", "translated"]

CALL_LIMIT: Final = 10.0  # seconds any call may take
EACH_LIMIT: Final = 3.0  # seconds one broker of several may take to let us in
IDLE_MS: Final = 180_000  # a connection unused for so long is closed by us: load balancers forget theirs after 240 s


def limited(
    what: str, seconds: float | None = None, *, where: str = "source", needs: str = ""
) -> AbstractAsyncContextManager[None]:
    """
    Bound one call to the cluster, by default to `CALL_LIMIT`, and turn whatever the client raises into our errors.

    `needs` is the operation of the ACL that the call takes, such as "Write", for the cure where that is missing.
    Raises Disconnected when the session is of no further use, ConfigError when a person must change something.
    """
    limit = CALL_LIMIT if seconds is None else seconds
    told = partial(translated, what=what, where=where, needs=needs)
    return bounded(what, limit, told, gave_up="the client gave up")


async def start(client: Any, *, where: str, seconds: float | None = None) -> None:
    """
    Start a consumer, a producer or an admin client made with `client_options`; use this, never its own `start()`.

    The client keeps the reason to itself when it reaches no broker (aiokafka 0.14.0), so this finds it out. When it
    raises, the client is closed; else use `close`, never its own. Raises Disconnected or ConfigError.
    """
    inner = noted(client)
    limit = (CALL_LIMIT if seconds is None else seconds) + patience(inner)
    inner.bootstrap = partial(_begin, inner, inner.bootstrap)
    try:
        async with limited("connecting", limit, where=where):
            await client.start()
            await _reached(inner)
    except Disconnected as error:
        await close(client, where=where)
        raise await why(inner, where) or error from error.__cause__
    except BaseException:
        await close(client, where=where)
        raise


async def _begin(inner: Any, bootstrap: Callable[[], Awaitable[None]]) -> None:
    """Let one server take `EACH_LIMIT` only: the client would wait for a whole request, and never ask the next one."""
    whole = inner._request_timeout_ms  # noqa: SLF001  it is told to each connection when that is made
    inner._request_timeout_ms = min(whole, (EACH_LIMIT + patience(inner)) * 1000)  # noqa: SLF001
    try:
        await bootstrap()
    finally:
        inner._request_timeout_ms = whole  # noqa: SLF001


async def _reached(inner: Any) -> None:
    """Look whether one of the brokers that the cluster names lets us in: beginning at another one proves little."""
    brokers = list(inner.cluster.brokers())
    for broker in random.sample(brokers, len(brokers)):
        with suppress(TimeoutError):
            async with asyncio.timeout(EACH_LIMIT + patience(inner)):
                if await inner.ready(broker.nodeId):
                    return
    raise Disconnected("connecting: the cluster names no broker that can be reached")


def client_options(connection: KafkaConnection, *, where: str, client_id: str) -> dict[str, Any]:
    """
    Arguments for AIOKafkaConsumer, AIOKafkaProducer and AIOKafkaAdminClient alike; files are read now.

    `client_id` is what operators see in the brokers' logs and quotas. Raises ConfigError for files of no use.
    """
    quiet()
    encrypted = "SSL" if connection.tls is not None else "PLAINTEXT"
    options: dict[str, Any] = {
        "bootstrap_servers": list(connection.bootstrap_servers),
        "client_id": client_id,
        "connections_max_idle_ms": IDLE_MS,
        "security_protocol": encrypted if connection.sasl is None else f"SASL_{encrypted}",
    }
    if connection.tls is not None:
        options["ssl_context"] = _context(connection.tls, f"{where}.tls")
    if connection.sasl is not None:
        options |= _identity(connection.sasl, where)
    return options


def _identity(sasl: Sasl, where: str) -> dict[str, Any]:
    if sasl.mechanism == "OAUTHBEARER":
        hear_refusals()
        return {"sasl_mechanism": sasl.mechanism, "sasl_oauth_token_provider": Tokens(sasl, where)}
    return {
        "sasl_mechanism": sasl.mechanism,
        "sasl_plain_username": sasl.username,
        "sasl_plain_password": _password(sasl, f"{where}.sasl.password_file"),
    }


def _password(sasl: Sasl, field: str) -> str:
    if sasl.password_file is None:
        return sasl.password.get_secret_value() if sasl.password is not None else ""
    text = text_of(sasl.password_file, field).rstrip("\r\n")
    if not text or "\n" in text:
        raise ConfigError(field, f"{sasl.password_file} holds no password in one line", "Put it there, alone")
    return text


def _context(tls: Tls, where: str) -> ssl.SSLContext:
    """TLS that checks certificates and host names. Raises ConfigError for files of no use."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:  # an SSLError is one too
        raise _unusable(f"{where}.ca_file", error) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file is not None:
        password = tls.key_password.get_secret_value() if tls.key_password is not None else ""
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=password)  # "": never ask on a terminal
        except OSError as error:
            raise _unusable(f"{where}.cert_file", error) from None
    return context


def _unusable(field: str, error: OSError) -> ConfigError:
    problem = (
        "is no PEM file of the right kind" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
    )
    return ConfigError(field, problem, "Name a PEM file that this user may read")
