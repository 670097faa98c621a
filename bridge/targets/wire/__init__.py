"""Our own HTTP/1.1 client: callbacks on sockets, with httptools to read the answers."""

from __future__ import annotations

from bridge.targets.wire.client import WireClient

__all__ = ["WireClient"]
