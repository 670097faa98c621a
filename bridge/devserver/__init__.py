"""A local event API for development, demos and tests: the real servers' answers, faults on demand, a page."""

from __future__ import annotations

import asyncio

from bridge.devserver.app import DevServer
from bridge.devserver.faults import Fault, Match, parse_fault
from bridge.devserver.settings import DevServerSettings

__all__ = ["DevServer", "DevServerSettings", "Fault", "Match", "parse_fault", "serve"]


async def serve(settings: DevServerSettings, stop: asyncio.Event) -> None:
    """
    Run until `stop` is set.

    Raises ConfigError when the address cannot be had.
    """
    async with DevServer(settings):
        await stop.wait()
