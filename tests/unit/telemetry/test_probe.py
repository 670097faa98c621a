"""The admin port, asked by a real client and tried by impolite ones."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.errors import ConfigError
from bridge.telemetry import probe as module
from bridge.telemetry.probe import Probe

HOST = "127.0.0.1"


class Asked:
    """What the probe is told, changed by the tests."""

    def __init__(self) -> None:
        self.live: list[str] = []
        self.ready: list[str] = []
        self.registry = CollectorRegistry()
        Counter("events", "Events.", registry=self.registry).inc(3)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def probe(asked: Asked) -> AsyncIterator[Probe]:
    opened = Probe(HOST, 0, live=lambda: asked.live, ready=lambda: asked.ready, registry=asked.registry)
    await opened.open()
    yield opened
    await opened.close()


async def get(probe: Probe, path: str, accept: str = "*/*", method: str = "GET") -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{HOST}:{probe.port}{path}", headers={"Accept": accept}) as response,
    ):
        return response.status, response.headers["Content-Type"], await response.text()


@pytest.mark.parametrize(("path", "name"), [("/livez", "live"), ("/readyz", "ready")])
async def test_all_is_well(probe: Probe, path: str, name: str) -> None:
    status, _, body = await get(probe, path)
    assert (status, json.loads(body)) == (200, {name: True, "reasons": []})


async def test_what_is_wrong_is_said(probe: Probe, asked: Asked) -> None:
    asked.ready = ["route orders: no connection to the broker"]
    status, _, body = await get(probe, "/readyz")
    assert (status, json.loads(body)) == (503, {"ready": False, "reasons": asked.ready})
    assert (await get(probe, "/livez"))[0] == 200


async def test_a_probe_that_fails_is_a_reason_itself(asked: Asked) -> None:
    def broken() -> list[str]:
        raise KeyError("canary")

    opened = Probe(HOST, 0, live=broken, ready=list, registry=asked.registry)
    await opened.open()
    status, _, body = await get(opened, "/livez")
    await opened.close()
    assert (status, json.loads(body)["reasons"]) == (503, ["the probe failed: KeyError"])


async def test_metrics_in_both_formats(probe: Probe) -> None:
    status, kind, body = await get(probe, "/metrics")
    assert (status, kind.startswith("text/plain")) == (200, True)
    assert "events_total 3.0" in body
    status, kind, body = await get(probe, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/livez", 200),
        ("POST", "/livez", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/config", 404),
    ],
)
async def test_nothing_else_is_answered(probe: Probe, method: str, path: str, status: int) -> None:
    assert (await get(probe, path, method=method))[0] == status


async def test_one_answer_a_connection(probe: Probe) -> None:
    reader, writer = await asyncio.open_connection(HOST, probe.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    answers = await asyncio.wait_for(reader.read(), 10)
    assert answers.count(b"HTTP/1.1 200") == 1
    writer.close()


async def said(probe: Probe, request: bytes) -> bytes:
    """All that is answered to these bytes."""
    reader, writer = await asyncio.open_connection(HOST, probe.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /livez?verbose=1 HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK"),
        (b"GET /livez HTTP/1.0\r\n\r\n", b"200 OK"),
        (b"GET /livez HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", b"200 OK"),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"405 Method Not Allowed"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"400 Bad Request"),
        (b"GET /livez HTTP/1.1\r\nX: " + b"y" * 40_000, b"431 Request Header Fields Too Large"),
    ],
)
async def test_whatever_is_said_is_answered_once(probe: Probe, request_: bytes, status: bytes) -> None:
    answer = await said(probe, request_)
    assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_request_may_come_byte_by_byte(probe: Probe) -> None:
    reader, writer = await asyncio.open_connection(HOST, probe.port)
    for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n":
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_a_head_has_the_length_and_no_body(probe: Probe) -> None:
    head, _, body = (await said(probe, b"HEAD /livez HTTP/1.1\r\n\r\n")).partition(b"\r\n\r\n")
    assert (b"Content-Length: 0" in head, body) == (False, b"")


async def test_metrics_that_fail_are_an_error_of_the_server(asked: Asked) -> None:
    class Broken(Collector):
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            raise KeyError("canary")

    asked.registry.register(Broken())
    opened = Probe(HOST, 0, live=list, ready=list, registry=asked.registry)
    await opened.open()
    assert (await get(opened, "/metrics"))[0] == 500
    assert (await get(opened, "/livez"))[0] == 200
    await opened.close()


async def test_headers_that_never_end_are_not_waited_for(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEADERS_WITHIN", 0.2)
    opened = Probe(HOST, 0, live=list, ready=list, registry=asked.registry)
    await opened.open()
    reader, writer = await asyncio.open_connection(HOST, opened.port)
    writer.write(b"GET /livez HTTP/1.1\r\nX-Slow: ")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await opened.close()


async def test_a_reader_that_stalls_is_let_go(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIFE", 0.3)
    asked.registry.register(Large())
    opened = Probe(HOST, 0, live=list, ready=list, registry=asked.registry)
    await opened.open()
    reader, writer = await asyncio.open_connection(HOST, opened.port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(until_nobody_is_connected(opened), 10)
    assert len(await asyncio.wait_for(reader.read(), 10)) < 20_000_000
    writer.close()
    await opened.close()


class Large(Collector):
    """Metrics that no socket buffer holds."""

    def collect(self) -> list[Metric]:
        family = GaugeMetricFamily("large", "x", labels=["label"])
        for number in range(20_000):
            family.add_metric([f"{number}" + "x" * 1_000], 1)
        return [family]


async def until_nobody_is_connected(opened: Probe) -> None:
    seen = False
    while True:
        count = len(opened._callers)
        if seen and not count:
            return
        seen = seen or bool(count)
        await asyncio.sleep(0.01)


async def test_a_thousand_idle_connections_are_turned_away_and_the_next_is_served(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HEADERS_WITHIN", 0.5)
    opened = Probe(HOST, 0, live=list, ready=list, registry=asked.registry)
    await opened.open()
    held = [await asyncio.open_connection(HOST, opened.port) for _ in range(200)]
    assert len(opened._callers) <= 64
    for reader, _ in held:
        assert await asyncio.wait_for(reader.read(), 10) == b""
    assert (await get(opened, "/livez"))[0] == 200
    for _, writer in held:
        writer.close()
    await opened.close()


async def test_a_port_in_use_is_a_problem_of_the_settings(probe: Probe, asked: Asked) -> None:
    second = Probe(HOST, probe.port, live=list, ready=list, registry=asked.registry)
    with pytest.raises(ConfigError, match=rf"admin\.port: {probe.port} is in use\. Choose another, or 0"):
        await second.open()
    await second.close()


async def test_an_address_of_another_machine_is_a_problem_of_the_settings(asked: Asked) -> None:
    with pytest.raises(ConfigError, match=r"admin\.host: cannot be listened on"):
        await Probe("192.0.2.1", 0, live=list, ready=list, registry=asked.registry).open()
    with pytest.raises(ConfigError, match=r"admin\.host: cannot be listened on"):
        await Probe("no.such.host.invalid", 0, live=list, ready=list, registry=asked.registry).open()


async def test_closing_twice_is_harmless(probe: Probe) -> None:
    await probe.close()
    await probe.close()
