"""The names of what the bridge makes for itself at a broker."""

from __future__ import annotations


def namespace_for(route: str) -> str:
    """The namespace of a route that names none: each route has exchanges, queues and topics of its own."""
    return "bridge" if route == "default" else f"bridge.{route}"
