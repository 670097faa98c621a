"""The demo's books: what they count, and that nothing wrong passes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from devtools.demo.books import Books, Fate
from devtools.demo.road import Counts, DeadLetter
from devtools.demo.story import Item, Named, Parcel

NOW = 1_000_000


def item(event_id: str, route: str = "webhook", **more: object) -> Item:
    plain = Item(
        route=route,
        note="",
        events=(Named(event_id, f"name of {event_id}"),),
        compose=lambda _: Parcel(body=b"", message_id=event_id),
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def letter(kind: str) -> DeadLetter:
    return DeadLetter(route="webhook", message_id="", event_id="", name="", kind=kind, reason="because")


@pytest.fixture
def books() -> Books:
    """Everything went well."""
    made = Books()
    for one in (
        item("plain"),
        item("later", wait=5, holder="bridge"),
        item("left to the API", wait=5, holder="api"),
        item("poison", end="poison"),
        item("refused", end="rejected"),
        item("flaky", failures=2),
        item("plain", copy=True),
    ):
        made.published(one, NOW)
    fates = made.fates
    fates["plain"].arrivals.append(NOW + 3)
    fates["later"].arrivals.append(NOW + 5004)
    fates["left to the API"].arrivals.append(NOW + 2)
    fates["left to the API"].released = NOW + 5000
    fates["poison"].dead.append(letter("poison"))
    fates["refused"].dead.append(letter("rejected"))
    fates["refused"].failures.append("HTTP 422")
    fates["flaky"].failures += ["HTTP 500", "HTTP 500"]
    fates["flaky"].arrivals.append(NOW + 2000)
    made.suppress("webhook")
    return made


def counts(**more: int) -> Counts:
    usual = Counts(events=Counter({("webhook", "duplicate"): 1}), taken_in=7, received=8, settled=8)
    return replace(usual, **more)  # type: ignore[arg-type]


def test_when_all_is_well_nothing_differs(books: Books) -> None:
    assert books.complete()
    assert books.differences(counts()) == []


SPOILT: dict[str, Callable[[dict[str, Fate]], object]] = {
    "plain was sent 2 times": lambda fates: fates["plain"].arrivals.append(NOW + 9),
    "plain was sent 0 times": lambda fates: fates["plain"].arrivals.clear(),
    "plain is in the dead letters: because": lambda fates: fates["plain"].dead.append(letter("expired")),
    "plain failed 1 times, not 0": lambda fates: fates["plain"].failures.append("HTTP 500"),
    "later was delivered 1 ms early": lambda fates: fates["later"].arrivals.__setitem__(0, NOW + 4999),
    "left to the API was delivered 1 ms early": lambda fates: setattr(fates["left to the API"], "released", NOW + 4999),
    "left to the API was not left": lambda fates: fates["left to the API"].arrivals.__setitem__(0, NOW + 5001),
    "poison was delivered, though": lambda fates: fates["poison"].arrivals.append(NOW),
    "poison must be in the dead letters once, as poison, but is not there": lambda fates: fates["poison"].dead.clear(),
    r"poison must .* is poison \(because\), poison": lambda fates: fates["poison"].dead.append(letter("poison")),
    r"refused must .* as rejected, but is rejected \(because\), exhausted": lambda fates: fates["refused"].dead.append(
        letter("exhausted")
    ),
    "refused failed 2 times, not 1": lambda fates: fates["refused"].failures.append("HTTP 422"),
    "flaky failed 1 times, not 2": lambda fates: fates["flaky"].failures.pop(),
}


@pytest.mark.parametrize("difference", SPOILT)
def test_what_went_wrong_with_an_event_is_said(books: Books, difference: str) -> None:
    SPOILT[difference](books.fates)
    (said,) = books.differences(counts())
    assert re.match(f"name of {difference}", said), said


@pytest.mark.parametrize(
    ("wrong", "difference"),
    [
        ({"in_flight": 1, "settled": 7}, "the conservation law does not hold: 8 deliveries received = 7 settled"),
        ({"settled": 7}, "the conservation law does not hold: 8 deliveries received is not 7 settled"),
        ({"taken_in": 6}, "7 deliveries were published, but 6 taken in"),
        ({"faults": 1}, "1 faults"),
        ({"events": Counter({("webhook", "duplicate"): 2})}, "1 copies were published, but 2 duplicates suppressed"),
        ({"events": Counter()}, "1 copies were published, but 0 duplicates suppressed"),
    ],
)
def test_what_the_bridge_counted_wrongly_is_said(books: Books, wrong: dict[str, int], difference: str) -> None:
    (said,) = books.differences(counts(**wrong))
    assert difference in said


def test_a_copy_that_was_not_suppressed_yet_leaves_the_books_open(books: Books) -> None:
    books.published(item("later", copy=True), NOW)
    assert not books.complete()
    fate = books.suppress("webhook")
    assert fate is not None
    assert fate.event.id == "later"
    assert books.complete()


@pytest.mark.parametrize("event_id", ["plain", "later", "poison", "refused", "flaky"])
def test_an_event_without_an_end_leaves_the_books_open(books: Books, event_id: str) -> None:
    books.fates[event_id].arrivals.clear()
    books.fates[event_id].dead.clear()
    assert not books.complete()


def test_one_that_the_api_holds_has_its_end_when_the_api_lets_it_go(books: Books) -> None:
    books.fates["left to the API"].released = None
    assert not books.complete()


def test_events_of_somebody_else_are_said(books: Books) -> None:
    books.strange("order.paid", "to the event API")
    assert books.differences(counts()) == ["order.paid came to the event API, and is none of ours"]


def test_an_event_is_found_by_its_name_only_where_the_api_knows_no_id() -> None:
    books = Books()
    books.published(item("1", route="zopio"), NOW)
    books.published(item("2"), NOW)
    assert books.find("01J", "name of 1") is books.fates["1"]
    assert books.find("01J", "name of 2") is None
    books.close()
    assert books.find("01J", "name of 1") is None
    assert books.find("1", "") is books.fates["1"]


def test_what_a_route_holds_is_named_in_the_order_of_publishing() -> None:
    books = Books()
    for event_id, wait in (("1", 5), ("short", 1), ("2", 5)):
        books.published(item(event_id, wait=wait, holder="bridge"), NOW)
    held = [books.held("webhook", in_process=short) for short in (False, False, False, True, True)]
    assert [fate.event.id if fate else None for fate in held] == ["1", "2", None, "short", None]
    assert books.held("inngest", in_process=False) is None


def test_the_table_sums_up(books: Books) -> None:
    rows = {name: (number, text) for name, number, text in books.rows(counts()) if name}
    assert rows["published"] == (7, "events in 7 deliveries")
    assert rows["delivered"] == (4, "each of them once")
    assert rows["duplicates"] == (1, "suppressed")
    assert rows["delayed"] == (1, "by the bridge, late by 4 ms (median), 4 ms (most)")
    assert rows["retried"] == (1, "delivered after 2 failed attempts")
    assert rows["dead letters"][0] == 2
    assert rows["  name of refused"] == (None, "because")
    assert rows["conservation"] == (None, "8 deliveries received = 8 settled + 0 in flight")


def test_the_table_hides_nothing(books: Books) -> None:
    books.fates["plain"].arrivals.append(NOW)
    rows = {name: text for name, _, text in books.rows(counts())}
    assert rows["delivered"] == "up to 2 times"
