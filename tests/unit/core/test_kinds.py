from __future__ import annotations

from decimal import Decimal

import pytest

from bridge.core.kinds import kind_of, place


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ("x", "a string"),
        ([], "an array"),
        ({}, "an object"),
        (b"", "bytes"),
        (Decimal(1), "a Decimal"),
    ],
)
def test_each_kind_has_its_name(value: object, kind: str) -> None:
    assert kind_of(value) == kind


@pytest.mark.parametrize(
    ("parent", "key", "expected"),
    [
        ("", "name", "name"),
        ("event", "name", "event.name"),
        ("[3]", "name", "[3].name"),
        ("event", "x-delay", "event.x-delay"),
        ("event", "a b", "event['a b']"),
        ("event", "a\nb", r"event['a\nb']"),
        ("", "", "['']"),
        ("event", "ü", r"event['\xfc']"),
        ("event", "k" * 100, f"event['{'k' * 40}']"),
    ],
)
def test_a_place_is_printable_ascii_and_short(parent: str, key: str, expected: str) -> None:
    assert place(parent, key) == expected
