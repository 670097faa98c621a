"""The HTTP shell around every dialect: secrets, limits, and what an answer means to the events of a request."""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from bridge.apis import HttpOptions
from bridge.core.aimd import Aimd
from bridge.errors import ConfigError, Unavailable
from bridge.model import Accepted, Envelope, Outcome, Rejected, Request, Response, Retryable
from bridge.ports import Api, Groups
from bridge.targets.client import NOTHING_MORE, make_client
from bridge.targets.credentials import Credentials
from bridge.targets.exchanges import Exchange, Making, Sending, refusals, slices
from bridge.targets.failures import words_of
from bridge.targets.room import Room
from bridge.targets.traced import TracedExchange, Tracer
from bridge.targets.wire.dial import reach
from bridge.targets.wire.tunnel import ProxyRefusedError

log = logging.getLogger(__name__)

ATTEMPT_HEADER: Final = "x-bridge-attempt"
_NO_TRACE: Final = tuple({ATTEMPT_HEADER: str(attempt)} for attempt in range(32))
"""What requests carry whose event has no trace: one object an attempt, so that it is written once."""

Observer = Callable[[str, float, str | None], None]
"""Called after each request with its outcome, how long it took in seconds, and the id of its trace, if it has one."""

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
        self.client = make_client(options, where=where)
        self.pace = Aimd(options.concurrency) if options.adaptive else None
        self.room = Room(options.concurrency if self.pace is None else self.pace.limit)
        self.dedups_by_id = api.dedups_by_id
        self.may_send: Callable[[], bool] = _always
        self.quick_tries: Callable[[], bool] = _always
        self.observe: Observer = _ignore
        self.heard: Heard = _ignore
        self.hide: Callable[[Iterable[str]], None] = _ignore
        self.exchange: Making = Exchange
        self.propagates = options.propagate

    @property
    def limit(self) -> int:
        """How many requests may be under way now; with `http.adaptive` it moves."""
        return self.room.limit

    @property
    def under_way(self) -> int:
        """How many requests are."""
        return self.room.under_way

    async def open(self) -> None:
        self._credentials.load()
        self._tell_secrets()
        if self._credentials.live and _in_the_clear(self._api.origin):
            log.warning("secrets_in_the_clear", extra={"target": self._api.origin})
        await self.client.open()

    async def close(self) -> None:
        await self.client.close()

    def refresh(self) -> None:
        self._credentials.refresh()
        self._tell_secrets()

    def _tell_secrets(self) -> None:
        self.hide(value for values in self._credentials.live.values() for value in values)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the API."""
        return self._api.origin

    def trace_with(self, tracer: Tracer) -> None:
        """Tell this tracer of every request from now on."""
        self.exchange = partial(TracedExchange, tracer)

    def native_delay(self, event: Envelope, now: int) -> bool:
        return event.due_at is not None and 0 < event.due_at - now <= self._api.max_delay_ms

    async def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        refused = refusals(self._api, events)
        sending = Sending(self, events, attempts)
        try:
            sending.finish(refused.items())
            for part in slices(self._api, events, [slot for slot in range(len(events)) if slot not in refused]):
                sending.start(part)
            while sending.left:
                yield await sending.group()
        finally:
            sending.cancel()

    async def probe(self) -> None:
        """
        Read the secrets, then reach the host over TCP and TLS without sending anything.

        Raises Unavailable when it cannot be reached, ConfigError for a secret that is missing and a certificate that is
        not trusted.
        """
        self._credentials.load()
        try:
            await reach(self._api.origin, self._options, self._where)
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate of {self._api.origin} is not trusted: {error.verify_message}"
            raise ConfigError(f"{self._where}.http.ca_file", problem, "Name the authority that signed it") from error
        except ProxyRefusedError as error:
            raise Unavailable(f"cannot reach {self._api.origin}: {error}") from error
        except OSError as error:  # a TimeoutError is one too
            raise Unavailable(f"cannot reach {self._api.origin}: {words_of(error)}") from error

    # What the exchanges ask.

    def encode(self, events: Sequence[Envelope]) -> Request | Rejected | None:
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

    def added(self, events: Sequence[Envelope], attempt: int) -> Mapping[str, str]:
        """The attempt and the publisher's trace, where the request is about one event."""
        if len(events) > 1:
            return NOTHING_MORE
        trace = events[0].trace if self.propagates else None
        if not trace and attempt < len(_NO_TRACE):
            return _NO_TRACE[attempt]
        return {**(trace or {}), ATTEMPT_HEADER: str(attempt)}

    def decode(self, response: Response, events: Sequence[Envelope]) -> Sequence[Outcome | None]:
        """Ask the dialect. Its reasons quote the answer, so an answer that repeats a secret is masked first."""
        try:
            outcomes = self._api.decode(response, events, _now())
            if not any(isinstance(outcome, Accepted) for outcome in outcomes):
                masked = self._credentials.mask(response.body)
                if masked != response.body:
                    outcomes = self._api.decode(replace(response, body=masked), events, _now())
        except Exception:
            log.exception("answer_not_understood", extra={"status": response.status})
            return [Retryable(f"HTTP {response.status}: an answer the bridge cannot read")] * len(events)
        return outcomes


def _in_the_clear(origin: str) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(origin)
    return parts.scheme == "http" and not re.fullmatch(r"localhost|127\..*|::1", parts.hostname or "")


def _now() -> int:
    return time.time_ns() // 1_000_000


def _always() -> bool:
    return True


def _ignore(*_: object) -> None:
    """Nobody wants to know."""
