"""The writer thread: nothing waits for the reader, and what is dropped is counted."""

import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bridge.telemetry.logs import Outlet, logging_to

log = logging.getLogger("bridge.test")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            continue


def read_lines(reader: int, until: str) -> list[str]:
    """Read whole lines until `until` is in one of them."""
    text = ""
    deadline = time.monotonic() + 10
    while not (until in text and text.endswith("\n")):
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{until!r} was not written within 10 s"
        text += os.read(reader, 65_536).decode()
    return text.splitlines()


def test_lines_reach_the_stream(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with os.fdopen(writer, "w") as stream, logging_to(stream):
        log.info("first", extra={"n": 1})
        log.debug("hidden")
        log.warning("second")
    assert [json.loads(line)["event"] for line in read_lines(reader, "second")] == ["first", "second"]


def test_a_stuck_reader_holds_up_nobody_and_the_loss_is_counted(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    outlet = Outlet(writer, room=50)
    outlet.setFormatter(logging.Formatter("%(message)s %(count)s", defaults={"count": ""}))
    for number in range(2_000):
        outlet.handle(logging.makeLogRecord({"msg": f"{number} " + "x" * 1_000}))
    assert outlet.dropped > 0
    written = lost = 0
    while written + lost < 2_000:
        for line in read_lines(reader, "\n"):
            reported = line.startswith("log_lines_dropped")
            lost += int(line.split()[1]) if reported else 0
            written += 0 if reported else 1
    assert written + lost == 2_000
    outlet.close()


def test_closing_with_a_stuck_reader_takes_seconds_not_for_ever(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    outlet = Outlet(writer, room=50)
    for _ in range(200):
        outlet.handle(logging.makeLogRecord({"msg": "x" * 1_000}))
    begun = time.monotonic()
    outlet.close()
    assert time.monotonic() - begun < 10
    assert os.read(pipe[0], 1)  # the reader comes back, so that the thread can end


def test_a_reader_that_left_is_no_fault(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    outlet = Outlet(writer)
    outlet.handle(logging.makeLogRecord({"msg": "x"}))
    outlet.close()
    outlet.close()


def test_a_process_whose_output_is_stuck_still_ends() -> None:
    """The trap: Python flushes `sys.stdout` at exit and hangs when a thread holds its lock."""
    code = (
        "import logging, sys\n"
        "from bridge.telemetry.logs import logging_to\n"
        "with logging_to(sys.stdout):\n"
        "    for n in range(20_000): logging.getLogger('bridge').info('x' * 100)\n"
        "print('ended', file=sys.stderr)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.read().strip() == b"ended"  # nobody reads stdout
        assert process.wait(20) == 0


def test_finalizers_that_log_hold_up_nobody() -> None:
    """The trap: garbage is collected while its thread holds the lock of a queue, and the finalizer needs that queue."""
    code = (
        "import gc, logging, os, time\n"
        "from bridge.telemetry.logs import logging_to\n"
        "log, going = logging.getLogger('bridge'), True\n"
        "class Loud:\n"
        "    def __init__(self): self.itself = self\n"
        "    def __del__(self):\n"
        "        log.info('dropped')\n"
        "        if going: Loud()\n"
        "with open(os.devnull, 'w') as out, logging_to(out):\n"
        "    gc.set_threshold(1)\n"
        "    Loud()\n"
        "    for _ in range(300):\n"
        "        log.info('line')\n"
        "        time.sleep(0.001)\n"  # the writer waits for the next line, and allocates for that
        "    going = False\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def test_libraries_are_kept_from_showing_frames(pipe: tuple[int, int]) -> None:
    with os.fdopen(pipe[1], "w") as stream, logging_to(stream, level="debug"):
        for name in ("aiormq.connection", "aio_pika", "aiohttp.access", "asyncio"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_what_was_there_before_is_put_back(pipe: tuple[int, int]) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    with os.fdopen(pipe[1], "w") as stream, logging_to(stream, style="human", level="error"):
        assert root.level == logging.ERROR
    assert (root.handlers[:], root.level) == before


def test_lines_of_several_processes_do_not_tear_each_other_apart(pipe: tuple[int, int]) -> None:
    """The trap: a pipe takes more than PIPE_BUF bytes in pieces, and whoever else writes into it comes in between."""
    reader, writer = pipe
    code = (
        "import logging, sys\n"
        "from bridge.telemetry.logs import logging_to\n"
        "with logging_to(sys.stdout, style='json', worker=int(sys.argv[1])):\n"
        "    for n in range(3_000): logging.getLogger('bridge').info('x' * 300)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(n)], stdout=writer) for n in (1, 2)]
    os.close(writer)
    text = b""
    while piece := os.read(reader, 1_000):  # slower than two who write, so that both wait for room in the middle
        text += piece
        time.sleep(0.0002)
    said = [json.loads(line) for line in text.splitlines()]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert {line["worker"] for line in said} == {1, 2}


def test_what_is_longer_than_a_piece_is_written_all_the_same(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    outlet = Outlet(writer)
    for text in ("a", "b" * 10_000, "c"):
        outlet.handle(logging.makeLogRecord({"msg": text}))
    outlet.close()
    assert read_lines(reader, "c") == ["a", "b" * 10_000, "c"]
