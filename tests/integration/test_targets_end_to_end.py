"""The whole process, from the publisher's bytes to what the real HTTP target recorded: every shape to every target."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest

from bridge.devserver import parse_fault
from bridge.devserver.records import Arrival, EventRecord
from tests.integration.every_shape import DERIVED, Expected, Published, every_shape, now_ms
from tests.integration.whole_process import APIS, HOLDING, INNGEST, NEWER, OLDER, WEBHOOK, Api, running, until

FAR, NEAR = 3600.0, 0.7  # seconds: what a target holds, and what the bridge holds
LATEST = 10_000  # ms an event may be late on a busy machine


def expected_of(deliveries: Sequence[Published]) -> list[Expected]:
    return [event for delivery in deliveries for event in delivery.events]


def wait_for(api: Api) -> float:
    return FAR if api.waits else NEAR


@pytest.mark.parametrize("api", APIS, ids=str)
async def test_every_shape_arrives_as_it_is_and_its_copies_do_not(api: Api, tmp_path: Path) -> None:
    async with running(api, tmp_path) as process:
        deliveries, before = every_shape(wait_for(api)), now_ms()
        events = expected_of(deliveries)
        process.publish(deliveries)
        process.publish(deliveries)  # a copy beside its original
        await until(lambda: len(process.server.book.events) == len(events))
        await until(process.idle)
        process.publish(deliveries)  # and one long after
        await until(process.idle)

        assert len(process.server.book.events) == len(events)
        for event in events:
            record = process.record(event.name)
            check(event, record, api)
            check_time(event, record, api, before)
            assert record.deliveries == 1
        assert not process.dead_letters.buried
        assert process.tally.conflicts == process.tally.faults == 0


def check(event: Expected, record: EventRecord, api: Api) -> None:
    """What identifies the event, and what it carries."""
    payload = json.loads(record.payload)
    assert record.api == api.api
    if api.api == "webhook":
        assert record.details["signature"] == "valid"
        due = {"due_at": payload.pop("due_at")} if event.later else {}
        found_id = payload.pop("id")
        assert payload == {"name": event.name, "data": event.data, **event.more}
        assert (due.get("due_at", event.at) == event.at) or event.wait
        check_id(event, found_id, with_source=False)
        check_id(event, unquote(record.id))
        return
    assert payload == event.data
    if api.api == "cloudevents":
        assert record.details["source"] == (event.source or "/event-bridge")
        check_id(event, record.id, with_source=False)
    elif api.api != "zopio":  # which makes ids of its own
        check_id(event, record.id)


def check_id(event: Expected, found: str, *, with_source: bool = True) -> None:
    if event.id == DERIVED:
        assert len(found.partition("/")[0]) == 32
    elif event.source is not None and with_source:
        assert found == f"{event.source.replace('#', '%23')}#{event.id}"
    else:
        assert found == event.id


def check_time(event: Expected, record: EventRecord, api: Api, before: int) -> None:
    """`before` is when the first copy was published, in ms."""
    earliest = event.at or before + event.wait * 1000
    if not event.later:
        assert record.state == "delivered"
        assert record.first_seen - before < LATEST
    elif api.waits:
        assert record.state == "scheduled"
        assert earliest <= record.due <= (event.at or record.first_seen + event.wait * 1000)
    else:
        assert earliest <= record.first_seen < earliest + LATEST


@pytest.mark.parametrize("api", APIS, ids=str)
async def test_a_failed_attempt_is_repeated_with_the_same_id_and_the_same_time(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(api, tmp_path, timing={"hold_window": 0}) as process:
        noted: list[tuple[Arrival, float]] = []  # known ids too, unlike in the book; with the time in ms
        accept = process.server.book.accept

        def noting(arrival: Arrival, now: float) -> tuple[EventRecord, bool]:
            noted.append((arrival, now))
            return accept(arrival, now)

        monkeypatch.setattr(process.server.book, "accept", noting)
        deliveries, before = every_shape(wait_for(api)), now_ms()
        events = expected_of(deliveries)
        # The event is in, but its sender is told otherwise: what comes next must look exactly the same.
        for event in events:
            process.server.add_fault(parse_fault(f"status=500,times=2,stored=true,name={event.name}"))
        process.publish(deliveries)
        await until(lambda: len({arrival.name for arrival, _ in noted}) == len(events))
        await until(process.idle)

        arrived = defaultdict(list)
        for arrival, at in noted:
            arrived[arrival.name].append((arrival, at))
        for event in events:
            check_attempts(event, arrived[event.name], api, before)
        assert not process.dead_letters.buried


def check_attempts(event: Expected, attempts: Sequence[tuple[Arrival, float]], api: Api, before: int) -> None:
    assert len(attempts) >= 3
    first, at = attempts[0]
    assert all(arrival.payload == first.payload for arrival, _ in attempts)
    if api.api != "zopio":
        assert all(arrival.id == first.id for arrival, _ in attempts)
        check_id(event, unquote(first.id) if api is WEBHOOK else first.id, with_source=api.api != "cloudevents")
    if not event.later:
        return
    earliest = event.at or before + event.wait * 1000
    if api.waits:
        assert first.due is not None
        assert all(arrival.due == first.due for arrival, _ in attempts)
        assert earliest <= first.due <= (event.at or at + event.wait * 1000)
    else:
        assert earliest <= at
        assert attempts[-1][1] < earliest + LATEST  # the delay did not begin again


@pytest.mark.parametrize("api", HOLDING, ids=str)
async def test_a_bridge_that_is_told_to_waits_for_a_target_that_could(api: Api, tmp_path: Path) -> None:
    async with running(api, tmp_path, timing={"native": "never", "hold_window": "0.3s"}) as process:
        deliveries, before = every_shape(NEAR), now_ms()
        events = expected_of(deliveries)
        process.publish(deliveries)
        await until(lambda: len(process.server.book.events) == len(events))
        await until(process.idle)

        for event in events:
            record = process.record(event.name)
            assert record.state == "delivered"
            assert (event.at or before + event.wait * 1000) <= record.first_seen < before + NEAR * 1000 + LATEST


@pytest.mark.parametrize("known", [NEWER, OLDER], ids=["newer", "older"])
async def test_a_receiver_that_knows_either_secret_accepts_the_signature(known: str, tmp_path: Path) -> None:
    async with running(WEBHOOK, tmp_path, known=known) as process:
        process.publish(every_shape(0))
        await until(lambda: len(process.server.book.events) == len(expected_of(every_shape(0))))

        assert {record.details["signature"] for record in process.server.book.events.values()} == {"valid"}
        request = process.server.book.requests[0]
        assert len(request.headers["webhook-signature"].split()) == 2


async def test_the_fields_that_only_inngest_has_arrive_there(tmp_path: Path) -> None:
    async with running(INNGEST, tmp_path) as process:
        process.publish(every_shape(FAR))
        await until(lambda: len(process.server.book.events) == len(expected_of(every_shape(FAR))))

        details = process.record("storefront/cart.checkout.completed").details
        assert details == {"user": {"external_id": "6463da82"}, "v": "2024-05-15.1", "ts": 1_684_274_328_198}


@pytest.mark.parametrize("mode", ["binary", "structured", "batch"])
async def test_a_cloudevent_keeps_its_attributes(mode: str, tmp_path: Path) -> None:
    api = next(api for api in APIS if api.title == mode)
    async with running(api, tmp_path) as process:
        process.publish(every_shape(0))
        await until(lambda: len(process.server.book.events) == len(expected_of(every_shape(0))))

        details = process.record("com.example.order.created").details
        assert details == {
            "specversion": "1.0",
            "source": "/orders",
            "time": "2026-01-31T09:00:00.123456Z",
            "tenant": "t1",
            "datacontenttype": "application/json",
        }


@pytest.mark.parametrize("unmatched", ["settle", "bury"])
async def test_a_filter_takes_what_it_names_out_of_every_shape(unmatched: str, tmp_path: Path) -> None:
    rule = {"include": ["user.*", "cart.*", "legacy.event"], "exclude": ["*.woken"], "unmatched": unmatched}
    async with running(INNGEST, tmp_path, filter=rule) as process:
        process.publish(every_shape(FAR))
        wanted = {"user.created", "user.reminded", "cart.opened", "cart.left", "legacy.event"}
        await until(lambda: len(process.server.book.events) == len(wanted))
        await until(process.idle)

        assert {record.name for record in process.server.book.events.values()} == wanted
        left_out = len(expected_of(every_shape(FAR))) - len(wanted)
        buried = [burial.reason for burial in process.dead_letters.buried]
        assert len(buried) == (left_out if unmatched == "bury" else 0)
        assert all("filter" in reason for reason in buried)


async def test_a_name_against_the_convention_is_buried_and_takes_no_neighbour_along(tmp_path: Path) -> None:
    body = b'[{"id":"1","name":"UserCreated","data":{}},{"id":"2","name":"user.created","data":{}}]'
    async with running(INNGEST, tmp_path, naming="reject") as process:
        process.source.publish(body)
        await until(lambda: len(process.server.book.events) == 1)
        await until(process.idle)

        assert process.record("user.created").id == "2"
        (burial,) = process.dead_letters.buried
        assert (burial.kind, burial.reason) == ("poison", "name must be in lower case")


async def test_a_body_is_taken_up_to_the_limit_and_buried_whole_beyond_it(tmp_path: Path) -> None:
    fits, headers = b'{"id":"1","name":"user.created","data":{"a":"xx"}}', {"x-trace": "t"}
    too_long = fits.replace(b"xx", b"xxx").replace(b'"1"', b'"2"')
    async with running(INNGEST, tmp_path, limits={"max_event_bytes": len(fits)}) as process:
        process.source.publish(too_long, headers)
        process.source.publish(fits, headers)
        await until(lambda: len(process.server.book.events) == 1)
        await until(process.idle)

        assert process.record("user.created").id == "1"
        (burial,) = process.dead_letters.buried
        assert (burial.body, burial.delivery.headers) == (too_long, headers)
        assert burial.reason == f"body has {len(too_long)} bytes, more than max_event_bytes ({len(fits)})"
