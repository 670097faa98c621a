"""
Frames of AMQP 0-9-1: their layout, and where one ends in a stream of bytes.

The layout is section 2.3.5 of the specification: a type octet, a channel number, the size of the payload, the payload,
and an octet that is always 0xCE.
"""

from __future__ import annotations

import struct
from typing import Final

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8
KINDS: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
END: Final = 0xCE

LEAD: Final = struct.Struct(">BHI")  # type, channel, size of the payload
OVERHEAD: Final = LEAD.size + 1  # octets of a frame that are not payload
PREAMBLE: Final = b"AMQP\x00\x00\x09\x01"  # what a client says first, section 4.2.2
HEARTBEAT_FRAME: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"


class ProtocolError(Exception):
    """What came is no AMQP 0-9-1, or not what may come now. The connection is of no further use."""


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Encode one frame."""
    return b"%b%b\xce" % (LEAD.pack(kind, channel, len(payload)), payload)


class Inbox:
    """
    Bytes that are not a whole frame yet.

    Reads are kept apart until the frame that they belong to can be whole, so that each octet is copied once however
    small the reads are.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing = 0

    def take(self, data: bytes) -> bytes:
        """All that is kept, and this, once there may be a frame in it; b"" until then."""
        self._missing -= len(data)
        if not self._parts:
            return data
        self._parts.append(data)
        if self._missing > 0:
            return b""
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole

    def keep(self, rest: bytes, missing: int) -> None:
        """Keep the beginning of a frame, of which at least this many octets are missing."""
        if rest:
            self._parts.append(rest)
            self._missing = missing
