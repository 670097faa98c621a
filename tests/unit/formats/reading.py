"""Short ways to decode something and to ask why it was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from bridge.errors import PoisonError
from bridge.formats import FormatName, build_format
from bridge.model import Delivery, Envelope

NOW = 1_763_700_000_000  # 2025-11-21T04:40:00Z


def delivery(body: object, headers: Mapping[str, object] | None = None, **more: object) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery(body=raw, headers=headers or {}, **more)  # type: ignore[arg-type]


def read_all(
    body: object, format_name: FormatName = "auto", headers: Mapping[str, object] | None = None, **more: object
) -> list[Envelope | PoisonError]:
    return build_format(format_name).decode(delivery(body, headers, **more), NOW)


def read(
    body: object, format_name: FormatName = "auto", headers: Mapping[str, object] | None = None, **more: object
) -> Envelope:
    (event,) = read_all(body, format_name, headers, **more)
    assert isinstance(event, Envelope), event
    return event


def refusal(
    body: object, format_name: FormatName = "auto", headers: Mapping[str, object] | None = None, **more: object
) -> str:
    """Return the reason of a delivery that is refused as a whole."""
    with pytest.raises(PoisonError) as caught:
        read_all(body, format_name, headers, **more)
    return str(caught.value)
