"""What the network's own failures mean. The words never hold an address's path, which may be a secret."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from bridge.model import Misconfigured, Outcome, Retryable

AMBIGUOUS: Final = "the event may have arrived"


@dataclass(slots=True, frozen=True)
class Failure:
    """A request without an answer. `passing` says that another try at once may well succeed."""

    outcome: Outcome
    passing: bool = False


NO_ANSWER: Final = Failure(Retryable(f"no answer in time; {AMBIGUOUS}"))
NO_HTTP: Final = Failure(Retryable(f"the answer is no HTTP; {AMBIGUOUS}"))
BROKEN_OFF: Final = Failure(Retryable(f"the answer broke off; {AMBIGUOUS}"))
HUNG_UP: Final = Failure(Retryable(f"the connection broke before an answer; {AMBIGUOUS}"), passing=True)
NOT_CONNECTED: Final = Failure(Retryable("connect: timed out"), passing=True)
CLOSED: Final = Failure(Retryable("the bridge has closed its connections"))


def unconnected(error: Exception) -> Failure | None:
    """What it means that no connection was made, so nothing sent; None where the error is a fault of ours."""
    match error:
        case ssl.SSLCertVerificationError():
            return untrusted(error.verify_message)
        case ssl.SSLError():
            return Failure(Retryable(f"connect: the TLS handshake failed: {error.reason}"))
        case TimeoutError():
            return NOT_CONNECTED
        case OSError():
            return Failure(Retryable(f"connect: {words_of(error)}"), passing=True)
        case _:
            return None


def untrusted(words: str) -> Failure:
    return Failure(Misconfigured(f"TLS: the certificate is not trusted: {words} (check http.ca_file)"))


def words_of(error: OSError) -> str:
    """Name the cause in the system's words, which asyncio puts aside for its own."""
    if isinstance(error, socket.gaierror):
        return error.strerror or "no such host"
    return os.strerror(error.errno) if error.errno else type(error).__name__
