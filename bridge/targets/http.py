"""The HTTP shell around every dialect: quick tries, limits, and the events of a batch side by side."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeGuard
from urllib.parse import urlsplit

from bridge.apis import HttpOptions
from bridge.errors import ConfigError, Unavailable
from bridge.model import Accepted, Envelope, Misconfigured, Outcome, Rejected, Request, Response, Retryable, Unsent
from bridge.ports import Api, Groups
from bridge.targets.client import Client
from bridge.targets.credentials import Credentials
from bridge.targets.exchanges import Exchanges, Slots, refusals, slices
from bridge.targets.failures import Failure, words_of
from bridge.targets.tls import client_context

log = logging.getLogger(__name__)

ATTEMPT_HEADER: Final = "x-bridge-attempt"
QUICK_WINDOW: Final = 2.0  # seconds after the first try within which another may begin
QUICK_PAUSES: Final = (0.1, 0.5)  # seconds before the second and the third try, times 0.5 to 1.5
_PASSING = {502, 503, 504}
_BASE_READ = 64 << 10  # bytes of an answer that are read at least
_ECHO = 4  # times the request, on top: v2 echoes every event with more around it, Inngest an id for each

Observer = Callable[[int | None, float], None]
"""Called after each request with its status (None without an answer) and how long it took, in seconds."""

Heard = Callable[[Outcome], None]
"""Called with an outcome that speaks for the whole target, a pause or Misconfigured, before it is handed out."""


class HttpTarget:
    """
    A Target over HTTP.

    `may_send` is asked right before every request; where it says no, the events come back as `Unsent`.
    `quick_tries` is asked before a second or third try of one request. `observe` hears of every request. `heard` is
    told at once when the target is to be left alone, so that what still waits for its turn is not sent. `hide`
    is told the values of all secrets, whenever they were read.
    """

    def __init__(self, api: Api, credentials: Credentials, options: HttpOptions, *, where: str = "target") -> None:
        """`where` is the path of the target in the settings, for errors."""
        self._api = api
        self._credentials = credentials
        self._options = options
        self._where = where
        self._client = Client(options, where=where)
        self._room = asyncio.Semaphore(options.concurrency)
        self.dedups_by_id = api.dedups_by_id
        self.may_send: Callable[[], bool] = _always
        self.quick_tries: Callable[[], bool] = _always
        self.observe: Observer = _ignore
        self.heard: Heard = _ignore
        self.hide: Callable[[Iterable[str]], None] = _ignore

    async def open(self) -> None:
        self._credentials.load()
        self._tell_secrets()
        if self._credentials.live and _in_the_clear(self._api.origin):
            log.warning("secrets_in_the_clear", extra={"target": self._api.origin})
        await self._client.open()

    async def close(self) -> None:
        await self._client.close()

    def refresh(self) -> None:
        self._credentials.refresh()
        self._tell_secrets()

    def _tell_secrets(self) -> None:
        self.hide(value for values in self._credentials.live.values() for value in values)

    def native_delay(self, event: Envelope, now: int) -> bool:
        return event.due_at is not None and 0 < event.due_at - now <= self._api.max_delay_ms

    def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        refused = refusals(self._api, events)
        parts = slices(self._api, events, [slot for slot in range(len(events)) if slot not in refused])

        async def exchange(slots: Slots) -> Sequence[Outcome | None]:
            return await self._exchange([events[slot] for slot in slots], attempts[slots[0]])

        return Exchanges(exchange).groups(parts, refused)

    async def probe(self) -> None:
        """
        Read the secrets, then reach the host over TCP and TLS without sending anything.

        Raises Unavailable when it cannot be reached, ConfigError for a secret that is missing and a certificate that is
        not trusted.
        """
        self._credentials.load()
        parts = urlsplit(self._api.origin)
        tls = client_context(self._options, self._where) if parts.scheme == "https" else None
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=tls)
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate of {self._api.origin} is not trusted: {error.verify_message}"
            raise ConfigError(f"{self._where}.http.ca_file", problem, "Name the authority that signed it") from error
        except OSError as error:  # a TimeoutError is one too
            raise Unavailable(f"cannot reach {self._api.origin}: {words_of(error)}") from error
        writer.close()
        with suppress(OSError):
            await asyncio.wait_for(writer.wait_closed(), self._options.connect_timeout)

    async def _exchange(self, events: Sequence[Envelope], attempt: int) -> Sequence[Outcome | None]:
        """One request for these events. None: send this one again, in a smaller request."""
        async with self._room:
            if not self.may_send():
                return [Unsent()] * len(events)
            request = self._encode(events)
            if isinstance(request, Request):
                answer = await self._tries(_stamped(request, events, attempt))
            else:
                return [request] * len(events)
            if isinstance(answer, Failure):
                outcomes: Sequence[Outcome | None] = [answer.outcome] * len(events)
            else:
                outcomes = self._decode(answer, events)
            for outcome in {outcome for outcome in outcomes if _speaks_for_all(outcome)}:
                self.heard(outcome)
        return outcomes

    def _encode(self, events: Sequence[Envelope]) -> Request | Rejected | None:
        """Make the request, or say that it cannot be: None for several events, of which some may well go."""
        sole = len(events) == 1
        try:
            request = self._api.encode(events, self._credentials.live, _now())
        except Exception:
            if sole:
                raise
            return None
        size, limit = len(request.body), self._api.event_bytes if sole else self._api.batch_bytes
        if size <= limit:
            return request
        return Rejected(f"the event takes {size} bytes, over the {limit} that the API takes") if sole else None

    async def _tries(self, request: Request) -> Response | Failure:
        """Try once, and while that may help and is allowed, twice more within two seconds."""
        read_limit = _BASE_READ + _ECHO * len(request.body)
        began = time.monotonic()
        for pause in QUICK_PAUSES:
            answer = await self._once(request, read_limit)
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311  jitter, protects nothing
            late = time.monotonic() - began + wait > QUICK_WINDOW
            if late or not _passing(answer) or not self.quick_tries():
                return answer
            await asyncio.sleep(wait)
            if not self.may_send() or not self.quick_tries():
                return answer
        return await self._once(request, read_limit)

    async def _once(self, request: Request, read_limit: int) -> Response | Failure:
        began = time.monotonic()
        answer = await self._client.once(request, read_limit)
        self.observe(answer.status if isinstance(answer, Response) else None, time.monotonic() - began)
        return answer

    def _decode(self, response: Response, events: Sequence[Envelope]) -> Sequence[Outcome | None]:
        """Ask the dialect. Its reasons quote the answer, so an answer that repeats a secret is masked first."""
        try:
            outcomes = self._api.decode(response, events, _now())
            masked = self._credentials.mask(response.body)
            if masked != response.body and not any(isinstance(outcome, Accepted) for outcome in outcomes):
                outcomes = self._api.decode(replace(response, body=masked), events, _now())
        except Exception:
            log.exception("answer_not_understood", extra={"status": response.status})
            return [Retryable(f"HTTP {response.status}: an answer the bridge cannot read")] * len(events)
        return outcomes


def _in_the_clear(origin: str) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(origin)
    return parts.scheme == "http" and not re.fullmatch(r"localhost|127\..*|::1", parts.hostname or "")


def _speaks_for_all(outcome: Outcome | None) -> TypeGuard[Outcome]:
    return isinstance(outcome, Misconfigured) or (isinstance(outcome, Retryable) and outcome.pause)


def _passing(answer: Response | Failure) -> bool:
    """Whether the same request may well pass within a second."""
    if isinstance(answer, Failure):
        return answer.passing
    return answer.status in _PASSING and "retry-after" not in answer.headers


def _stamped(request: Request, events: Sequence[Envelope], attempt: int) -> Request:
    """Add the attempt and the trace, where the request is about one event."""
    if len(events) > 1:
        return request
    headers: Mapping[str, str] = {**events[0].trace, ATTEMPT_HEADER: str(attempt), **request.headers}
    return replace(request, headers=headers)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _always() -> bool:
    return True


def _ignore(*_: object) -> None:
    """Nobody wants to know."""
