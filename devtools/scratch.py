"""
Private folders and free ports for whatever a test run starts.

Both belong to this process and are given back when it ends, however it ends: a lock on a file stands for each, and the
kernel drops the lock with the process. Folders of processes that were killed are swept by the next one that asks.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

PORTS = range(20_000, 32_000)
"""Below 32768, where Linux starts to hand out ports for outgoing connections."""

_held: list[IO[str]] = []
_made: list[Path] = []


def base() -> Path:
    """Return the folder of this user that all others are made in."""
    path = Path(tempfile.gettempdir()) / f"event-bridge-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else; set TMPDIR to a folder of your own")
    return path


def try_lock(path: Path) -> IO[str] | None:
    """Lock a file, or return None where another process has it. The lock lasts as long as the open file."""
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds this file, and hold it for the length of the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def folder(name: str) -> Path:
    """Make an empty folder for this process; it goes when the process does, at the latest at the next run."""
    with locked(base() / "lock"):
        _sweep()
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base()))
        lock = try_lock(_lock_of(path))
    if lock is None:
        raise RuntimeError(f"{path} is new and yet locked by another process")
    _held.append(lock)
    _made.append(path)
    return path


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on, and keep other test runs off it."""
    folder_of_locks = base() / "ports"
    folder_of_locks.mkdir(exist_ok=True)
    first = secrets.randbelow(len(PORTS))
    for step in range(len(PORTS)):
        port = PORTS[(first + step) % len(PORTS)]
        lock = try_lock(folder_of_locks / str(port))
        if lock is None:
            continue
        if _nobody_listens(port):
            _held.append(lock)
            return port
        lock.close()
    raise OSError(f"no port of {PORTS.start} to {PORTS.stop} is free")


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _sweep() -> None:
    for lock_path in base().glob("*.lock"):
        lock = try_lock(lock_path)
        if lock is not None:
            with lock:
                shutil.rmtree(str(lock_path).removesuffix(".lock"), ignore_errors=True)
                lock_path.unlink(missing_ok=True)


@atexit.register
def _leave() -> None:
    for path in _made:
        shutil.rmtree(path, ignore_errors=True)
        _lock_of(path).unlink(missing_ok=True)
    for lock in _held:
        lock.close()
