"""Which event loop the process runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.settings.process import EventLoop

Factory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


def factory_of(choice: EventLoop) -> Factory | None:
    """
    What makes the loop; None for that of Python.

    Raises ConfigError where uvloop is asked for and not there: it has no wheels for Windows and PyPy.
    """
    if choice == "asyncio":
        return None
    if find_spec("uvloop") is not None:
        import uvloop

        return uvloop.new_event_loop
    if choice == "auto":
        return None
    raise ConfigError("event_loop", "uvloop is not installed", "Install it, or write `event_loop: auto`")
