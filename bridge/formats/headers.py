"""Headers as brokers hand them over: text, bytes, numbers, and names in several spellings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from bridge.core.kinds import kind_of
from bridge.errors import PoisonError
from bridge.model import Delivery

_CONTENT_TYPE = ("content-type", "content_type")  # where a broker has no property for it


def header_text(value: object, field: str) -> str:
    """Turn a header's value into text; bytes are UTF-8. Raises PoisonError for what has no one spelling."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise PoisonError(field, "is not valid UTF-8") from None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    raise PoisonError(field, f"must be text, not {kind_of(value)}")


def text_header(headers: Mapping[str, object], name: str) -> str | None:
    """Find the header `name` as text; None where it is missing, null or empty. Raises PoisonError."""
    value = headers.get(name)
    return None if value is None else header_text(value, f"headers.{name}") or None


def content_type(delivery: Delivery) -> str:
    """Media type of the body in lower case and without parameters; "" where nobody says. Raises PoisonError."""
    said = delivery.content_type
    if not said and delivery.headers:
        names = {name.lower(): name for name in delivery.headers}
        said = next((text_header(delivery.headers, names[name]) for name in _CONTENT_TYPE if name in names), None)
    return (said or "").partition(";")[0].strip().lower()
