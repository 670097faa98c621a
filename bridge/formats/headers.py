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


def folded(headers: Mapping[str, object]) -> Mapping[str, object]:
    """
    Give headers under their names in lower case: what looks for `x-delay` must find `X-Delay` too.

    To brokers these are two names; to HTTP, where many headers come from, they are one. A name that stands there in
    lower case wins over its other spellings, and of those the first. Nulls count as missing.
    """
    if not headers:
        return headers
    names = "".join(headers)
    if names == names.lower():  # nearly always
        return headers
    found: dict[str, object] = {}
    for name, value in sorted(headers.items(), key=lambda pair: not pair[0].islower()):
        if value is not None:
            found.setdefault(name.lower(), value)
    return found


def text_header(headers: Mapping[str, object], name: str) -> str | None:
    """Find the header `name` as text; None where it is missing, null or empty. Raises PoisonError."""
    value = headers.get(name)
    return None if value is None else header_text(value, f"headers.{name}") or None


def content_type(delivery: Delivery) -> str:
    """Find the content type of the body, as it was written; "" where nobody says. Raises PoisonError."""
    if delivery.content_type or not delivery.headers:
        return delivery.content_type or ""
    headers = folded(delivery.headers)
    return next((said for name in _CONTENT_TYPE if (said := text_header(headers, name))), "")


def media_type(said: str) -> str:
    """Strip a content type down to the media type, in lower case."""
    return said.partition(";")[0].strip().lower()
