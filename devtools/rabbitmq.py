"""
Private RabbitMQ nodes for tests, the demo and the bench.

`private_node("3.10")` finds a way to run that version (a Docker engine, the Debian package, a Debian release unpacked
into a folder, in this order) and returns a node that nobody else uses, on ports of its own, on 127.0.0.1 only. All
calls block, so code in a running event loop uses `await asyncio.to_thread(node.restart)`.
"""

from __future__ import annotations

import secrets
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.processes import CommandError, wait_until

VERSIONS = ("3.10", "4.0")
"""What the suite runs on: the oldest that we support and a current one."""

MEMORY_LIMIT_BYTES = 1_000_000_000
"""The memory high watermark of a node: absolute, so that the size of the machine does not matter."""

START_LIMIT = 120.0
"""Seconds until a start counts as failed. Usual are 3 to 6; on a loaded machine it takes far longer."""

STOP_LIMIT = 30
"""Seconds for an orderly shutdown, which usually takes 2."""

USER = "guest"

# A quorum queue's published counts are up to 5 s old, so its leader is asked.
DEPTHS = """\
Ask = fun(Queue, Count) -> {{ok, {{_, N}}, _}} = ra:leader_query(amqqueue:get_pid(Queue), Count), N end,
Depth = fun(Queue) -> case amqqueue:get_type(Queue) of
    rabbit_quorum_queue -> [
        Ask(Queue, fun rabbit_fifo:query_messages_ready/1), Ask(Queue, fun rabbit_fifo:query_messages_checked_out/1)];
    _ -> [N || {{_, N}} <- rabbit_amqqueue:info(Queue, [messages_ready, messages_unacknowledged])]
end end,
[io:format("~ts ~tp ~tp~n", [element(4, amqqueue:get_name(Q)) | Depth(Q)]) || Q <- rabbit_amqqueue:list(<<"{vhost}">>)],
io:format("all").
"""


class Node(ABC):
    """One broker. Its data live until `close()`, whatever happens to its process in between."""

    def __init__(self, version: str, port: int) -> None:
        self.version = version
        """The first two numbers, for instance "3.10"."""
        self.port = port

    @property
    def url(self) -> str:
        """The address of the virtual host `/`."""
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """Return the address of a virtual host."""
        return f"amqp://{USER}:{USER}@127.0.0.1:{self.port}/{'' if vhost == '/' else vhost}"

    @property
    @abstractmethod
    def logs(self) -> Path:
        """Where the broker's own log is, for whoever looks into a failure."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether its process lives."""

    @abstractmethod
    def start(self) -> None:
        """Start, with the data that are there, and wait until it serves. Nothing happens if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Shut down in an orderly way (SIGTERM)."""

    @abstractmethod
    def kill(self) -> None:
        """End the process at once (SIGKILL)."""

    @abstractmethod
    def close(self) -> None:
        """End it for good, and remove its data."""

    @abstractmethod
    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` (about a second) and return its output. Raises CommandError when it fails."""

    @abstractmethod
    def _evaluate(self, code: str) -> str:
        """Run Erlang expressions inside the node and return what they print."""

    @abstractmethod
    def _last_words(self) -> str:
        """Return what the broker said at last, for the text of an error."""

    def _await_service(self) -> None:
        try:
            wait_until(self._serves, within=START_LIMIT, what=f"{self!r} serves")
        except TimeoutError as error:
            raise CommandError(f"{error}\n{self._last_words()}") from error

    def _serves(self) -> bool:
        if not self.running:
            raise CommandError(f"{self!r} did not start:\n{self._last_words()}")
        try:
            return self._speaks() and self.eval("rabbit:await_startup()") == "ok"
        except CommandError:
            return False

    def _speaks(self) -> bool:
        """
        Whether a client gets an answer to its greeting.

        Asked first, for a control program that runs before the broker may make a secret that the broker cannot read.
        """
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                client.sendall(b"AMQP\0\0\x09\x01")
                return bool(client.recv(1))
        except OSError:
            return False

    def restart(self) -> None:
        """Stop in an orderly way, and start again."""
        self.stop()
        self.start()

    def eval(self, expression: str) -> str:
        """
        Return the value of an Erlang expression inside the node, as Erlang prints it (some milliseconds).

        Raises CommandError when it throws or cannot be read.
        """
        printed = self._evaluate(
            f'try io:format("value ~0tp", [begin {expression} end]) '
            'catch Class:Reason -> io:format("~tp ~0tp", [Class, Reason]) end.'
        )
        kind, _, value = printed.partition(" ")
        if kind != "value":
            raise CommandError(f"RabbitMQ {self.version} on {expression}: {printed or 'no Erlang expression'}")
        return value

    def add_vhost(self, name: str | None = None) -> str:
        """Make a virtual host, by default under a name that nobody has, and return its name."""
        name = name or f"v{secrets.token_hex(6)}"
        self.eval(
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions('
            f'<<"{USER}">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>)'
        )
        return name

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with all that is in it; its connections are closed by the broker."""
        self.eval(f'ok = rabbit_vhost:delete(<<"{name}">>, <<"tests">>)')

    def vhosts(self) -> list[str]:
        """Return the names of all virtual hosts."""
        return self.eval('binary_to_list(iolist_to_binary(lists:join(" ", rabbit_vhost:list_names())))')[1:-1].split()

    def depths(self, vhost: str = "/") -> dict[str, tuple[int, int]]:
        """Return how many deliveries of each queue are ready and how many out and unsettled, as of this moment."""
        rows: list[str] = []

        def all_queues_answer() -> bool:
            rows[:] = self._evaluate(DEPTHS.format(vhost=vhost)).splitlines()
            return bool(rows) and rows.pop() == "all"

        wait_until(all_queues_answer, within=30, what=f"every queue of {self!r} has a leader")
        counts = (row.rsplit(" ", 2) for row in rows)
        return {name: (int(ready), int(unsettled)) for name, ready, unsettled in counts}

    def connections(self) -> int:
        """Return the number of open client connections."""
        return int(self.eval("length(rabbit_networking:local_connections())"))

    def close_all_connections(self) -> None:
        """Close every client connection as an operator would: with `connection.close` and a reason."""
        self.eval(
            '[rabbit_networking:close_connection(C, "closed on purpose") || C <- rabbit_networking:local_connections()]'
        )

    def drop_all_connections(self) -> None:
        """Let every client connection vanish without a word."""
        self.eval("[exit(C, kill) || C <- rabbit_networking:local_connections()]")

    def alarm(self, on: bool) -> None:  # noqa: FBT001  the two states are what the word says
        """Raise or clear the memory alarm, which blocks every connection that publishes; returns when it is so."""
        limit = 1 if on else MEMORY_LIMIT_BYTES
        self.eval(f"vm_memory_monitor:set_vm_memory_high_watermark({{absolute, {limit}}})")
        raised = "[] =/= [x || {{resource_limit, memory, _}, _} <- rabbit_alarm:get_alarms()]"
        wait_until(
            lambda: self.eval(raised) == str(on).lower(), within=10, what=f"the memory alarm is {'on' if on else 'off'}"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def private_node(version: str) -> Node:
    """
    Return a node of one of VERSIONS, not started. What it takes to run it is installed, where that is possible.

    Raises MissingError, with what to install, where there is no way to run this version.
    """
    from devtools import containers, debian
    from devtools.local_node import LocalNode

    if containers.engine_answers():
        return containers.ContainerNode(version)
    return LocalNode(version, debian.rabbitmq_root(version))
