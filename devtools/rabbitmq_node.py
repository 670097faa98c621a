"""What a RabbitMQ node for tests, the demo or the bench can do, however it is run."""

from __future__ import annotations

import secrets
import socket
from abc import abstractmethod

from devtools.node import Node
from devtools.processes import CommandError, wait_until

MEMORY_LIMIT_BYTES = 1_000_000_000
"""The memory high watermark of a node: absolute, so that the size of the machine does not matter."""

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


class RabbitMQNode(Node):
    """A node on a port of its own, with the user `guest`."""

    @property
    def url(self) -> str:
        """The address of the virtual host `/`."""
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """Return the address of a virtual host."""
        return f"amqp://{USER}:{USER}@127.0.0.1:{self.port}/{'' if vhost == '/' else vhost}"

    @abstractmethod
    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` (about a second) and return its output. Raises CommandError when it fails."""

    @abstractmethod
    def _evaluate(self, code: str) -> str:
        """Run Erlang expressions inside the node and return what they print."""

    def _ready(self) -> bool:
        return self._speaks() and self.eval("rabbit:await_startup()") == "ok"

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

    def grant(self, memory: int) -> None:
        """Raise the memory high watermark to so many bytes, until an alarm is set or cleared by `alarm`."""
        self.eval(f"vm_memory_monitor:set_vm_memory_high_watermark({{absolute, {memory}}})")

    def alarm(self, on: bool) -> None:  # noqa: FBT001  the two states are what the word says
        """Raise or clear the memory alarm, which blocks every connection that publishes; returns when it is so."""
        limit = 1 if on else MEMORY_LIMIT_BYTES
        self.grant(limit)
        raised = "[] =/= [x || {{resource_limit, memory, _}, _} <- rabbit_alarm:get_alarms()]"
        wait_until(
            lambda: self.eval(raised) == str(on).lower(), within=10, what=f"the memory alarm is {'on' if on else 'off'}"
        )
