"""
What stands beside a committed offset of Kafka: which records above it are done already.

A commit says that everything below it is done. One slow event holds it back, and after a crash everything behind that
event would come again. So a bitmap of what is done above the commit travels in its metadata. It is a shortening, never
a truth of its own: what it does not name comes again, and the key store knows it.
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

LIMIT: Final = 4_000  # characters; brokers take 4,096 (offset.metadata.max.bytes)
SPAN: Final = 1 << 17  # offsets above the commit that are looked at
MARK: Final = "eb1"  # of our own format; other tools write there what they like


def pack(low: int, done: Iterable[int], scope: str = "") -> str:
    """
    The metadata for a commit of `low`, where the offsets `done` from there on are finished too; "" for none.

    At most 4,000 characters: the farthest offsets are left out where more do not fit. `scope` names the cluster and the
    partition, since tools that mirror a cluster copy metadata to where other records have the same offsets.
    """
    bits = sorted(offset - low for offset in done if 0 <= offset - low <= SPAN)
    text = _text(low, bits, scope)
    if len(text) <= LIMIT:
        return text
    fits, over = 0, len(bits)  # so many of the nearest fit, so many do not
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if len(_text(low, bits[:middle], scope)) <= LIMIT else (fits, middle)
    return _text(low, bits[:fits], scope)


def unpack(offset: int, text: str | None, scope: str | None = None) -> frozenset[int]:
    """
    The offsets from a committed `offset` on that are done, from its metadata; none where that is not ours.

    It must have been written for this very offset, and for this `scope` unless that is None: somebody may have moved
    the offset, or copied the metadata to another cluster.
    """
    mark, _, rest = (text or "").partition(":")
    head, _, coded = rest.partition(":")
    low, _, written_for = head.partition("@")
    if mark != MARK or low != str(offset) or (scope is not None and written_for != _sum(scope)):
        return frozenset()
    try:
        raw = zlib.decompressobj()
        bitmap = raw.decompress(b64decode(coded, validate=True), SPAN // 8 + 1)
    except (binascii.Error, zlib.error, ValueError):
        return frozenset()
    if not raw.eof:  # cut short, so its checksum was not seen, or larger than any of ours
        return frozenset()
    return frozenset(offset + bit for bit in _bits(bitmap))


def _text(low: int, bits: list[int], scope: str) -> str:
    if not bits:
        return ""
    bitmap = bytearray(bits[-1] // 8 + 1)
    for bit in bits:
        bitmap[bit // 8] |= 1 << bit % 8
    return f"{MARK}:{low}@{_sum(scope)}:{b64encode(zlib.compress(bitmap, 9)).decode()}"


def _bits(bitmap: bytes) -> Iterable[int]:
    for number, octet in enumerate(bitmap):
        for bit in range(8) if octet else ():
            if octet >> bit & 1:
                yield number * 8 + bit


def _sum(scope: str) -> str:
    return f"{zlib.crc32(scope.encode()):08x}"
