"""Folders and ports belong to one process and come back when it ends."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from devtools import scratch

OTHER = "from devtools import scratch; print(scratch.folder('other'), flush=True); "


@pytest.fixture(autouse=True)
def _own_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_folder_is_new_and_closed_to_others() -> None:
    first, second = scratch.folder("x"), scratch.folder("x")
    assert first != second
    assert stat.S_IMODE(first.stat().st_mode) == stat.S_IMODE(scratch.base().stat().st_mode) == 0o700


def test_folders_go_when_their_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", OTHER], check=True, capture_output=True, text=True)
    assert not Path(done.stdout.strip()).exists()


def test_folders_of_a_killed_process_are_swept_and_those_of_a_living_one_are_not() -> None:
    command = [sys.executable, "-c", OTHER + "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        theirs = Path(process.stdout.readline().strip())
        mine = scratch.folder("x")
        scratch.folder("y")
        assert theirs.is_dir()
        assert mine.is_dir()
        process.send_signal(signal.SIGKILL)
    assert theirs.is_dir()
    scratch.folder("z")
    assert not theirs.exists()
    assert mine.is_dir()


def test_ports_are_free_different_and_below_those_of_outgoing_connections() -> None:
    ports = {scratch.free_port() for _ in range(20)}
    assert len(ports) == 20
    assert max(ports) < 32768
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_in_use_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", scratch.free_port())) as server:
        busy = server.getsockname()[1]
        monkeypatch.setattr(scratch, "PORTS", range(busy, busy + 1))
        with pytest.raises(OSError, match="no port"):
            scratch.free_port()


def test_a_port_of_another_process_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from devtools import scratch; print(scratch.free_port(), flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        theirs = int(process.stdout.readline())
        monkeypatch.setattr(scratch, "PORTS", range(theirs, theirs + 1))
        with pytest.raises(OSError, match="no port"):
            scratch.free_port()
        process.kill()
    assert scratch.free_port() == theirs
