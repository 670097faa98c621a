"""
The network of a pod: a loopback of its own, with roads to and from the loopback of this machine.

`PodNetwork` starts this module as a program of its own, which plays what the pause container is in a pod: it makes the
network namespace and holds it. Containers join by its `path`. A road listens on one side and connects on the other, so
a broker of this machine is at 127.0.0.1:5672 in the pod. As root only.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.processes import end, launch, wait_until
from devtools.scratch import folder, free_port

POD_ADDRESS = "127.0.0.2"
"""Where roads into the pod lead: not 127.0.0.1, as what listens only there is not reached from outside of a pod."""

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP; see netdevice(7)


class PodNetwork:
    """A pod's network, as a context manager. `outward` is port in the pod: port of this machine."""

    def __init__(self, outward: Mapping[int, int]) -> None:
        self._outward = dict(outward)
        self._inward: dict[int, int] = {}
        self._log = folder("pod-network") / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def enterable(self, port: int) -> int:
        """Return the port of this machine that leads to `port` of the pod. To be asked before it starts."""
        return self._inward.setdefault(port, free_port())

    @property
    def path(self) -> Path:
        """The namespace, for `Container(network=...)`."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/ns/net")

    def __enter__(self) -> Self:
        roads = [f"out:{port}:{outside}" for port, outside in self._outward.items()]
        roads += [f"in:{outside}:{port}" for port, outside in self._inward.items()]
        command = [sys.executable, "-m", "devtools.pod_network", *roads]
        self._process = launch(command, env=dict(os.environ), output=self._log)
        wait_until(self._laid, within=60, what="the network of the pod")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            end(self._process, patience=10)

    def _laid(self) -> bool:
        said = self._log.read_text()
        if self._process is not None and self._process.poll() is not None:
            raise ChildProcessError(f"it ended with code {self._process.returncode}:\n{said}")
        return said.startswith("laid")


class Sides:
    """The two namespaces, for a process with a single thread. A socket stays in the one it was made in."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._check(self._libc.unshare(_NEW_NETWORK))
        self._inside = os.open("/proc/self/ns/net", os.O_RDONLY)
        _raise_loopback()

    def socket(self, *, inside: bool) -> socket.socket:
        """Return a socket in one of them; this process is in the pod before and after."""
        self._check(self._libc.setns(self._inside if inside else self._outside, _NEW_NETWORK))
        try:
            made = socket.socket()
        finally:
            self._check(self._libc.setns(self._inside, _NEW_NETWORK))
        made.setblocking(False)
        return made

    @staticmethod
    def _check(result: int) -> None:
        if result:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        asked = struct.pack("16sH14x", b"lo", 0)
        flags: int = struct.unpack("16sH14x", fcntl.ioctl(any_socket, _GET_FLAGS, asked))[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


async def _lay(sides: Sides, way: str, source: int, destination: int) -> None:
    outward = way == "out"
    listening = sides.socket(inside=outward)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", source))
    to = ("127.0.0.1" if outward else POD_ADDRESS, destination)
    onward = partial(sides.socket, inside=not outward)
    await asyncio.start_server(partial(_travel, onward, to), sock=listening)


async def _travel(
    make: Callable[[], socket.socket], to: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    onward = make()
    try:
        await asyncio.get_running_loop().sock_connect(onward, to)
        far_reader, far_writer = await asyncio.open_connection(sock=onward)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    except OSError:
        onward.close()
    finally:
        writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


async def _main(roads: list[str]) -> None:
    sides = Sides()
    for road in roads:
        way, source, destination = road.split(":")
        await _lay(sides, way, int(source), int(destination))
    print("laid", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
