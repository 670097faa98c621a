from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge.model import Accepted, Misconfigured, Outcome, Rejected, Retryable, Unsent
from bridge.targets import exchanges
from tests.fakes.hostile import HostileServer, Received, Writer, in_turn, plain, reset
from tests.unit.apis.samples import NOW, event
from tests.unit.targets.rig import send, send_one, target_at

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}


async def test_one_event_carries_attempt_trace_and_who_we_are() -> None:
    async with HostileServer(plain()) as server, target_at(server.url) as target:
        assert await send_one(target, trace=TRACE) == Accepted()
    (request,) = server.requests
    assert request.method == "POST"
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["x-bridge-attempt"] == "1"
    assert request.headers["user-agent"].startswith("event-bridge/")
    assert request.headers["accept-encoding"] == "identity"
    assert {name: request.headers[name] for name in TRACE} == TRACE


async def test_a_batch_carries_no_ones_attempt_and_trace() -> None:
    body = orjson.dumps({"ids": ["1", "2"], "status": 200})
    async with HostileServer(plain(200, body)) as server, target_at(server.url, "inngest", key="k") as target:
        assert await send(target, [event("a", trace=TRACE), event("b")]) == [Accepted("1"), Accepted("2")]
    assert not {"x-bridge-attempt", "traceparent"} & server.requests[0].headers.keys()


async def test_each_event_of_single_requests_has_its_own_attempt() -> None:
    async with HostileServer(plain()) as server, target_at(server.url) as target:
        await send(target, [event("a"), event("b")])
    attempts = {orjson.loads(request.body)["id"]: request.headers["x-bridge-attempt"] for request in server.requests}
    assert attempts == {"a": "1", "b": "2"}


async def test_an_address_arrives_as_it_was_encoded() -> None:
    async with (
        HostileServer(plain()) as server,
        target_at(f"{server.url}/a%2Fb%7E/{{{{name}}}}?q={{{{id}}}}") as target,
    ):
        assert await send_one(target, id="1+1=2&", name="ü/..x") == Accepted()
    assert server.requests[0].target == "/a%2Fb%7E/%C3%BC%2F..x?q=1%2B1%3D2%26"


async def test_connections_are_kept_and_bounded() -> None:
    async with (
        HostileServer(plain()) as server,
        target_at(server.url, http={"concurrency": 3}) as target,
    ):
        for _ in range(3):
            await send(target, [event(str(n)) for n in range(20)])
    assert len(server.requests) == 60
    assert server.connections <= 3


async def test_requests_under_way_are_bounded() -> None:
    under_way = most = 0

    async def count(_: Received, writer: Writer) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        await plain()(_, writer)

    async with HostileServer(count) as server, target_at(server.url, http={"concurrency": 5}) as target:
        await send(target, [event(str(n)) for n in range(40)])
    assert most == 5


async def test_a_request_without_a_body_claims_no_content_type() -> None:
    async with HostileServer(plain()) as server, target_at(server.url, "cloudevents") as target:
        assert await send_one(target, data=None) == Accepted()
    (request,) = server.requests
    assert request.body == b""
    assert request.headers["content-length"] == "0"
    assert "content-type" not in request.headers


