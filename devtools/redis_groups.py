"""Several Redis servers that belong together: a cluster, or a master with a replica that a Sentinel watches over."""

from __future__ import annotations

from pathlib import Path

from devtools.node import Node
from devtools.redis import program
from devtools.redis_node import RedisNode
from devtools.scratch import free_port

SLOTS = 16_384

MASTER = "events"
"""What the Sentinel calls its master."""


class ClusteredRedis(RedisNode):
    """One node of a cluster."""

    def __init__(self, found: str) -> None:
        self.cluster_port = free_port()  # the usual one, 10000 above, is a port of other people's connections
        settings = {
            "cluster-enabled": "yes",
            "cluster-port": str(self.cluster_port),
            "cluster-announce-ip": "127.0.0.1",
            "cluster-node-timeout": "2000",
        }
        super().__init__(found, settings)


class RedisCluster(Node):
    """A cluster of masters without replicas, each with an equal share of the slots."""

    def __init__(self, size: int = 3) -> None:
        found = program()
        self.nodes = [ClusteredRedis(found) for _ in range(size)]
        super().__init__(self.nodes[0].version, self.nodes[0].port)

    @property
    def logs(self) -> Path:
        return self.nodes[0].logs

    @property
    def running(self) -> bool:
        return all(node.running for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        if not self.nodes[0].ask("CLUSTER", "SLOTS"):  # else they know each other from an earlier start
            self._found()
        self._await_service()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def close(self) -> None:
        self.kill()

    def _found(self) -> None:
        share = -(-SLOTS // len(self.nodes))
        for number, node in enumerate(self.nodes):
            first = number * share
            node.ask("CLUSTER", "ADDSLOTS", *range(first, min(first + share, SLOTS)))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                port = self.nodes[0].cluster_port
                node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, port)

    def _ready(self) -> bool:
        infos = [node.ask("CLUSTER", "INFO") for node in self.nodes]
        known = [{owner[1] for _, _, owner, *_ in node.ask("CLUSTER", "SLOTS")} for node in self.nodes]
        ports = {node.port for node in self.nodes}
        return all(b"cluster_state:ok" in info for info in infos) and all(each == ports for each in known)

    def _last_words(self) -> str:
        return "\n".join(node._last_words() for node in self.nodes)  # noqa: SLF001  a cluster is made of its nodes


class WatchedRedis(Node):
    """A master, a replica, and a Sentinel that makes the replica a master when the master is gone."""

    def __init__(self) -> None:
        found = program()
        self.master = RedisNode(found)
        self.replica = RedisNode(found, {"replicaof": f"127.0.0.1 {self.master.port}"})
        watch = {
            f"sentinel monitor {MASTER}": f"127.0.0.1 {self.master.port} 1",
            f"sentinel down-after-milliseconds {MASTER}": "1000",
            f"sentinel failover-timeout {MASTER}": "5000",
        }
        self.sentinel = RedisNode(found, watch, sentinel=True)
        super().__init__(self.master.version, self.sentinel.port)

    @property
    def logs(self) -> Path:
        return self.sentinel.logs

    @property
    def running(self) -> bool:
        return self.master.running and self.replica.running and self.sentinel.running

    def start(self) -> None:
        for node in (self.master, self.replica, self.sentinel):
            node.start()
        self._await_service()

    def stop(self) -> None:
        for node in (self.sentinel, self.replica, self.master):
            node.stop()

    def kill(self) -> None:
        for node in (self.sentinel, self.replica, self.master):
            node.kill()

    def close(self) -> None:
        self.kill()

    def _ready(self) -> bool:
        """The Sentinel has heard of the replica, and that one has all keys."""
        state = self.sentinel.ask("SENTINEL", "MASTER", MASTER)
        told = dict(zip(state[::2], state[1::2], strict=True))
        return told[b"num-slaves"] == b"1" and b"master_link_status:up" in self.replica.ask("INFO", "replication")

    def _last_words(self) -> str:
        return "\n".join(node._last_words() for node in (self.master, self.replica, self.sentinel))  # noqa: SLF001  same
