"""One connection: it carries one request at a time, and trusts nothing that comes back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bridge.model import Response, Retryable
from bridge.targets.client import Answer
from bridge.targets.failures import AMBIGUOUS, BROKEN_OFF, HUNG_UP, NO_HTTP, Failure
from bridge.targets.wire.trips import Trip

HEAD_LIMIT: Final = 64 << 10  # bytes of an answer's head, and of what else is no body
FIELD_LIMIT: Final = 500  # headers
FRAMING: Final = 16  # bytes around a byte of body: a chunk may be as small as that
PIECE: Final = 64 << 10  # bytes of a request that are written at once
SMALL: Final = 8 << 10  # bytes of a request that always leave with the first write
_END: Final = b"\r\n\r\n"
_VERSIONS: Final = frozenset({"1.1", "1.0"})
_LEAST = 100
_SWITCHING = 101
_FINAL = 200


class Fields(Mapping[str, str]):
    """An answer's headers, read when somebody looks. Names are in lower case; the last of a name counts."""

    __slots__ = ("_known", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._known: dict[str, str] | None = None

    @property
    def _all(self) -> dict[str, str]:
        if self._known is None:
            self._known = {
                name.decode("latin-1").lower(): value.decode("utf-8", "surrogateescape").strip()
                for name, value in self._raw
            }
        return self._known

    def __getitem__(self, name: str) -> str:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return repr(self._all)


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def free(self, connection: Connection) -> None:
        """It has brought its answer and can carry another request."""

    def lost(self, connection: Connection) -> None:
        """It carries nothing any more. Comes once for every connection that was made, before its trip is ended."""

    def closed(self, connection: Connection) -> None:
        """Its socket is closed."""

    def ended(self, trip: Trip) -> None:
        """Its request is over; `done` is called next."""


class Connection(asyncio.Protocol):
    """Reads answers as they come, by the callbacks of the parser, and ends the trip with the last byte of one."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._trip: Trip | None = None
        self._gone = False  # the owner has been told
        self.idle_since = 0.0  # a loop time
        self._paused = False
        self._rest: memoryview | None = None  # of the body, what is still to be written
        self._begin()

    def _begin(self) -> None:
        self._status = 0  # until the head of the answer is complete
        self._fields: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._read = 0  # bytes of an answer that is not complete yet
        self._complete = False
        self._reusable = True

    @property
    def usable(self) -> bool:
        """Whether a request may be sent on it."""
        return not self._gone and self._transport is not None and not self._transport.is_closing()

    def send(self, trip: Trip) -> None:
        """Write a request. The connection must be usable, and carry no other."""
        transport = cast("asyncio.Transport", self._transport)
        self._trip = trip
        trip.carrier = self
        self._begin()
        body = trip.body
        if len(body) <= PIECE:
            transport.write(trip.head + body)
        else:
            transport.write(trip.head)
            self._rest = memoryview(body)
            self._write_more()

    def _write_more(self) -> None:
        transport = cast("asyncio.Transport", self._transport)
        rest = self._rest
        while rest is not None and not self._paused and not transport.is_closing():
            transport.write(rest[:PIECE])
            rest = rest[PIECE:] if len(rest) > PIECE else None
        self._rest = rest

    def give_up(self, failure: Failure | None) -> None:
        self._end(failure)

    def close(self) -> None:
        """Close it in good order; what it carries breaks off."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write_more()

    def data_received(self, data: bytes) -> None:
        trip, parser = self._trip, self._parser
        if trip is None or parser is None:
            self._end(None)  # nobody has asked for anything
            return
        room = HEAD_LIMIT - self._read
        if len(data) > room and not self._status and data.find(_END, 0, max(room, 0)) < 0:
            self._end(NO_HTTP)
            return
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self._complete:
                self._end(NO_HTTP)
                return
            self._reusable = False  # the answer is whole, what comes after it is none
        if self._complete:
            self._answered(trip)
            return
        self._read += len(data)
        if self._size >= trip.read_limit and self._status:
            self._reusable = False
            self._answered(trip)
        elif self._read > HEAD_LIMIT + FRAMING * self._size or (self._status and not self._coding_known()):
            self._end(NO_HTTP)

    def eof_received(self) -> None:
        self._closed(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed(exc)
        self._parser = None  # which holds us, and we it
        self._owner.closed(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._complete:
            self._reusable = False  # an answer that nobody has asked for
        else:
            self._fields = []  # those of a 1xx before it count for nothing

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # else it is a trailer
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._complete or parser is None:
            return
        self._status = parser.get_status_code()
        version = parser.get_http_version()
        unfit = version not in _VERSIONS or not _LEAST <= self._status != _SWITCHING
        if unfit or len(self._fields) > FIELD_LIMIT:
            raise HttpParserError
        if version != "1.1" and "transfer-encoding" in self._names():
            raise HttpParserError  # RFC 9112, section 6.1: its framing is faulty

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._chunks.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        if self._complete or self._parser is None:
            return
        if self._status >= _FINAL:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()
        else:
            self._status = 0

    # How a trip ends.

    def _answered(self, trip: Trip) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if self._size > trip.read_limit:
            body = body[: trip.read_limit]
        answer = Response(self._status, Fields(self._fields), body)
        self._trip = trip.carrier = None
        self._chunks = []
        written = self._all_written(trip)
        if self._reusable and written:
            self._owner.free(self)
        else:
            self._rest = None
            self._owner_knows()
            if self._complete and written:
                self.close()
            else:
                self.abort()  # more may come, or the server may never take the rest
        self._owner.ended(trip)
        trip.done(answer)

    def _all_written(self, trip: Trip) -> bool:
        """Whether the server has had the whole request: one that answers sooner leaves the rest unread."""
        if len(trip.body) <= SMALL:
            return True
        return self._rest is None and cast("asyncio.Transport", self._transport).get_write_buffer_size() == 0

    def _closed(self, error: Exception | None) -> None:
        """Nothing more will come."""
        trip = self._trip
        if trip is not None and error is None and self._status and self._ends_with_connection():
            self._reusable = False
            self._complete = True
            self._answered(trip)
        elif trip is not None:
            self._end(self._broken(error))
        else:
            self._owner_knows()

    def _broken(self, error: Exception | None) -> Failure:
        if self._status:
            return BROKEN_OFF
        if isinstance(error, ssl.SSLError):
            why = f"the connection broke before an answer: TLS: {error.reason}; {AMBIGUOUS}"
            return Failure(Retryable(why))
        return Failure(HUNG_UP.outcome) if self._read else HUNG_UP

    def _ends_with_connection(self) -> bool:
        """Whether the answer has no length of its own (RFC 9112, section 6.3)."""
        return not {"content-length", "transfer-encoding"} & self._names()

    def _coding_known(self) -> bool:
        """Whether the end of the answer can be told: any other coding lasts as long as the connection."""
        return all(value.lower() == b"chunked" for name, value in self._fields if name.lower() == b"transfer-encoding")

    def _names(self) -> set[str]:
        return {name.decode("latin-1").lower() for name, _ in self._fields}

    def _end(self, answer: Answer | None) -> None:
        """Give the connection up, and the trip with it. With None nobody is told."""
        trip, self._trip = self._trip, None
        self._rest = None
        self._owner_knows()
        self.abort()
        if trip is not None:
            trip.carrier = None
            self._owner.ended(trip)
            if answer is not None:
                trip.done(answer)

    def _owner_knows(self) -> None:
        if not self._gone:
            self._gone = True
            self._owner.lost(self)
