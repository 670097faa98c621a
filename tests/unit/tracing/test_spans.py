from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes, url_attributes

from bridge.formats.trace import trace_of
from bridge.model import Accepted, Rejected, Retryable
from bridge.targets import HttpTarget
from bridge.tracing.context import Context, Sampler, context_of
from bridge.tracing.spans import MOST_LINKS, Record, RequestTracer
from tests.fakes.hostile import Behaviour, HostileServer, Received, in_turn, plain, silence
from tests.unit.apis.samples import event
from tests.unit.targets.rig import send, send_one, target_at
from tests.unit.tracing.samples import PARENT, SPAN_ID, TRACE_ID, context, trace

TRACE = {"traceparent": PARENT, "tracestate": "a=1"}
PARTLY = orjson.dumps({"ids": ["1"], "error": "bad"})
CLIENTS = pytest.mark.parametrize("client", ["native", "aiohttp"])


@asynccontextmanager
async def traced(
    url: str,
    type: str = "webhook",  # noqa: A002  as for `target_at`
    *,
    sampler: Sampler | None = None,
    **fields: Any,
) -> AsyncIterator[tuple[HttpTarget, list[Record]]]:
    """A target that is traced, and what is recorded of it."""
    async with target_at(url, type, **fields) as target:
        records: list[Record] = []
        target.trace_with(
            RequestTracer(
                records.append,
                sampler or Sampler(),
                route="orders",
                api=type,
                origin=target.origin,
                propagate=target.propagates,
            )
        )
        yield target, records


def arrived(request: Received) -> Context | None:
    headers = request.headers
    return context_of(trace_of(headers.get("traceparent"), headers.get("tracestate")))


@CLIENTS
async def test_a_request_about_one_event_is_a_child_of_the_publishers_span(client: str) -> None:
    async with (
        HostileServer(plain()) as server,
        traced(server.url, http={"client": client}) as (target, records),
    ):
        assert await send_one(target, id="7", name="a.b", trace=TRACE) == Accepted()
    (record,), (request,) = records, server.requests
    assert record.parent == Context(TRACE_ID, SPAN_ID, 1, "a=1")
    assert record.context.trace_id == TRACE_ID
    assert record.context.span_id != SPAN_ID
    assert arrived(request) == record.context
    assert request.headers["x-bridge-attempt"] == "1"
    assert not record.failed
    assert not record.links
    assert record.began <= record.ended


async def test_a_span_says_what_was_sent_where_and_what_came_of_it() -> None:
    async with HostileServer(plain()) as server, traced(server.url) as (target, records):
        await send_one(target, id="7", name="a.b")
        size, port = len(server.requests[0].body), server.port
    (record,) = records
    assert record.name == f"send 127.0.0.1:{port}"
    assert record.attributes == {
        messaging_attributes.MESSAGING_SYSTEM: "webhook",
        messaging_attributes.MESSAGING_OPERATION_NAME: "send",
        messaging_attributes.MESSAGING_OPERATION_TYPE: "send",
        messaging_attributes.MESSAGING_DESTINATION_NAME: f"127.0.0.1:{port}",
        messaging_attributes.MESSAGING_MESSAGE_ID: "7",
        server_attributes.SERVER_ADDRESS: "127.0.0.1",
        server_attributes.SERVER_PORT: port,
        url_attributes.URL_SCHEME: "http",
        http_attributes.HTTP_REQUEST_METHOD: "POST",
        http_attributes.HTTP_RESPONSE_STATUS_CODE: 200,
        "http.request.body.size": size,
        "bridge.route": "orders",
        "bridge.event": "a.b",
        "bridge.attempt": 1,
        "bridge.outcome": "accepted",
    }


async def test_nothing_of_a_payload_a_key_or_an_answer_is_in_a_span() -> None:
    answer = plain(400, b"the answer repeats: hush")
    async with (
        HostileServer(answer) as server,
        traced(server.url, "inngest", key="secret-key") as (target, records),
    ):
        await send_one(target, data={"password": "hush"})
    assert records[0].failed
    assert not {"hush", "secret-key"} & set(repr(records).replace("/", " ").replace("'", " ").split())
    assert "hush" not in repr(records)
    assert "secret-key" not in repr(records)


@pytest.mark.parametrize(
    ("answer", "outcome", "error"),
    [
        (plain(422), "rejected", "422"),
        (plain(429), "retryable", "429"),
        (plain(401), "misconfigured", "401"),
        (plain(302), "misconfigured", "misconfigured"),
    ],
)
async def test_what_failed_says_how(answer: Behaviour, outcome: str, error: str) -> None:
    async with HostileServer(answer) as server, traced(server.url) as (target, records):
        await send_one(target)
    (record,) = records
    assert record.failed
    assert (record.attributes["bridge.outcome"], record.attributes[error_attributes.ERROR_TYPE]) == (outcome, error)


async def test_an_acceptance_without_proof_is_a_failure() -> None:
    async with HostileServer(plain(200, b"{}")) as server, traced(server.url, "inngest", key="k") as (target, records):
        await send_one(target)
    assert records[0].failed
    assert records[0].attributes[error_attributes.ERROR_TYPE] == "misconfigured"


@CLIENTS
async def test_what_got_no_answer_says_why(client: str) -> None:
    async with (
        HostileServer(silence) as server,
        traced(server.url, http={"client": client, "timeout": "0.3s"}) as (target, records),
    ):
        await send_one(target)
    async with traced("http://127.0.0.1:1", http={"client": client}) as (target, more):
        await send_one(target)
    words = [record.attributes[error_attributes.ERROR_TYPE] for record in (*records, *more)]
    assert words == ["timeout", "not_connected"]
    assert "http.response.status_code" not in records[0].attributes


