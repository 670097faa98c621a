"""
Starting programs that can never outlive us.

The kernel kills each of them when the thread that started it ends (`PR_SET_PDEATHSIG`, see prctl(2)), which also holds
after SIGKILL. That thread must therefore live as long as the process: all starts go through one thread of our own, for
a worker thread of an event loop ends with its loop.
"""

from __future__ import annotations

import atexit
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import IO

Order = tuple[Sequence[str], Mapping[str, str], IO[bytes]]

_started: list[subprocess.Popen[bytes]] = []


class CommandError(RuntimeError):
    """A program failed or took too long; the text holds what it said."""


class MissingError(RuntimeError):
    """This machine lacks something; the text says what to install."""


def launch(command: Sequence[str], *, env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own (a Ctrl-C is ours alone), with its output appended to a file."""
    answer: Future[subprocess.Popen[bytes]] = Future()
    with output.open("ab") as sink:
        _launcher().put(((command, env, sink), answer))
        process = answer.result()
    _started.append(process)
    return process


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str = "",
    timeout: float = 60,
) -> str:
    """Run a program to its end and return its output. Raises CommandError when it fails or takes over `timeout` s."""
    try:
        done = subprocess.run(
            command, env=env, cwd=cwd, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{command[0]} took longer than {timeout} s: {' '.join(command)}") from error
    if done.returncode:
        raise CommandError(f"exit code {done.returncode} of {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def end(process: subprocess.Popen[bytes], *, patience: float) -> None:
    """Ask a program to end, and kill it after `patience` seconds."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], *, within: float, what: str) -> None:
    """Look every 50 ms until it is so. Raises TimeoutError, naming `what`, after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within} s")
        time.sleep(0.05)


def stands_still(pid: int) -> bool:
    """Whether a stopped process has really stopped, all of its threads: the signal takes its time (see proc(5))."""
    threads = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in threads)


@cache
def _launcher() -> queue.SimpleQueue[tuple[Order, Future[subprocess.Popen[bytes]]]]:
    """Start the thread that starts programs: a daemon, for those end after everything else."""
    orders: queue.SimpleQueue[tuple[Order, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()

    def obey() -> None:
        while True:
            order, answer = orders.get()
            try:
                answer.set_result(_start(*order))
            except OSError as error:
                answer.set_exception(error)

    threading.Thread(target=obey, name="launcher", daemon=True).start()
    return orders


def _start(command: Sequence[str], env: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    # The shell makes sure that we did not end before the kernel was told to care.
    guard = [
        "/usr/bin/setpriv",
        "--pdeathsig",
        "KILL",
        "sh",
        "-c",
        'test "$PPID" = "$0" && exec "$@"',
        str(os.getpid()),
    ]
    return subprocess.Popen(
        [*guard, *command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@atexit.register
def _end_all() -> None:
    for process in _started:
        process.kill()
    for process in _started:
        process.wait()