async def test_cookies_are_neither_kept_nor_sent() -> None:
    async with (
        HostileServer(plain(200, b"", "set-cookie: session=1")) as server,
        target_at(f"http://localhost:{server.port}") as target,  # cookies of bare addresses are never kept
    ):
        assert await send_one(target) == Accepted()
        assert await send_one(target) == Accepted()
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HostileServer(plain()) as server, HostileServer(plain()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with target_at(server.url) as target:
            assert await send_one(target) == Accepted()
    assert (len(server.requests), len(proxy.requests)) == (1, 0)


async def test_refused_events_are_never_sent() -> None:
    async with HostileServer(plain()) as server, target_at(server.url, body=["{{data.a}}"]) as target:
        outcomes = await send(target, [event("a", data={}), event("b", data={"a": 1})])
    assert outcomes == [Rejected("{{data.a}} is missing in the event"), Accepted()]
    assert len(server.requests) == 1


async def test_an_event_over_the_limit_of_the_api_is_rejected_unsent() -> None:
    fields: dict[str, Any] = {"key": "k", "event_bytes": "1KiB"}
    async with HostileServer(plain()) as server, target_at(server.url, "inngest", **fields) as target:
        outcome = await send_one(target, data={"x": "y" * 2000})
    assert outcome == Rejected("the event takes 2051 bytes, over the 1026 that the API takes")
    assert server.requests == []


async def test_a_batch_over_the_limit_is_sent_in_smaller_ones() -> None:
    async def take(request: Received, writer: Writer) -> None:
        ids = [item["id"] for item in orjson.loads(request.body)]
        await plain(200, orjson.dumps({"ids": ids, "status": 200}))(request, writer)

    fields: dict[str, Any] = {"key": "k", "batch_bytes": "2KiB"}
    async with HostileServer(take) as server, target_at(server.url, "inngest", **fields) as target:
        outcomes = await send(target, [event(str(n), data={"x": "y" * 300}) for n in range(20)])
    assert outcomes == [Accepted(str(n)) for n in range(20)]
    assert all(len(request.body) <= 2048 for request in server.requests)


async def test_the_echo_of_a_large_payload_does_not_hide_the_id() -> None:
    async def v2(request: Received, writer: Writer) -> None:
        sent = orjson.loads(request.body)["event"]
        await plain(200, orjson.dumps({"payload": sent["payload"], "id": sent["id"]}))(request, writer)

    async with (
        HostileServer(v2) as server,
        target_at(server.url, "trigger", version="v2", key="k") as target,
    ):
        assert await send_one(target, data={"x": "ü" * 500_000}) == Accepted("e1")


async def test_five_thousand_ids_are_read_to_the_last() -> None:
    ids = [f"{n:026}" for n in range(5000)]
    body = orjson.dumps({"ids": ids, "status": 200})
    async with HostileServer(plain(200, body)) as server, target_at(server.url, "inngest", key="k") as target:
        outcomes = await send(target, [event(str(n)) for n in range(5000)])
    assert outcomes == [Accepted(ref) for ref in ids]
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_what_passes_quickly_is_tried_again_at_once(status: int) -> None:
    async with HostileServer(in_turn(plain(status), reset, plain())) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        assert await send_one(target) == Accepted()
    assert len(server.requests) == 3
    assert len({(request.target, request.body) for request in server.requests}) == 1


async def test_two_quick_tries_are_the_most() -> None:
    async with HostileServer(plain(502)) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        assert await send_one(target) == Retryable("HTTP 502: ok")
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 408, 429, 500])
async def test_other_answers_are_not_tried_again(status: int) -> None:
    async with HostileServer(plain(status)) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        await send_one(target)
    assert len(server.requests) == 1


async def test_a_503_that_says_when_is_obeyed() -> None:
    async with HostileServer(plain(503, b"", "Retry-After: 1")) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        assert await send_one(target) == Retryable("HTTP 503", 1.0, pause=True)
    assert len(server.requests) == 1


async def test_no_quick_tries_while_the_breaker_says_no() -> None:
    async with HostileServer(plain(502)) as server, target_at(server.url) as target:
        assert await send_one(target) == Retryable("HTTP 502: ok")
    assert len(server.requests) == 1


async def test_late_tries_are_left_to_the_delay_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "QUICK_WINDOW", 0.0)
    async with HostileServer(plain(502)) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        await send_one(target)
    assert len(server.requests) == 1


async def test_after_a_429_nothing_that_waits_for_its_turn_is_sent() -> None:
    open_ = True
    heard: list[Outcome] = []

    def hear(outcome: Outcome) -> None:
        nonlocal open_
        open_ = False
        heard.append(outcome)

    limited = plain(429, b"", "Retry-After: 30")
    async with HostileServer(limited) as server, target_at(server.url, http={"concurrency": 2}) as target:
        target.may_send, target.heard = (lambda: open_), hear
        outcomes = await send(target, [event(str(n)) for n in range(50)])
    assert 1 <= len(server.requests) <= 2
    assert outcomes.count(Unsent()) == 50 - len(server.requests)
    assert set(heard) == {Retryable("HTTP 429", 30.0, pause=True)}


