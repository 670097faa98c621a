"""
What is done above the watermark of a partition, as the text that Kafka keeps beside a committed offset.

One bit an offset, zlib, base64: 40 to 170 characters in practice. Kafka takes 4,096 (`offset.metadata.max.bytes`).
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable
from typing import Final

LIMIT: Final = 4_000  # characters
FARTHEST: Final = 1 << 16  # offsets above the watermark that are looked at; no more may be undone either
MARK: Final = "b1:"  # before what is ours: other tools write other things there


def pack(low: int, done: Iterable[int]) -> str:
    """
    The done offsets above `low` as text of at most `LIMIT` characters; "" for none.

    Where they do not fit, the farthest are left out: they will be done again, never skipped.
    """
    bits = 0
    for offset in done:
        if 0 <= (place := offset - low) < FARTHEST:
            bits |= 1 << place
    width = bits.bit_length()
    while width:
        text = MARK + base64.b64encode(zlib.compress(bits.to_bytes(width // 8 + 1, "little"))).decode()
        if len(text) <= LIMIT:
            return text
        width //= 2
        bits &= (1 << width) - 1
        width = bits.bit_length()
    return ""


def unpack(low: int, text: str) -> frozenset[int]:
    """The done offsets that `pack` wrote for this committed offset; none for whatever else stands there."""
    if not text.startswith(MARK):
        return frozenset()
    try:
        stream = zlib.decompressobj()
        packed = stream.decompress(base64.b64decode(text.removeprefix(MARK), validate=True), FARTHEST // 8 + 1)
    except (binascii.Error, ValueError, zlib.error):
        return frozenset()
    if not stream.eof:
        return frozenset()
    bits = int.from_bytes(packed, "little")
    return frozenset(low + place for place in range(bits.bit_length()) if bits >> place & 1)
