"""`event-bridge health` against a real admin port, and against none."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from bridge.cli import health
from bridge.cli.main import CONFIG, FAULT, OK, main
from bridge.settings.process import AdminSettings
from bridge.telemetry.probe import Probe
from devtools.scratch import free_port


class Asked:
    def __init__(self) -> None:
        self.live: list[str] = []
        self.ready: list[str] = []


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def port(asked: Asked) -> AsyncIterator[int]:
    probe = Probe("127.0.0.1", 0, live=lambda: asked.live, ready=lambda: asked.ready, registry=CollectorRegistry())
    await probe.open()
    yield probe.port
    await probe.close()


async def test_live_and_ready_are_told_apart(port: int, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_ADMIN__PORT", str(port))
    asked.ready = ["no session"]
    assert await asyncio.to_thread(main, ["health"]) == OK
    assert await asyncio.to_thread(main, ["health", "--ready"]) == FAULT


async def test_it_prints_the_reasons(port: int, asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    asked.live = ["the event loop stands still"]
    assert await asyncio.to_thread(main, ["health", "--url", f"http://127.0.0.1:{port}"]) == FAULT
    assert "the event loop stands still" in capsys.readouterr().err


def test_nobody_there_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert main(["health", "--url", address]) == FAULT
    assert f"no answer from {address}/livez" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:9464", "http://", "http://host:port", "https://127.0.0.1:9464"])
def test_what_is_no_address_is_named(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--url", url]) == CONFIG
    assert "--url" in capsys.readouterr().err


def test_the_port_is_that_of_the_settings() -> None:
    assert int(health.PORT) == AdminSettings().port
