"""The event loop that the settings ask for."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable

import pytest
import uvloop

from bridge.cli.loops import factory_of
from bridge.errors import ConfigError
from bridge.settings.process import EventLoop


async def running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.mark.parametrize(("choice", "is_uvloop"), [("uvloop", True), ("auto", True), ("asyncio", False)])
def test_each_choice_runs_on_its_loop(choice: EventLoop, is_uvloop: bool) -> None:
    with asyncio.Runner(loop_factory=factory_of(choice)) as runner:
        assert isinstance(runner.run(running()), uvloop.Loop) is is_uvloop


@pytest.fixture
def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Callable[[str], object] = importlib.util.find_spec
    monkeypatch.setattr("bridge.cli.loops.find_spec", lambda name: None if name == "uvloop" else found(name))


@pytest.mark.usefixtures("without_uvloop")
def test_where_uvloop_is_not_installed_only_who_insists_on_it_is_refused() -> None:
    assert factory_of("auto") is None
    assert factory_of("asyncio") is None
    with pytest.raises(ConfigError, match=r"event_loop: uvloop is not installed\. Install it, or write"):
        factory_of("uvloop")
