"""
The envelopes the bridge reads. The union of settings below is their registry.

A new shape is one file with an `EventShape` (or a whole `Format`) and its settings, which then join the union.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, TypeAdapter

from bridge.formats.auto import AutoSettings
from bridge.formats.cloudevents import CloudEventsSettings
from bridge.formats.inngest import InngestSettings
from bridge.formats.raw import RawSettings
from bridge.formats.sendevent import SendEventSettings
from bridge.formats.shape import MAX_EVENT_BYTES, MissingId
from bridge.formats.strictjson import MAX_DEPTH
from bridge.formats.trigger import TriggerSettings
from bridge.formats.zopio import ZopioSettings
from bridge.ports import Format


def _named(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


FormatName: TypeAlias = Literal["auto", "trigger", "sendevent", "zopio", "inngest", "cloudevents", "raw"]

_Any: TypeAlias = Annotated[
    AutoSettings
    | TriggerSettings
    | SendEventSettings
    | ZopioSettings
    | InngestSettings
    | CloudEventsSettings
    | RawSettings,
    Field(discriminator="type"),
]

FormatSettings: TypeAlias = Annotated[_Any, BeforeValidator(_named, json_schema_input_type=FormatName | _Any)]
"""The settings of one format, or just its name."""

_ADAPTER: TypeAdapter[FormatSettings] = TypeAdapter(FormatSettings)


def build_format(
    settings: FormatSettings | FormatName,
    *,
    max_event_bytes: int = MAX_EVENT_BYTES,
    max_depth: int = MAX_DEPTH,
    missing_id: MissingId = "derive",
) -> Format:
    """Make a format from its settings or its name. Raises pydantic's ValidationError for a name that is none."""
    chosen = _ADAPTER.validate_python(settings)
    return chosen.build(max_event_bytes=max_event_bytes, max_depth=max_depth, missing_id=missing_id)
