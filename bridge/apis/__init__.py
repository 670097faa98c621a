"""
The event APIs the bridge can speak to. This union is the registry.

A new API is one module with its settings and its dialect, and its name here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bridge.apis.cloudevents import CloudEventsSettings
from bridge.apis.inngest import InngestSettings
from bridge.apis.memory import MemorySettings
from bridge.apis.options import HttpOptions, SecretSource
from bridge.apis.trigger import TriggerSettings
from bridge.apis.webhook import WebhookSettings
from bridge.apis.zopio import ZopioSettings

HttpSettings = TriggerSettings | InngestSettings | ZopioSettings | WebhookSettings | CloudEventsSettings

TargetSettings = Annotated[HttpSettings | MemorySettings, Field(discriminator="type")]

__all__ = [
    "CloudEventsSettings",
    "HttpOptions",
    "HttpSettings",
    "InngestSettings",
    "MemorySettings",
    "SecretSource",
    "TargetSettings",
    "TriggerSettings",
    "WebhookSettings",
    "ZopioSettings",
]
