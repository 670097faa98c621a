"""
What a Kafka record has and an AMQP delivery has no place for: in headers of ours, and back.

A record has a key, a position, milliseconds, and headers of bytes whose names may repeat. AMQP's text comes back as
text, a table has one value a name, and some names make RabbitMQ act.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bridge.core.pairs import Pairs, mapping_of, pairs_of
from bridge.model import Delivery
from bridge.rabbitmq.encoders import SHORT

KEY: Final = "key"
PAIRS: Final = "pairs"  # names and values, where they do not make a table
BINARY: Final = "binary"  # whether all values were bytes, or nothing, before they became text


def worn(name: str) -> bool:
    """Whether a header is what the broker wrote on an earlier trip, or would make it act."""
    return name in WORN or name.startswith(WORN_PREFIXES)


# Sent again, RabbitMQ 3.x takes x-death for a cycle and drops the copy.
COUNTERS: Final = frozenset({"x-delivery-count", "x-acquired-count"})
WORN: Final = COUNTERS | {"x-death", "CC", "BCC"}
WORN_PREFIXES: Final = ("x-first-death-", "x-last-death-")


def packed(delivery: Delivery, prefix: str, *, afresh: bool) -> dict[str, Any]:
    """
    The headers of a delivery and its further facts, as a table. Headers that begin with `prefix` are left out.

    `afresh` leaves out the traces of an earlier trip too, but of those that came as bytes: their names mean nothing.
    """
    found = [(name, value) for name, value in pairs_of(delivery.headers) if not name.startswith(prefix)]
    table: dict[str, Any]
    if not found or not all(value is None or isinstance(value, bytes) for _, value in found):
        table = {name: value for name, value in found if not (afresh and worn(name))}
    elif isinstance(delivery.headers, Pairs) or any(map(_odd, delivery.headers)):
        table = {prefix + PAIRS: [[name, value] for name, value in found]}
    else:
        table = {**dict(found), prefix + BINARY: True}
    facts = {KEY: delivery.key, "position": delivery.position, "timestamp": _beyond_seconds(delivery.timestamp)}
    return table | {prefix + name: value for name, value in facts.items() if value is not None}


def unpacked(theirs: Mapping[str, object], ours: Mapping[str, object]) -> Mapping[str, object]:
    """The headers that were packed. `ours` are the headers of our own, without their prefix."""
    pairs = ours.get(PAIRS)
    if isinstance(pairs, list):
        return mapping_of(
            [(str(pair[0]), _octets(pair[1])) for pair in pairs if isinstance(pair, list) and len(pair) > 1]
        )
    return {name: _octets(value) for name, value in theirs.items()} if ours.get(BINARY) is True else theirs


def restore(delivery: Delivery, ours: Mapping[str, object]) -> None:
    """Give a delivery its further facts back."""
    position, moment = ours.get("position"), ours.get("timestamp")
    delivery.key = _octets(ours.get(KEY))
    delivery.position = position if isinstance(position, str) else None
    if isinstance(moment, float):
        delivery.timestamp = moment


def whole_seconds(moment: float | None) -> datetime | None:
    """A timestamp as AMQP has it, in whole seconds; None for a year that no calendar has."""
    try:
        return None if moment is None or moment < 0 else datetime.fromtimestamp(int(moment), tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _beyond_seconds(moment: float | None) -> float | None:
    """A timestamp that AMQP cannot say."""
    seconds = whole_seconds(moment)
    return None if moment is None or (seconds is not None and seconds.timestamp() == moment) else float(moment)


def _odd(name: str) -> bool:
    """Whether a table cannot carry this name, or had better not."""
    return not name or worn(name) or len(name.encode("utf-8", "surrogatepass")) > SHORT


def _octets(value: object) -> bytes | None:
    """What was bytes before the client made text of it."""
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, bytes | bytearray) else None
