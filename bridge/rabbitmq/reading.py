"""Deliveries of our own AMQP as the bridge knows them: equal to what `bridge.rabbitmq.wire` makes of the client's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bridge.amqp import properties
from bridge.amqp.events import Delivered
from bridge.model import Delivery
from bridge.rabbitmq import wire

_FURTHER: Final = {{"message_type": "type"}.get(name, name): name for name in wire.FURTHER}
"""The further properties by their names in AMQP, of which the client has one changed."""


class LateHeaders(Mapping[str, object]):
    """Headers that are decoded when somebody looks at them."""

    __slots__ = ("_decoded", "_raw")

    def __init__(self, raw: bytes) -> None:
        """`raw` is the content of a table, without its length."""
        self._raw = raw
        self._decoded: dict[str, object] | None = None

    @property
    def _fields(self) -> dict[str, object]:
        if self._decoded is None:
            self._decoded = properties.table(self._raw)
        return self._decoded

    def __getitem__(self, name: str) -> object:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Reader:
    """Makes Deliveries of one subscription, which is the first half of their token."""

    def __init__(self, subscription: object, queue: str, *, due: bool) -> None:
        self._subscription = subscription
        self._origin = f"rabbitmq:{queue}"
        self._due = due
        self._raw = b""  # properties as they came last; many publishers send the same each time
        self._found = properties.Properties()
        self._further: dict[str, str | int] = {}

    def read(self, came: list[Delivered]) -> list[Delivery]:
        made = [self._delivery(each) for each in came]
        if self._due:
            for delivery in made:
                wire.as_due(delivery)
        return made

    def _delivery(self, came: Delivered) -> Delivery:
        _, _, tag, redelivered, _, routing_key, body, raw = came
        if raw != self._raw:
            self._raw = raw
            self._found = properties.decode(raw)
            self._further = _further(self._found)
        found = self._found
        return Delivery(
            body=body,
            headers=LateHeaders(found.table) if found.table else {},
            token=(self._subscription, tag),
            origin=self._origin,
            timestamp=found.timestamp,
            message_id=found.message_id or None,
            content_type=found.content_type or None,
            properties=self._further,
            routing_key=routing_key,
            redelivered=redelivered,
        )


def _further(found: properties.Properties) -> dict[str, str | int]:
    """What the bridge carries along, without what is empty."""
    values = vars(found)
    if _FURTHER.keys().isdisjoint(values):
        return {}
    return {_FURTHER[name]: value for name, value in values.items() if name in _FURTHER and value != ""}
