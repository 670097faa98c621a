"""The key under which the store knows an event."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


def scope_of(route: str, target: str, scope: str = "") -> bytes:
    """
    Everything of the key but the id, made once a route.

    Each part is length-prefixed, so that ("a:b", "c") and ("a", "b:c") never meet. `scope` is what the configuration
    adds to keep ids of different publishers apart.
    """
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in (route, target, scope)))


def scope_of_replay(scope: bytes, replay: str) -> bytes:
    """
    The scope of one return from the dead letters, where the event may be sent although it counts as done in `scope`.

    Two copies of one return are duplicates of each other. No identity begins with the zero byte that a length does.
    """
    raw = replay.encode()
    return scope + len(raw).to_bytes(4, "big") + raw


def key_of(scope: bytes, event_id: str, source: str | None = None) -> bytes:
    """
    BLAKE2b-128 of scope and id: 16 bytes, so that even at 10^8 keys a chance collision is out of reach (1e-23).

    A CloudEvent is identified by its source and id together (CloudEvents 1.0, section 3.1.1), so its `source` is part
    of the key.
    """
    identity = f"-{event_id}" if source is None else f"{len(source)}:{source}{event_id}"
    digest = _begun(scope).copy()
    digest.update(identity.encode("utf-8", "surrogatepass"))
    return digest.digest()


@lru_cache(maxsize=64)
def _begun(scope: bytes) -> blake2b:
    """Hash a scope, which goes on from there with each id: a route has one, and each return from the dead letters."""
    return blake2b(scope, digest_size=16)
