"""The demo's story: each item says of itself what the bridge will read in it."""

from __future__ import annotations

import pytest

from bridge.errors import PoisonError
from bridge.formats import build_format
from bridge.formats.auto import AutoSettings
from bridge.model import Delivery, Envelope
from devtools.demo.road import ROUTES
from devtools.demo.story import Item, story

NOW = 1_760_000_000_000
ITEMS = [item for chapter in story() for item in chapter.items]
FIRST = [item for item in ITEMS if not item.copy]


def decoded(item: Item) -> list[Envelope | PoisonError]:
    parcel = item.compose(NOW)
    delivery = Delivery(
        body=parcel.body,
        headers=parcel.headers,
        content_type=parcel.content_type,
        message_id=parcel.message_id,
        routing_key=f"events.{item.route}",
    )
    auto = build_format(AutoSettings(), max_event_bytes=1 << 20, max_depth=100, missing_id="derive")
    return list(auto.decode(delivery, NOW))


@pytest.mark.parametrize("item", [item for item in FIRST if item.end != "poison"], ids=lambda item: item.title)
def test_ids_names_and_due_times_are_what_the_item_says(item: Item) -> None:
    due = NOW + round(item.wait * 1000) if item.wait else None
    events = [event for event in decoded(item) if isinstance(event, Envelope)]
    assert [(event.id, event.name, event.due_at) for event in events] == [
        (event.id, event.name, due) for event in item.events
    ]


def test_the_poison_is_poison() -> None:
    (item,) = [item for item in FIRST if item.end == "poison"]
    with pytest.raises(PoisonError, match=r"event\.name"):
        decoded(item)


def test_no_two_events_share_an_id_or_a_name() -> None:
    events = [event for item in FIRST for event in item.events]
    assert len({event.id for event in events}) == len({event.name for event in events}) == len(events)


def test_every_route_has_something_to_show() -> None:
    assert {item.route for item in ITEMS} == set(ROUTES)


def test_copies_are_of_what_was_published_before() -> None:
    seen: set[str] = set()
    for item in ITEMS:
        assert item.copy == (item.events[0].id in seen)
        seen.update(event.id for event in item.events)
    assert any(item.copy and item.holder == "bridge" for item in ITEMS), "one that waits should have a copy"
