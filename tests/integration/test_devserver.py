"""The devserver over real sockets: what only the wire can show, its own API, and its faults."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bridge.devserver import DevServer, DevServerSettings, parse_fault, serve
from bridge.errors import ConfigError

EVENT = {"name": "user.created", "id": "u-1", "data": {"plan": "pro"}}


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(DevServerSettings(port=0, seed=1)) as running:
        yield running


@pytest.fixture
async def client(server: DevServer) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(server.url, timeout=timeout) as session:
        yield session


async def send(client: aiohttp.ClientSession, body: Any = EVENT, path: str = "/e/k", **more: Any) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(path, data=data, allow_redirects=False, **more) as answer:
        return answer.status, await answer.text()


async def look(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        return await answer.json()


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  what the server does has no event to wait for
            await asyncio.sleep(0.005)


# The wire


async def test_a_compressed_body_is_not_unpacked(client: aiohttp.ClientSession) -> None:
    packed = gzip.compress(json.dumps(EVENT).encode())
    status, text = await send(client, packed, headers={"Content-Encoding": "gzip"})
    assert status == 400
    assert "Request body must contain an event object" in text


async def test_chunked_and_expect_100_pass(client: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"name":'
        yield b'"a"}'

    async with client.post("/e/k", data=chunks()) as answer:
        assert answer.status == 200
    async with client.post("/e/k", json=EVENT, expect100=True) as answer:
        assert answer.status == 200


async def test_a_task_without_content_length_is_413(client: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{}"

    async with client.post("/api/v1/tasks/t/trigger", data=chunks(), headers={"Authorization": "Bearer k"}) as answer:
        assert answer.status == 413


async def test_unknown_paths_are_200_and_empty_but_not_under_api(
    client: aiohttp.ClientSession, server: DevServer
) -> None:
    assert await send(client, path="/wrong") == (200, "")
    assert (await send(client, path="/api/v1/wrong"))[0] == 404
    assert not server.book.events


async def test_a_slash_at_the_end_is_a_redirect_that_leads_nowhere(client: aiohttp.ClientSession) -> None:
    async with client.post("/e/", json=EVENT, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/e")


async def test_a_body_over_the_limit_is_413_and_logged() -> None:
    async with (
        DevServer(DevServerSettings(port=0, max_body=1000)) as server,
        aiohttp.ClientSession(server.url) as client,
    ):
        assert (await send(client, b"x" * 1001))[0] == 413
        assert server.book.requests[-1].status == 413


async def test_keys_restrict_every_api_that_has_keys() -> None:
    settings = DevServerSettings.model_validate({"port": 0, "keys": ["right"]})
    async with DevServer(settings) as server, aiohttp.ClientSession(server.url) as client:
        statuses = [(await send(client, path=f"/e/{key}"))[0] for key in ("right", "wrong")]
        for key in ("right", "wrong"):
            event = {"event": {"name": "a"}}
            headers = {"Authorization": f"Bearer {key}"}
            statuses.append((await send(client, event, "/api/v1/events", headers=headers))[0])
    assert statuses == [200, 401, 200, 401]


async def test_a_port_in_use_is_a_config_error_with_a_cure(server: DevServer) -> None:
    with pytest.raises(ConfigError, match=r"devserver\.port.*Choose another port"):
        await DevServer(DevServerSettings(port=server.port)).start()


async def test_serve_runs_until_it_is_told_to_stop() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(serve(DevServerSettings(port=0), stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 10)


# What it remembers


async def test_requests_are_logged_without_secrets(client: aiohttp.ClientSession, server: DevServer) -> None:
    headers = {"Authorization": "Bearer secret-token", "x-bridge-attempt": "3"}
    before = time.time() * 1000
    await send(client, path="/e/secret-key", headers=headers)
    entry = server.book.requests[-1]
    assert (entry.api, entry.status, entry.attempt, entry.ids) == ("inngest", 200, "3", ["u-1"])
    assert before - 50 <= entry.at <= time.time() * 1000
    assert entry.monotonic == pytest.approx(time.monotonic(), abs=10)
    shown = json.dumps(await look(client, "/_/requests"))
    assert "secret-token" not in shown
    assert "secret-key" not in shown


async def test_a_scheduled_event_is_delivered_at_its_time(client: aiohttp.ClientSession, server: DevServer) -> None:
    due = int(time.time() * 1000) + 300
    await send(client, {"name": "a", "id": "later", "ts": due})
    (event,) = server.book.events.values()
    assert event.state == "scheduled"
    assert (await look(client, "/_/stats"))["scheduled"] == 1
    await until(lambda: event.state == "delivered")
    assert server.now() >= due
    assert event.delivered_at == due


async def test_a_nearer_event_is_not_held_up_by_a_later_one(client: aiohttp.ClientSession, server: DevServer) -> None:
    now = int(time.time() * 1000)
    await send(client, [{"name": "a", "id": "far", "ts": now + 60_000}, {"name": "a", "id": "near", "ts": now + 200}])
    far, near = server.book.events.values()
    await until(lambda: near.state == "delivered")
    assert far.state == "scheduled"


async def test_events_can_be_asked_for(client: aiohttp.ClientSession) -> None:
    await send(client, [EVENT, {"name": "order.paid", "id": "o-1", "data": {"note": "Needle"}}])
    await send(client, EVENT)
    await send(client, {"event": "zopio.event"}, "/trigger")
    for query, names in (
        ("", ["zopio.event", "user.created", "order.paid"]),
        ("api=inngest", ["user.created", "order.paid"]),
        ("name=order.*", ["order.paid"]),
        ("id=u-1", ["user.created"]),
        ("q=needle", ["order.paid"]),
        ("state=duplicates", ["user.created"]),
        ("state=scheduled", []),
        ("limit=1", ["zopio.event"]),
    ):
        found = await look(client, f"/_/events?{query}")
        assert [event["name"] for event in found["events"]] == names, query
    assert (await look(client, "/_/events?limit=1"))["matched"] == 3
    async with client.get("/_/events?limit=x") as answer:
        assert answer.status == 400


async def test_an_event_is_shown_with_the_requests_that_carried_it(
    client: aiohttp.ClientSession, server: DevServer
) -> None:
    server.add_fault(parse_fault("status=503,times=1"))
    for _ in range(2):
        await send(client)
    (key,) = server.book.events
    async with client.get("/_/event", params={"key": key}) as answer:
        found = await answer.json()
    assert found["event"]["payload"] == {"plan": "pro"}
    assert [(entry["status"], entry["fault"]) for entry in found["requests"]] == [(200, None), (503, "f1")]
    async with client.get("/_/event?key=none") as answer:
        assert answer.status == 404


async def test_a_very_long_id_finds_its_requests(client: aiohttp.ClientSession, server: DevServer) -> None:
    await send(client, {"name": "a", "id": "x" * 5000})
    (key,) = server.book.events
    async with client.get("/_/event", params={"key": key}) as answer:
        assert len((await answer.json())["requests"]) == 1


async def test_requests_can_be_asked_for(client: aiohttp.ClientSession) -> None:
    await send(client)
    await send(client, {"data": {}})
    await send(client, {"event": "a"}, "/trigger")
    for query, statuses in (
        ("failed=1", [400]),
        ("status=400", [400]),
        ("api=zopio", [200]),
        ("id=u-1", [200]),
        ("path=/e/*", [400, 200]),
        ("limit=2", [200, 400]),
    ):
        found = await look(client, f"/_/requests?{query}")
        assert [entry["status"] for entry in found["requests"]] == statuses, query


async def test_figures_add_up(client: aiohttp.ClientSession) -> None:
    for _ in range(2):
        await send(client)
    await send(client, b"nonsense")
    figures = await look(client, "/_/stats")
    assert figures["total"] == figures["apis"]["inngest"]
    assert figures["total"] | {"conflicts": 0, "faulted": 0} == {
        "requests": 3,
        "succeeded": 2,
        "failed": 1,
        "faulted": 0,
        "events": 1,
        "deliveries": 2,
        "duplicates": 1,
        "conflicts": 0,
    }
    assert sum(ok + bad for _, ok, bad in figures["rate"]) == 3


async def test_a_reset_forgets_events_and_keeps_faults(client: aiohttp.ClientSession, server: DevServer) -> None:
    await send(client)
    server.add_fault(parse_fault("status=503"))
    assert (await send(client, b"", "/_/reset"))[0] == 204
    assert (await look(client, "/_/events"))["matched"] == 0
    assert len((await look(client, "/_/faults"))["faults"]) == 1


async def test_other_sites_may_not_change_anything(client: aiohttp.ClientSession, server: DevServer) -> None:
    await send(client)
    evil = {"Origin": "http://evil.example"}
    assert (await send(client, b"", "/_/reset", headers=evil))[0] == 403
    assert (await send(client, {"status": 503}, "/_/faults", headers=evil))[0] == 403
    assert (len(server.book.events), len(server.faults)) == (1, 0)
    assert (await send(client, b"", "/_/reset", headers={"Origin": server.url}))[0] == 204


async def read_stream(answer: aiohttp.ClientResponse) -> Any:
    line = await asyncio.wait_for(answer.content.readline(), 10)
    await answer.content.readline()
    return json.loads(line.removeprefix(b"data: "))


async def test_the_stream_begins_with_what_is_there_and_goes_on(client: aiohttp.ClientSession) -> None:
    await send(client)
    async with client.get("/_/stream?q=user") as stream:
        first = await read_stream(stream)
        assert first["fresh"]
        assert [event["id"] for event in first["events"]] == ["u-1"]
        await send(client, [EVENT | {"id": "u-2"}, {"name": "other", "id": "o"}])
        second = await read_stream(stream)
        assert not second["fresh"]
        assert [event["id"] for event in second["events"]] == ["u-2"]
        assert len(second["gone"]) == 1
        assert second["requests"][0]["events"] == 2
        await send(client, b"", "/_/reset")
        assert (await read_stream(stream))["fresh"]


async def test_a_watcher_that_leaves_is_forgotten(client: aiohttp.ClientSession, server: DevServer) -> None:
    async with client.get("/_/stream") as stream:
        await read_stream(stream)
        assert len(server.watchers) == 1
    await send(client)
    await until(lambda: not server.watchers)


# Faults


async def test_a_fault_can_be_added_listed_and_removed(client: aiohttp.ClientSession) -> None:
    async with client.post("/_/faults", json={"status": 503, "match": {"name": "user.*"}, "times": 1}) as answer:
        assert answer.status == 201
        added = await answer.json()
    assert [(await send(client))[0] for _ in range(2)] == [503, 200]
    (listed,) = (await look(client, "/_/faults"))["faults"]
    assert (listed["id"], listed["state"], listed["hits"]) == (added["id"], "spent", 1)
    assert listed["fault"] == {"status": 503, "match": {"name": "user.*"}, "times": 1}
    async with client.delete(f"/_/faults/{added['id']}") as answer:
        assert answer.status == 204
    async with client.delete(f"/_/faults/{added['id']}") as answer:
        assert answer.status == 404


async def test_all_faults_can_be_removed(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault("status=503"))
    async with client.delete("/_/faults") as answer:
        assert answer.status == 204
    assert (await send(client))[0] == 200


@pytest.mark.parametrize("fault", [{}, {"status": 99}, {"surprise": 1}, {"status": "x"}, []])
async def test_a_fault_that_cannot_work_is_explained(client: aiohttp.ClientSession, fault: Any) -> None:
    status, text = await send(client, fault, "/_/faults")
    assert status == 400
    assert json.loads(text)["error"]


async def test_a_failed_request_stores_nothing_unless_told_to(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault("status=500,times=1"))
    assert (await send(client))[0] == 500
    assert not server.book.events
    server.add_fault(parse_fault("status=500,stored=true,times=1"))
    assert (await send(client))[0] == 500
    assert len(server.book.events) == 1
    assert server.book.requests[-1].stored


async def test_status_body_and_headers_are_sent_as_given(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault('{"status":429,"body":"slow down","headers":{"x-why":"test"},"retry_after":1.2}'))
    async with client.post("/e/k", json=EVENT) as answer:
        assert (answer.status, await answer.text()) == (429, "slow down")
        assert (answer.headers["x-why"], answer.headers["Retry-After"]) == ("test", "2")


async def test_retry_after_as_a_date_and_the_limits_of_trigger(
    client: aiohttp.ClientSession, server: DevServer
) -> None:
    server.add_fault(parse_fault("status=429,retry_after=5,retry_after_date,ratelimit_reset=2"))
    headers = {"Authorization": "Bearer k"}
    async with client.post("/api/v1/events", json={"event": {"name": "a"}}, headers=headers) as answer:
        assert answer.headers["Retry-After"].endswith("GMT")
        assert answer.content_type == "application/problem+json"
        reset = int(answer.headers["x-ratelimit-reset"])
        assert reset == (await answer.json(content_type=None))["reset"]
        assert 0 < reset - time.time() * 1000 < 2001


@pytest.mark.parametrize("stored", [True, False])
async def test_a_reset_connection_leaves_the_client_in_doubt(
    client: aiohttp.ClientSession, server: DevServer, *, stored: bool
) -> None:
    server.add_fault(parse_fault(f"reset,stored={str(stored).lower()}"))
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await send(client)
    assert caught.value.errno == errno.ECONNRESET
    await until(lambda: len(server.book.requests) == 1)
    entry = server.book.requests[-1]
    assert (entry.status, entry.stored, entry.error) == (0, stored, "reset on purpose")
    assert len(server.book.events) == stored


async def test_a_hang_ends_when_the_client_leaves(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault("hang,stored=true"))
    with pytest.raises(TimeoutError):
        await send(client, timeout=aiohttp.ClientTimeout(total=0.2))
    await until(lambda: server.in_flight == 0)
    assert server.book.requests[-1].error == "hung on purpose"
    assert len(server.book.events) == 1


async def test_a_hang_does_not_keep_the_server_from_stopping() -> None:
    async with aiohttp.ClientSession() as client:
        server = DevServer()
        await server.start()
        server.add_fault(parse_fault("hang"))
        hung = asyncio.create_task(client.post(f"{server.url}/e/k", json=EVENT))
        await until(lambda: server.in_flight == 1)
        await asyncio.wait_for(server.stop(), 5)
        with pytest.raises(aiohttp.ClientError):
            await hung


async def test_latency_takes_the_event_in_before_it_waits(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault("latency_ms=300,jitter_ms=50"))
    sending = asyncio.create_task(send(client))
    await until(lambda: server.book.events)
    assert not sending.done()
    assert (await sending)[0] == 200
    assert server.book.requests[-1].duration_ms >= 300


async def test_a_slow_drip_arrives_whole(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault("drip_ms=2"))
    status, text = await send(client)
    assert (status, len(json.loads(text)["ids"])) == (200, 1)
    await until(lambda: server.book.requests)
    assert server.book.requests[-1].duration_ms >= 2 * len(text)


async def test_a_cut_answer_breaks_off(client: aiohttp.ClientSession, server: DevServer) -> None:
    server.add_fault(parse_fault("cut=5"))
    with pytest.raises(aiohttp.ClientError):
        await send(client)
    await until(lambda: server.book.requests)
    assert server.book.requests[-1].error == "cut on purpose"
    assert len(server.book.events) == 1


async def test_a_fault_from_the_settings_is_at_work_from_the_start() -> None:
    settings = DevServerSettings(port=0, faults=(parse_fault("status=503,times=1"),))
    async with DevServer(settings) as server, aiohttp.ClientSession(server.url) as client:
        assert [(await send(client))[0] for _ in range(2)] == [503, 200]


# The page's files


async def test_the_page_may_run_nothing_but_its_own_files(client: aiohttp.ClientSession) -> None:
    for path, media in (
        ("/", "text/html"),
        ("/_/page/main.js", "text/javascript"),
        ("/_/page/icon.svg", "image/svg+xml"),
    ):
        async with client.get(path) as answer:
            assert (answer.status, answer.content_type) == (200, media)
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'")
            assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/_/page/nope.js", "/_/page/..%2Fapp.py", "/_/page/__init__.py", "/_/nothing"])
async def test_nothing_else_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404
