"""The tokens of OAUTHBEARER: out of a file, or printed by a program."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import signal
import time
from contextlib import suppress
from io import FileIO
from typing import Final

import aiokafka.conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError, SaslAuthenticationFailed

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.files import MOST, text_of
from bridge.kafka.options import Sasl

FRESH: Final = 0.8  # of its life, during which a token is used again for the next connection


class NoToken(KafkaError):  # type: ignore[misc]  # the client has no types
    """
    There is no token now. `told` is why.

    An error of the client's own kind: it counts only those, and those of sockets, as trouble on the way. Any other
    ends a task of the client for good, unseen (aiokafka 0.14.0).
    """

    def __init__(self, told: ConfigError | Disconnected) -> None:
        super().__init__(str(told))
        self.told = told


class _Authenticator(aiokafka.conn.OAuthAuthenticator):  # type: ignore[misc]  # as above
    """Takes the brokers' word that a token is refused (RFC 7628, 3.2.3), which the client passes over."""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            raise SaslAuthenticationFailed(_status(payload))
        answer: tuple[bytes, bool] | None = await super().step(payload)
        return answer


def _status(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["status"])[:100]
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def hear_refusals() -> None:
    """
    Let a refused token be an error.

    The client goes on as if the brokers had taken it, and believes what they answer to somebody they do not know: a
    cluster without brokers (aiokafka 0.14.0). May be called again.
    """
    aiokafka.conn.OAuthAuthenticator = _Authenticator


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # the client has no types
    """
    Gives the client a token for each connection it makes.

    The client cannot prove anew who it is on a connection that stands (KIP-368), so the brokers cut each one when its
    token expires. The next one must not begin with the same token: a file is read every time, and what a program has
    printed is used again during `FRESH` of its life only, which is read from the token where that is a JWT.
    """

    def __init__(self, sasl: Sasl, where: str) -> None:
        self._sasl = sasl
        self._where = f"{where}.sasl"
        self._turn = asyncio.Lock()
        self._last = ""
        self._fresh_until = 0.0  # epoch seconds

    @property
    def limit(self) -> float:
        """Seconds it may take to get a token."""
        return self._sasl.token_timeout if self._sasl.token_command else 0.0

    async def token(self) -> str:
        """Raises NoToken."""
        try:
            async with self._turn:  # several connections at once: the program runs once
                if time.time() >= self._fresh_until:
                    await self._renew()
                return self._last
        except (ConfigError, Disconnected) as told:
            raise NoToken(told) from None

    def extensions(self) -> dict[str, str]:
        return dict(self._sasl.extensions)

    def expired(self) -> float | None:
        """For how many seconds the last token has been expired, by our clock; None when it is not, or does not say."""
        end = expiry_of(self._last)
        gone = time.time() - end if end is not None else 0.0
        return gone if gone > 0 else None

    async def _renew(self) -> None:
        if self._sasl.token_file is not None:
            field = f"{self._where}.token_file"
            self._last = _checked(text_of(self._sasl.token_file, field), field, self._sasl.token_file)
            return  # and read it again the next time: it costs nothing
        command = self._sasl.token_command or ()
        field, started = f"{self._where}.token_command", time.time()
        printed = await _printed(command, self._sasl.token_timeout, field)
        self._last = _checked(printed, field, command[0])
        end = expiry_of(self._last)
        self._fresh_until = started + FRESH * (end - started) if end is not None else 0.0


def _checked(text: str, field: str, origin: str) -> str:
    token = text.strip()
    if not token:
        raise Disconnected(f"{field}: {origin} gives no token")
    if not all("!" <= char <= "~" for char in token):
        raise ConfigError(field, f"{origin} gives more than a token", "Let it give the token alone, in one line")
    return token


async def _printed(command: tuple[str, ...], limit: float, field: str) -> str:
    """Run the program for what it prints. Raises ConfigError or Disconnected, in which that does not stand."""
    # A pipe of our own: asyncio's is waited for with the process, and stays open in whatever has left its group.
    ours, theirs = os.pipe()
    with open(ours, "rb", buffering=0) as pipe:  # noqa: PTH123, ASYNC230  nothing is opened, it gets an owner
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=asyncio.subprocess.DEVNULL,  # it may repeat secrets
                start_new_session=True,  # to be able to end what it starts, too
            )
        except OSError as error:
            problem = f"cannot run {command[0]}: {error.strerror}"
            cure = "Name a program that this user may run, and its arguments as a list"
            raise ConfigError(field, problem, cure) from None
        finally:
            os.close(theirs)
        try:
            async with asyncio.timeout(limit):
                printed = await _all_of(pipe)
                code = await process.wait() if len(printed) <= MOST else 0
        except TimeoutError:
            raise Disconnected(f"{field}: {command[0]} gave no token within {limit:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if len(printed) > MOST:
        raise ConfigError(field, f"{command[0]} prints more than {MOST} bytes", "Let it print the token alone")
    if code != 0:
        raise Disconnected(f"{field}: {command[0]} ended with exit code {code}; run it by hand to see why")
    return printed.decode("utf-8", "replace")


async def _all_of(pipe: FileIO) -> bytes:
    """All that comes out of a pipe, or the first `MOST` bytes and one."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return await reader.readexactly(MOST + 1)
    except asyncio.IncompleteReadError as ended:
        return ended.partial
    finally:
        transport.close()


def expiry_of(token: str) -> float | None:
    """When a JWT expires, in epoch seconds (RFC 7519, 4.1.4), unverified; None for another kind of token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  header, claims and signature
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return None
