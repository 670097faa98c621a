"""
Finds out why a cluster cannot be reached, by asking each broker once more and listening.

The client only says "Unable to bootstrap from" all servers, or goes on quietly with a cluster of which it can reach no
broker; the reason stands in its log at best (aiokafka 0.14.0).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import errors
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from bridge.errors import BridgeError, ConfigError, Disconnected
from bridge.kafka.ending import Connections
from bridge.kafka.failures import of_certificate, translated
from bridge.kafka.tokens import Tokens

EACH: Final = 4.0  # seconds for one broker
ALL: Final = 15.0  # seconds for all of them
TLS_ALERT: Final = 0x1503  # the beginning of an alert: its type and the version (RFC 8446, 5.1)

Address = tuple[str, int]


async def why(client: Any, where: str) -> BridgeError | None:
    """
    Why this client, an AIOKafkaClient, reaches no broker; None when one can be reached by now.

    Asks the servers it begins with, one after the other, until one answers or refuses us.
    """
    doubts: list[str] = []
    try:
        async with asyncio.timeout(ALL + patience(client)):
            for host, port, _ in client.hosts:
                found = await _Broker(client, (host, port), where).examine()
                if not isinstance(found, Disconnected):
                    return found
                doubts.append(str(found))
    except TimeoutError:
        doubts.append("the others were not asked")
    return Disconnected(f"connecting: {'; '.join(doubts)}")


class _Broker:
    """One address, spoken to as the client would."""

    def __init__(self, client: Any, address: Address, where: str) -> None:
        self._client = client
        self._address = address
        self._where = where
        self._name = _shown(address)

    async def examine(self) -> BridgeError | None:
        """What is wrong with it, or with what it says of the cluster; None when nothing is."""
        try:
            async with self._connected() as connection:
                try:
                    answer = await connection.send(MetadataRequest([]))
                except errors.KafkaConnectionError as closed:
                    return await self._hung_up(closed)
        except Exception as error:  # noqa: BLE001  whatever the client raises: it is to be named
            return await self._named(error)
        others = [(host, port) for _, host, port, *_ in answer.brokers]
        return await self._of_advertised(others)

    async def reached(self) -> BridgeError | None:
        """What is wrong with it; None when it lets us in."""
        try:
            async with self._connected():
                return None
        except Exception as error:  # noqa: BLE001  as above
            return await self._named(error)

    async def _of_advertised(self, others: Sequence[Address]) -> BridgeError | None:
        """The classic: a broker answers, and sends its clients to names that only itself knows."""
        found = await asyncio.gather(*(_Broker(self._client, other, self._where).reached() for other in others))
        if not others or not all(found):
            return None
        refusal = next((error for error in found if isinstance(error, ConfigError)), None)
        names = ", ".join(map(_shown, others))
        reasons = "; ".join(map(str, found))
        if refusal is not None:
            problem = f"{self._name} answers and sends its clients on to {names}, but {refusal.problem}"
            return ConfigError(refusal.field, problem, refusal.cure)
        return Disconnected(
            f"{self._name} answers, but sends its clients on to {names} (its advertised.listeners), which cannot be "
            f"reached from here: {reasons}"
        )

    @asynccontextmanager
    async def _connected(self, **other: Any) -> AsyncIterator[Any]:
        client, (host, port) = self._client, self._address
        options: dict[str, Any] = {
            "client_id": client._client_id,  # noqa: SLF001  what it was made with is not kept anywhere else
            "security_protocol": client._security_protocol,  # noqa: SLF001
            "ssl_context": client._ssl_context,  # noqa: SLF001
            "sasl_mechanism": client._sasl_mechanism,  # noqa: SLF001
            "sasl_plain_username": client._sasl_plain_username,  # noqa: SLF001
            "sasl_plain_password": client._sasl_plain_password,  # noqa: SLF001
            "sasl_oauth_token_provider": client._sasl_oauth_token_provider,  # noqa: SLF001
        }
        connections = Connections()
        try:
            async with asyncio.timeout(EACH + patience(client)):
                yield await connections.make(host, port, **{**options, **other})
        finally:
            connections.cut()
            await connections.gone()

    async def _named(self, error: Exception) -> BridgeError:
        """A sentence with the cure for what happened at this address."""
        cause = error.__cause__ if isinstance(error, errors.KafkaConnectionError) else None
        cause = cause if isinstance(cause, Exception) else error
        found = await self._of_tls(cause) or await self._of_identity(cause)
        if found is not None:
            return found
        if isinstance(cause, TimeoutError):
            return Disconnected(f"{self._name}: no answer within {EACH:g} s")
        named = translated(cause, self._name, self._where)
        return named if isinstance(named, BridgeError) else Disconnected(f"{self._name}: {type(cause).__name__}")

    async def _of_tls(self, cause: Exception) -> BridgeError | None:
        if isinstance(cause, ssl.SSLError) and (found := of_certificate(cause, self._name, self._where)):
            return found
        other = "name a listener of the brokers that"
        if "SSL" not in self._client._security_protocol:  # noqa: SLF001
            # An alert, read as the length of an answer.
            alert = isinstance(cause, asyncio.IncompleteReadError) and (cause.expected or 0) >> 16 == TLS_ALERT
            return self._wrong("tls", f"{self._name} speaks TLS", f"Set it, or {other} does not") if alert else None
        cut = isinstance(cause, OSError | EOFError) and not isinstance(cause, ConnectionRefusedError | socket.gaierror)
        if cut and await self._speaks_in_the_open():
            return self._wrong("tls", f"{self._name} does not speak TLS", f"Remove it, or {other} does")
        return None

    async def _of_identity(self, cause: Exception) -> BridgeError | None:
        if isinstance(cause, errors.SaslAuthenticationFailed):
            return self._refused(cause)
        if isinstance(cause, errors.UnsupportedSaslMechanismError):
            enabled = " or ".join(await self._mechanisms()) or "one that it has enabled"
            return self._wrong("sasl.mechanism", f"{self._name} does not have it", f"Choose {enabled}")
        if isinstance(cause, errors.IllegalSaslStateError):
            problem = f"{self._name} does not ask who we are"
            return self._wrong("sasl", problem, "Remove it, or name a listener of the brokers that does")
        return None

    def _refused(self, error: Exception) -> BridgeError:
        said = str(error.args[0])[:200] if error.args else "no reason given"
        tokens = self._client._sasl_oauth_token_provider  # noqa: SLF001
        if not isinstance(tokens, Tokens):
            return self._wrong("sasl", f"{self._name} refuses us: {said}", "Check the user and the password")
        gone = tokens.expired()
        if gone is not None:
            return Disconnected(f"{self._name} refuses our token, which expired {gone:.0f} s ago: renew it")
        cure = "Check its issuer, its audience, and the clocks"
        return self._wrong("sasl", f"{self._name} refuses our token: {said}", cure)

    async def _hung_up(self, closed: Exception) -> BridgeError:
        """It let us in and closed the connection at the first question: it may want to know who we are."""
        enabled = await self._mechanisms()
        if enabled and "SASL" not in self._client._security_protocol:  # noqa: SLF001
            return self._wrong(
                "sasl", f"{self._name} asks who we are", f"Set it, with the mechanism {' or '.join(enabled)}"
            )
        return await self._named(closed)

    async def _mechanisms(self) -> list[str]:
        """What it has enabled for proving who we are; nothing where it asks for no proof."""
        protocol = self._client._security_protocol.removeprefix("SASL_")  # noqa: SLF001
        try:
            async with self._connected(security_protocol=protocol) as connection:
                answer = await connection.send(SaslHandShakeRequest("?"))
                return sorted(answer.enabled_mechanisms)
        except (errors.KafkaError, OSError):  # a TimeoutError is one too
            return []

    async def _speaks_in_the_open(self) -> bool:
        try:
            async with self._connected(security_protocol="PLAINTEXT"):
                return True
        except (errors.KafkaError, OSError, AssertionError):
            return False

    def _wrong(self, field: str, problem: str, cure: str) -> ConfigError:
        return ConfigError(f"{self._where}.{field}", problem, cure)


def patience(client: Any) -> float:
    """Seconds that connecting may take longer because of a program that fetches a token."""
    tokens = client._sasl_oauth_token_provider  # noqa: SLF001
    return tokens.limit if isinstance(tokens, Tokens) else 0.0


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
