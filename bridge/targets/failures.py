"""What the network's own failures mean. The words never hold an address's path, which may be a secret."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bridge.model import Misconfigured, Outcome, Retryable

AMBIGUOUS: Final = "the event may have arrived"


@dataclass(slots=True, frozen=True)
class Failure:
    """A request without an answer. `passing` says that another try at once may well succeed."""

    outcome: Outcome
    passing: bool = False


def failure_of(error: Exception) -> Failure | None:
    """Translate what aiohttp raises; None for what is no failure of the network but a fault of ours."""
    return next((meaning(error) for kind, meaning in _MEANINGS if isinstance(error, kind)), None)


def _untrusted(error: aiohttp.ClientConnectorCertificateError) -> Failure:
    cause = error.certificate_error
    words = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else type(cause).__name__
    return Failure(Misconfigured(f"TLS: the certificate is not trusted: {words} (check http.ca_file)"))


def _no_handshake(error: aiohttp.ClientConnectorSSLError) -> Failure:
    cause = error.os_error
    words = cause.reason if isinstance(cause, ssl.SSLError) else type(cause).__name__
    return Failure(Retryable(f"connect: the TLS handshake failed: {words}"))


def _no_connection(error: aiohttp.ClientConnectorError) -> Failure:
    return Failure(Retryable(f"connect: {words_of(error.os_error)}"), passing=True)


def words_of(error: OSError) -> str:
    """Name the cause in the system's words, which asyncio puts aside for its own."""
    if isinstance(error, socket.gaierror):
        return error.strerror or "no such host"
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _always(words: str, *, passing: bool = False) -> Callable[[Exception], Failure]:
    return lambda _: Failure(Retryable(words), passing)


# The first kind that fits counts, so the narrow ones stand first.
_MEANINGS: tuple[tuple[type[Exception], Callable[[Any], Failure]], ...] = (
    (aiohttp.ClientConnectorCertificateError, _untrusted),
    (aiohttp.ClientConnectorSSLError, _no_handshake),
    (aiohttp.ConnectionTimeoutError, _always("connect: timed out", passing=True)),
    (aiohttp.ClientConnectorError, _no_connection),
    (TimeoutError, _always(f"no answer in time; {AMBIGUOUS}")),
    (aiohttp.ServerDisconnectedError, _always(f"the connection broke before an answer; {AMBIGUOUS}", passing=True)),
    (aiohttp.ClientOSError, _always(f"the connection broke before an answer; {AMBIGUOUS}", passing=True)),
    (ConnectionError, _always(f"the connection broke before an answer; {AMBIGUOUS}", passing=True)),
    (aiohttp.ClientPayloadError, _always(f"the answer broke off; {AMBIGUOUS}")),
    (aiohttp.ClientError, _always(f"the answer is no HTTP; {AMBIGUOUS}")),
)
