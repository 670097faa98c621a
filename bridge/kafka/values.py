"""
Header values of other brokers, written so that a person can read them, and read back without loss.

Kafka's headers are bytes or null. An AMQP table also holds text, numbers, times and tables. Each such value is written
as text under its own name, and one header of ours says which name stands for which kind.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

AS_IT_IS: Final = ""  # the kind of what Kafka can carry itself
_WHOLE: Final = re.compile(rb"-?[0-9]{1,19}")
_TAG: Final = "$"  # begins the one name in an object of JSON that stands for a value JSON does not have


def written(value: object) -> tuple[bytes | None, str]:  # noqa: PLR0911  a table of types
    """The bytes of a value, and the kind to read them back by."""
    match value:
        case None | bytes():
            return value, AS_IT_IS
        case str():
            return octets(value), "text"
        case bool():
            return (b"true" if value else b"false"), "bool"
        case int():
            return b"%d" % value, "int"
        case float():
            return repr(value).encode(), "float"
        case Decimal():
            return str(value).encode(), "decimal"
        case datetime():
            return value.isoformat().encode(), "time"
    return octets(json.dumps(_plain(value), ensure_ascii=False)), "json"


def read(raw: bytes | None, kind: str) -> object:
    """The value again. Raises ValueError for what is no such value, and for an unknown kind."""
    if raw is None or kind == AS_IT_IS:
        return raw
    if kind not in _READERS:
        raise ValueError(f"{kind} is no kind of value")
    try:
        return _READERS[kind](text(raw))
    except (ArithmeticError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not of the kind {kind}") from error


def octets(given: str) -> bytes:
    """UTF-8, with halves of surrogate pairs let through: they come back as they were."""
    return given.encode("utf-8", "surrogatepass")


def text(raw: bytes) -> str:
    """The text that `octets` wrote. Raises ValueError for what is no text."""
    return raw.decode("utf-8", "surrogatepass")


def words(raw: bytes | None) -> str:
    """Text for people; what is no text is escaped, and nothing is no text."""
    try:
        return "" if raw is None else text(raw)
    except ValueError:
        return (raw or b"").decode("utf-8", "backslashreplace")


def whole(raw: bytes) -> int:
    """A whole number, in plain digits. Raises ValueError."""
    if not _WHOLE.fullmatch(raw):
        raise ValueError("not a whole number")
    return int(raw)


def known(raw: bytes | None) -> int | None:
    """A whole number where there is one."""
    return int(raw) if raw is not None and _WHOLE.fullmatch(raw) else None


def seconds(raw: bytes | None) -> float | None:
    """A number where there is one."""
    try:
        return float(raw) if raw is not None else None
    except ValueError:
        return None


def object_of(raw: bytes | None) -> dict[str, Any]:
    """An object of JSON, empty where there is none."""
    try:
        found = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: object) -> Any:  # noqa: PLR0911  a table of types
    """What JSON can say of a value; what it cannot is tagged."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case bytearray():
            return {"$bytearray": base64.b64encode(value).decode()}
        case Decimal():
            return {"$decimal": str(value)}
        case datetime():
            return {"$time": value.isoformat()}
        case Mapping():
            plain = {str(name): _plain(item) for name, item in value.items()}
            return {"$table": plain} if _looks_tagged(plain) else plain
        case Sequence():
            return [_plain(item) for item in value]
    return str(value)


def _rich(value: Any) -> Any:
    """The value that `_plain` was given."""
    match value:
        case list():
            return [_rich(item) for item in value]
        case dict() if _looks_tagged(value):
            [(tag, inner)] = value.items()
            if tag == "$table":
                return {name: _rich(item) for name, item in inner.items()}
            return _TAGS[tag](inner)
        case dict():
            return {name: _rich(item) for name, item in value.items()}
    return value


def _looks_tagged(value: Mapping[str, object]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(_TAG)


def _truth(given: str) -> bool:
    return {"true": True, "false": False}[given]


_TAGS: Final[dict[str, Callable[[str], object]]] = {
    "$bytes": base64.b64decode,
    "$bytearray": lambda given: bytearray(base64.b64decode(given)),
    "$decimal": Decimal,
    "$time": datetime.fromisoformat,
}
_READERS: Final[dict[str, Callable[[str], object]]] = {
    "text": str,
    "bool": _truth,
    "int": int,
    "float": float,
    "decimal": Decimal,
    "time": datetime.fromisoformat,
    "json": lambda given: _rich(json.loads(given)),
}
