"""
Private Redis or Valkey servers for tests and the bench; clusters and Sentinels are in `devtools.redis_groups`.

They run from the program of this machine (`redis-server` or `valkey-server`), put there from Debian's package if need
be, each on ports of its own, on 127.0.0.1 only. All calls block.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from devtools import debian
from devtools.processes import CommandError, MissingError
from devtools.redis_node import ADMIN, RedisNode
from devtools.scratch import free_port

__all__ = ["ADMIN", "RIGHTS", "RedisNode", "SecuredRedis", "private_node", "program"]

RIGHTS = "~eb{* +evalsha +eval +get +set +del +time +info +cluster|slots"
"""All that the bridge's user needs, for keys of the namespace `eb`. Tests and papers have it from here."""

NAMES = ("redis-server", "valkey-server")


def program() -> str:
    """Return the path of a server, installed from Debian's package if need be. Raises MissingError."""
    found = _find()
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        try:
            debian.install("redis-server")
        except CommandError as error:
            raise MissingError(f"Redis could not be installed: {error}") from error
        found = _find()
    if found is None:
        raise MissingError(f"Redis is not at hand; install {' or '.join(NAMES)}")
    return found


def _find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def private_node(settings: Mapping[str, str] | None = None) -> RedisNode:
    """Return a server, not started. `settings` are its own (redis.conf) and win over ours."""
    return RedisNode(program(), settings)


class SecuredRedis(RedisNode):
    """
    A server that also speaks TLS, on `tls_port`, and has the user `bridge` with RIGHTS.

    The user `default` is the administrator's.
    """

    def __init__(self, certificates: Path, password: str) -> None:
        """`certificates` is a folder with ca.pem and server.pem, the latter with its private key."""
        self.tls_port = free_port()
        server = str((certificates / "server.pem").absolute())
        settings = {
            "requirepass": ADMIN,
            "user bridge on": f">{password} {RIGHTS}",
            "tls-port": str(self.tls_port),
            "tls-cert-file": server,
            "tls-key-file": server,
            "tls-ca-cert-file": str((certificates / "ca.pem").absolute()),
            "tls-auth-clients": "optional",
        }
        super().__init__(program(), settings)
