"""A parent whose workers cannot even be started, in this process."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.settings.process import AdminSettings
from bridge.workers import supervisor
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import Worker

QUIET = AdminSettings(enabled=False)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def until_logged(caplog: pytest.LogCaptureFixture, event: str, times: int = 1) -> None:
    async with asyncio.timeout(60):
        while [record.message for record in caplog.records].count(event) < times:  # noqa: ASYNC110  a log has no event
            await asyncio.sleep(0.01)


async def test_a_program_that_is_not_there_is_tried_again_and_leaves_nothing_open(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_WAIT", 0.01)
    caplog.set_level(logging.INFO)
    parent, stop, before = Supervisor(["/nowhere/bridge"], 2, QUIET, 1.0), asyncio.Event(), open_files()
    running = asyncio.create_task(parent.run(stop))
    await until_logged(caplog, "worker_ended", times=4)
    assert parent.unready()[0].startswith("worker 1: not started, starts again in")
    stop.set()
    assert await asyncio.wait_for(running, 60) == 0
    assert open_files() <= before
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


async def test_a_process_that_ended_leaves_nothing_open() -> None:
    before = open_files()
    loop = asyncio.get_running_loop()
    worker = Worker(1, [sys.executable, "-c", "import sys; sys.exit(5)"], lambda _: None)
    loop.add_signal_handler(signal.SIGCHLD, worker.look)
    try:
        for _ in range(2):
            await worker.start()
            worker.look()
            assert await asyncio.wait_for(worker.ended(), 60) == 5
            assert not worker.running
            worker.tell(b"d")
            worker.kill()
        await worker.close()
    finally:
        loop.remove_signal_handler(signal.SIGCHLD)
    await asyncio.sleep(0)
    assert open_files() <= before


async def test_an_admin_port_that_is_taken_starts_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        admin = AdminSettings(port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match=r"admin\.port"):
            await Supervisor(["/nowhere/bridge"], 1, admin, 1.0).run(asyncio.Event())
    assert "worker_not_started" not in caplog.text


def test_an_end_is_said_in_words() -> None:
    said = [supervisor._ending(code) for code in (None, 0, 3, -9, -64, -63)]
    assert said == ["not started", "ended with 0", "ended with 3", "ended by SIGKILL", *said[4:]]
    assert "SIGRTMAX" in said[4]
    assert said[5] == "ended by signal 63"
