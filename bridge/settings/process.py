"""The settings of the process itself, common to all of its routes."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from bridge.settings.base import Frozen

EventLoop: TypeAlias = Literal["auto", "uvloop", "asyncio"]


class AdminSettings(Frozen):
    """The port for `/livez`, `/readyz` and `/metrics`."""

    enabled: bool = Field(True, description="Whether to listen at all.")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address to listen on; `0.0.0.0` in a container whose port is scraped from outside.",
    )
    port: int = Field(9464, ge=0, le=65_535, description="The port to listen on; 0 takes a free one and logs it.")


class LogSettings(Frozen):
    """What is written about the work, and how. Payloads and secrets never are."""

    format: Literal["auto", "json", "human"] = Field(
        "auto", description="`json` writes one line an event, `human` aligned text; `auto` is human on a terminal."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is written.")