async def test_a_try_that_is_made_again_at_once_has_a_span_of_its_own_in_the_same_trace() -> None:
    async with HostileServer(in_turn(plain(503), plain())) as server, traced(server.url) as (target, records):
        target.quick_tries = lambda: True
        assert await send_one(target) == Accepted()
    first, second = records
    assert first.failed
    assert not second.failed
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes[http_attributes.HTTP_REQUEST_RESEND_COUNT] == 1
    assert first.context.trace_id == second.context.trace_id
    assert [arrived(request) for request in server.requests] == [first.context, second.context]


async def test_all_attempts_of_an_event_that_nobody_traces_share_a_trace_and_other_events_have_others() -> None:
    async with HostileServer(plain()) as server, traced(server.url) as (target, records):
        for event_id in ("a", "a", "b"):
            await send_one(target, id=event_id)
    ids = [record.context.trace_id for record in records]
    assert ids[0] == ids[1] != ids[2]
    assert [record.parent for record in records] == [None] * 3
    assert len({record.context.span_id for record in records}) == 3


def _inngest(count: int) -> Behaviour:
    return plain(200, orjson.dumps({"ids": [str(number) for number in range(count)], "status": 200}))


async def test_a_batch_is_one_span_that_links_to_what_its_events_come_from() -> None:
    events = [event("a", trace=trace(1)), event("b", trace=trace(2)), event("c", trace=trace(2)), event("d")]
    async with HostileServer(_inngest(4)) as server, traced(server.url, "inngest", key="k") as (target, records):
        await send(target, events)
    (record,), (request,) = records, server.requests
    assert record.parent is None
    assert list(record.links) == [context(1), context(2)]
    assert arrived(request) == record.context
    assert record.attributes[messaging_attributes.MESSAGING_BATCH_MESSAGE_COUNT] == 4
    assert not {messaging_attributes.MESSAGING_MESSAGE_ID, "bridge.event", "bridge.attempt"} & set(record.attributes)


async def test_a_large_batch_has_a_limited_number_of_links() -> None:
    count = MOST_LINKS + 50
    events = [event(str(number), trace=trace(number + 1, sampled=number >= 50)) for number in range(count)]
    async with HostileServer(_inngest(count)) as server, traced(server.url, "inngest", key="k") as (target, records):
        await send(target, events)
    (record,) = records
    assert list(record.links) == [context(number + 1) for number in range(50, count)]
    assert record.attributes["bridge.links_left_out"] == 50


async def test_a_batch_of_which_some_were_refused_is_mixed_and_its_halves_have_spans_too() -> None:
    async with (
        HostileServer(in_turn(plain(400, PARTLY), plain(400, b"{}"))) as server,
        traced(server.url, "inngest", key="k") as (target, records),
    ):
        outcomes = await send(target, [event("a", trace=trace(1)), event("b", trace=trace(2))])
    assert isinstance(outcomes[1], Rejected)
    assert [record.attributes["bridge.outcome"] for record in records] == ["mixed", "rejected"]
    assert records[1].parent == context(2)


async def test_what_the_publisher_does_not_record_is_passed_on_as_it_came() -> None:
    given = {**trace(5, sampled=False), "tracestate": "a=1"}
    async with HostileServer(plain()) as server, traced(server.url) as (target, records):
        await send_one(target, trace=given)
    assert records == []
    assert {name: server.requests[0].headers[name] for name in given} == given


async def test_what_is_not_recorded_tells_those_behind_the_target_so() -> None:
    async with HostileServer(plain()) as server, traced(server.url, sampler=Sampler(0.0)) as (target, records):
        await send_one(target)
    told = arrived(server.requests[0])
    assert records == []
    assert told is not None
    assert not told.sampled


async def test_a_batch_is_recorded_where_one_of_its_publishers_does_it() -> None:
    async def recorded(*traces: Any) -> int:
        events = [event(str(number), trace=given) for number, given in enumerate(traces)]
        async with (
            HostileServer(_inngest(len(events))) as server,
            traced(server.url, "inngest", key="k", sampler=Sampler(0.0)) as (target, records),
        ):
            await send(target, events)
        return len(records)

    assert await recorded(trace(1), {}) == 1
    assert await recorded(trace(1, sampled=False), trace(2, sampled=False)) == 0
    assert await recorded({}, {}) == 0


async def test_where_nothing_is_to_be_told_nothing_is() -> None:
    async with (
        HostileServer(plain()) as server,
        traced(server.url, http={"propagate": False}) as (target, records),
    ):
        await send_one(target, trace=TRACE)
        await send_one(target)
    assert len(records) == 2
    assert not any({"traceparent", "tracestate"} & request.headers.keys() for request in server.requests)


async def test_an_untraced_target_keeps_it_to_itself_too() -> None:
    async with HostileServer(plain()) as server, target_at(server.url, http={"propagate": False}) as target:
        await send_one(target, trace=TRACE)
    assert not {"traceparent", "tracestate"} & server.requests[0].headers.keys()
    assert server.requests[0].headers["x-bridge-attempt"] == "1"


async def test_a_request_that_is_given_up_ends_its_span() -> None:
    async with HostileServer(silence) as server, traced(server.url) as (target, records):
        sending = asyncio.ensure_future(send(target, [event("a")]))
        await asyncio.wait_for(server.arrived.wait(), 20)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    (record,) = records
    assert record.attributes[error_attributes.ERROR_TYPE] == "cancelled"


async def test_a_fault_ends_its_span_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HostileServer(plain()) as server, traced(server.url) as (target, records):
        monkeypatch.setattr(target, "decode", None)
        assert isinstance(await send_one(target), Retryable)
    assert len(records) == 1