async def test_a_door_that_closes_meanwhile_stops_the_quick_tries() -> None:
    answers = iter([True, False])
    async with HostileServer(plain(502)) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        target.may_send = lambda: next(answers)
        assert await send_one(target) == Retryable("HTTP 502: ok")
    assert len(server.requests) == 1


async def test_every_request_is_observed() -> None:
    seen: list[str] = []
    answers = in_turn(plain(204, b""), reset, plain(422), plain(401), plain(502), plain(503), plain(204, b""))
    async with HostileServer(answers) as server, target_at(server.url) as target:
        target.observe = lambda outcome, seconds, _: seen.append(outcome) if seconds >= 0 else None
        for _ in range(4):
            await send_one(target)
        target.quick_tries = lambda: True
        await send_one(target)
    assert seen == ["accepted", "retryable", "rejected", "misconfigured", "retryable", "retryable", "accepted"]


async def test_a_request_for_several_events_is_observed_once_as_the_worst_that_it_came_to() -> None:
    seen: list[str] = []
    async with HostileServer(plain(400)) as server, target_at(server.url, "inngest", key="k") as target:
        target.observe = lambda outcome, *_: seen.append(outcome)
        await send(target, [event("a"), event("b")])
    assert seen == ["rejected"] * 3, "refused as a whole, then each alone"


async def test_a_rotated_key_is_used_from_the_next_request_on(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first-key")
    fields: dict[str, Any] = {"version": "v1", "key_file": str(file)}
    refused_then_taken = in_turn(plain(401, b'{"error":"Invalid"}'), plain(200, b'{"status":200}'))
    async with HostileServer(refused_then_taken) as server, target_at(server.url, "trigger", **fields) as target:
        assert isinstance(await send_one(target), Misconfigured)
        file.write_text("second-key")
        target.refresh()
        assert await send_one(target) == Accepted()
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer first-key",
        "Bearer second-key",
    ]


async def test_delays_are_left_to_the_api_within_its_cap() -> None:
    async with target_at("http://127.0.0.1:1", "inngest", key="k", native_delay="1h") as target:
        assert target.native_delay(event(due_at=NOW + 3_600_000), NOW)
        assert not target.native_delay(event(due_at=NOW + 3_600_001), NOW)
        assert not target.native_delay(event(due_at=NOW), NOW)
        assert not target.native_delay(event(), NOW)
        assert target.dedups_by_id


@pytest.mark.parametrize(
    ("url", "type_", "warned"),
    [
        ("http://api.test", "inngest", True),
        ("https://api.test", "inngest", False),
        ("http://localhost:8288", "inngest", False),
        ("http://127.0.0.1:8288", "inngest", False),
        ("http://[::1]:8288", "inngest", False),
        ("http://api.test", "zopio", False),
    ],
)
async def test_secrets_in_the_clear_are_warned_of(
    url: str, type_: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with target_at(url, type_, **({"key": "k"} if type_ == "inngest" else {})):
        assert [record.message for record in caplog.records] == (["secrets_in_the_clear"] if warned else [])


async def test_a_dialect_that_stumbles_over_an_answer_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with HostileServer(plain()) as server, target_at(server.url) as target:
        monkeypatch.setattr(target._api, "decode", lambda *_: 1 / 0)
        with caplog.at_level(logging.ERROR):
            assert await send_one(target) == Retryable("HTTP 200: an answer the bridge cannot read")
    assert [record.message for record in caplog.records] == ["answer_not_understood"]


async def test_an_event_that_cannot_be_written_does_not_take_its_batch_along() -> None:
    async def take(request: Received, writer: Writer) -> None:
        ids = [item["id"] for item in orjson.loads(request.body)]
        await plain(200, orjson.dumps({"ids": ids, "status": 200}))(request, writer)

    async with HostileServer(take) as server, target_at(server.url, "inngest", key="k") as target:
        odd = event("odd", data={"x": object()})
        outcomes = await send(target, [event("a"), odd, event("b")])
    assert [outcomes[0], outcomes[2]] == [Accepted("a"), Accepted("b")]
    assert outcomes[1] == Retryable("a fault in the bridge: TypeError")
