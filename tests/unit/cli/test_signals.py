"""Signals, sent to real processes."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

EARLY = """
import asyncio, sys, time
from bridge.cli.loops import factory_of
from bridge.cli.signals import Asked
asked = Asked()
print("importing", flush=True)
time.sleep(1)  # a signal interrupts nothing here, and is not lost
async def work(stop):
    await asyncio.wait_for(stop.wait(), 10)
    print("drained", flush=True)
asked.run(work, factory_of("LOOP"))
"""

STUBBORN = """
import asyncio, sys
from bridge.cli.loops import factory_of
from bridge.cli.signals import Asked
async def work(stop):
    print("working", flush=True)
    await stop.wait()
    print("draining", flush=True)
    await asyncio.sleep(60)
asked = Asked()
try:
    asked.run(work, factory_of("LOOP"))
except asyncio.CancelledError:
    sys.exit(1)
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(code: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_loop_runs_is_not_lost(start: Start, number: signal.Signals, loop: str) -> None:
    process = start(EARLY.replace("LOOP", loop))
    assert line(process) == "importing"
    process.send_signal(number)
    assert line(process) == "drained"
    assert process.wait(20) == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_cancels(start: Start, number: signal.Signals, loop: str) -> None:
    process = start(STUBBORN.replace("LOOP", loop))
    assert line(process) == "working"
    process.send_signal(number)
    assert line(process) == "draining"
    process.send_signal(number)
    assert process.wait(20) == 1
