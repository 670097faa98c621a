"""What we start ends with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devtools.processes import CommandError, end, launch, run, wait_until

OWNER = """
import os, pathlib, sys
from devtools.processes import launch
print(launch(["sleep", "600"], env=dict(os.environ), output=pathlib.Path(os.devnull)).pid, flush=True)
input()
"""


def runs(pid: int) -> bool:
    """Whether the process exists and is no zombie; proc(5) has its state behind the name in parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_a_program_ends_with_its_owner_however_that_ends(how: signal.Signals | None) -> None:
    command = [sys.executable, "-c", OWNER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as owner:  # type: ignore[call-overload]
        pid = int(owner.stdout.readline())
        assert runs(pid)
        owner.send_signal(how) if how else owner.communicate("\n")
    wait_until(lambda: not runs(pid), within=10, what="the program ends")


def test_a_program_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(
        target=lambda: started.append(launch(["sleep", "600"], env=dict(os.environ), output=tmp_path / "log"))
    )
    thread.start()
    thread.join()
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(0.3)
    end(started[0], patience=10)
    assert started[0].returncode == -signal.SIGTERM


def test_a_program_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stubborn = launch(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], env=dict(os.environ), output=log
    )
    wait_until(lambda: log.read_text() == "ready\n", within=10, what="the trap is set")
    end(stubborn, patience=0.1)
    assert stubborn.returncode == -signal.SIGKILL


def test_a_program_that_is_not_there_is_an_error_here(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="127"):
        run(["sh", "-c", "no-such-program"])
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "no-such-program")])


def test_a_failed_command_tells_its_code_and_its_words() -> None:
    with pytest.raises(CommandError, match="exit code 3") as caught:
        run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert "out\nerr\n" in str(caught.value)


def test_a_command_has_a_time_limit_and_takes_text() -> None:
    with pytest.raises(CommandError, match="longer than"):
        run(["sleep", "600"], timeout=0.1)
    assert run(["cat"], text="words") == "words"


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match="the moon is full"):
        wait_until(lambda: False, within=0.1, what="the moon is full")
