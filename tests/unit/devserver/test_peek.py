"""Which events are in a request, whatever the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.devserver.dialects import route
from bridge.devserver.peek import names_in
from bridge.devserver.wire import Call


def peek(path: str, body: Any, **headers: str) -> list[tuple[str, str | None]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = route(path, raw)
    assert found is not None
    api, params, _ = found
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return names_in(Call(api=api, method="POST", path=path, headers=named, body=raw, now=0, params=params))


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/e/k", {"name": "a", "id": "1"}, [("a", "1")]),
        ("/e/k", [{"name": "a"}, {"id": "x"}, 7, {"name": "b", "id": 3}], [("a", None), ("b", None)]),
        ("/api/v1/events", {"id": "1", "event": {"name": "a"}}, [("a", "1")]),
        ("/api/v1/events", {"event": {"name": "a", "id": "1"}}, [("a", "1")]),
        ("/api/v1/events/bulk", {"events": [{"name": "a", "id": "1"}, {"name": "b"}]}, [("a", "1"), ("b", None)]),
        ("/api/v1/tasks/t%20x/trigger", {"options": {"idempotencyKey": "k"}}, [("t x", "k")]),
        ("/api/v1/tasks/batch", {"items": [{"task": "t", "options": {"idempotencyKey": "k"}}]}, [("t", "k")]),
        ("/trigger", {"event": "a", "id": "ignored"}, [("a", None)]),
        ("/webhook/orders", b"\xff", [("orders", None)]),
        ("/cloudevents", [{"type": "a", "id": "1"}], [("a", "1")]),
        ("/e/k", b"{", []),
        ("/e/k", b"7", []),
        ("/trigger", {"event": 7}, []),
    ],
)
def test_names_and_ids(path: str, body: Any, names: list[tuple[str, str | None]]) -> None:
    assert peek(path, body) == names


def test_names_from_headers() -> None:
    assert peek("/webhook/orders", b"", webhook_id="m") == [("orders", "m")]
    assert peek("/cloudevents", b"{}", ce_type="gr%C3%BCn", ce_id="1") == [("grün", "1")]
    assert peek("/api/v1/tasks/t/trigger", b"{}", idempotency_key="h") == [("t", "h")]
