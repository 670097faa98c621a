"""The devserver's memory: bounded, and right about what is known, due and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.devserver.book import Book
from bridge.devserver.records import Arrival, EventRecord, RequestRecord


def take(book: Book, event_id: str, now: float = 0.0, **more: object) -> EventRecord:
    arrival = Arrival("api", event_id, "name", more.pop("payload", {}), **more)  # type: ignore[arg-type]
    return book.accept(arrival, now)[0]


def request(status: int = 200, at: float = 0.0) -> RequestRecord:
    return RequestRecord(at=at, monotonic=0, method="POST", path="/", api="api", status=status)


def test_a_known_id_counts_as_duplicate_and_keeps_the_first_payload() -> None:
    book = Book()
    take(book, "a", payload=1)
    record = take(book, "a", 5.0, payload=2)
    assert (record.deliveries, record.duplicates, record.conflicts, record.payload) == (2, 1, 1, b"1")
    assert (record.first_seen, record.last_seen, record.arrivals) == (0.0, 5.0, [0.0, 5.0])


def test_scopes_keep_equal_ids_apart() -> None:
    book = Book()
    take(book, "a", scope="x")
    assert take(book, "a", scope="y").duplicates == 0


def test_what_is_due_is_delivered_in_time_and_not_before() -> None:
    book = Book()
    late, soon = take(book, "late", due=20.0), take(book, "soon", due=10.0)
    assert (book.next_due(), len(book.waiting)) == (10.0, 2)
    book.ring(9.9)
    assert (soon.state, late.state) == ("scheduled", "scheduled")
    book.ring(15.0)
    assert (soon.state, soon.delivered_at, late.state) == ("delivered", 10.0, "scheduled")
    book.ring(20.0)
    assert (late.runs, book.next_due(), len(book.waiting)) == (1, None, 0)


def test_what_was_rescheduled_or_cancelled_does_not_ring_at_its_old_time() -> None:
    book = Book()
    moved, gone = take(book, "moved", due=10.0), take(book, "gone", due=10.0)
    book.reschedule(moved, None, 30.0, 0.0)
    book.cancel(gone, 0.0)
    book.ring(10.0)
    assert (moved.state, gone.state) == ("scheduled", "cancelled")
    book.ring(30.0)
    assert (moved.state, moved.runs, gone.runs) == ("delivered", 1, 0)


def test_the_oldest_untouched_events_are_forgotten_first() -> None:
    book = Book(max_events=2)
    for event_id in ("a", "b", "a", "c"):
        take(book, event_id)
    assert [record.id for record in book.events.values()] == ["a", "c"]
    assert book.evicted == 1
    assert take(book, "b").duplicates == 0
    assert book.tally("api").events == 4


def test_payloads_are_bounded_in_all_and_the_newest_is_always_kept() -> None:
    book = Book(max_bytes=1000)
    for event_id in "abc":
        take(book, event_id, payload="x" * 300, details={"context": "y" * 100})
    assert [record.id for record in book.events.values()] == ["b", "c"]
    take(book, "huge", payload="x" * 5000)
    assert [record.id for record in book.events.values()] == ["huge"]


def test_a_forgotten_event_that_was_due_does_not_ring() -> None:
    book = Book(max_events=1)
    take(book, "a", due=10.0)
    take(book, "b")
    assert not book.waiting
    book.ring(10.0)
    assert [record.id for record in book.events.values()] == ["b"]


def test_only_the_first_of_a_run_key_runs_in_24_hours() -> None:
    book = Book()
    runs = [take(book, str(n), now, run_key="k").runs for n, now in enumerate((0.0, 86_399_999.0, 86_400_000.0))]
    assert runs == [1, 0, 1]


def test_requests_are_counted_by_second_and_outcome() -> None:
    book = Book()
    for status, at in ((200, 1000.0), (503, 1500.0), (0, 2000.0), (302, 2000.0)):
        book.log(request(status, at))
    assert book.rate == {1: [1, 1], 2: [0, 2]}
    tally = book.tally("api")
    assert (tally.requests, tally.succeeded, tally.failed) == (4, 1, 3)


def test_the_rate_is_kept_for_a_quarter_of_an_hour() -> None:
    book = Book()
    for second in range(1000):
        book.log(request(at=second * 1000.0))
    assert list(book.rate) == list(range(100, 1000))


def test_requests_are_a_ring() -> None:
    book = Book(max_requests=3)
    for _ in range(5):
        book.log(request())
    assert [entry.seq for entry in book.requests] == [3, 4, 5]


def test_since_returns_what_changed_latest_first() -> None:
    book = Book()
    for event_id in "abc":
        take(book, event_id)
    rev = book.rev
    take(book, "a")
    take(book, "d")
    assert [record.id for record in book.events_since(rev, 10)] == ["d", "a"]
    assert [record.id for record in book.events_since(0, 2)] == ["d", "a"]
    book.log(request())
    assert [entry.seq for entry in book.requests_since(rev, 10)] == [1]


def test_every_change_is_announced() -> None:
    book, changes = Book(), []
    book.on_change = lambda: changes.append(book.rev)
    take(book, "a", due=10.0)
    book.ring(10.0)
    book.log(request())
    book.reset()
    assert len(changes) == 4
    assert changes == sorted(set(changes))


def test_reset_forgets_everything() -> None:
    book = Book()
    take(book, "a", due=10.0, run_key="k")
    book.log(request())
    epoch = book.epoch
    book.reset()
    assert (len(book.events), len(book.requests), book.tallies, book.next_due()) == (0, 0, {}, None)
    assert book.epoch > epoch
    assert take(book, "a", run_key="k").runs == 1


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-5, 30), st.integers(0, 10)), max_size=60),
    st.integers(1, 4),
)
def test_the_books_balance(arrivals: list[tuple[str, int, int]], max_events: int) -> None:
    book, now = Book(max_events=max_events), 0.0
    for event_id, delay, passed in arrivals:
        take(book, event_id, now, due=now + delay)
        now += passed
        book.ring(now)
    tally = book.tally("api")
    assert tally.deliveries == len(arrivals) == tally.events + tally.duplicates
    assert len(book.events) == tally.events - book.evicted <= max_events
    assert book.waiting == {key for key, record in book.events.items() if record.state == "scheduled"}
    for record in book.events.values():
        assert (record.state == "delivered") == (record.due <= now)
        assert record.runs == (record.state == "delivered")


@pytest.mark.parametrize("status", [200, 202, 299])
def test_ok_is_what_the_client_was_told(status: int) -> None:
    assert request(status).ok
    assert not any(request(other).ok for other in (0, 199, 300, 400, 500))
