"""The attributes and the data of an event that came as a CloudEvent, written again as they were."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Literal

from bridge.apis.encoding import dumps, iso_z
from bridge.model import Envelope, JsonValue

Attribute = str | int | bool

JSON_MEDIA = "application/json"
_NAME = re.compile(r"[a-z0-9]+")  # CloudEvents 1.0, section 3.1
_FIXED = frozenset({"specversion", "id", "source", "type", "time", "data", "datacontenttype"})


def attributes_of(event: Envelope, source: str) -> dict[str, Attribute]:
    """
    Give all attributes of an event but `datacontenttype`. `source` is that of events which came without one.

    `bridge.formats.cloudevents` keeps what an event came with in the context, `time` too, which may be finer than ms.
    The context of an event that came in another shape is something else and gives none.
    """
    attributes: dict[str, Attribute] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source or source,
        "type": event.name,
    }
    kept = event.context if event.source is not None and isinstance(event.context, dict) else {}
    time = kept.get("time")
    if isinstance(time, str) and time:
        attributes["time"] = time
    elif event.ts is not None:
        attributes["time"] = iso_z(event.ts)
    return attributes | {
        name: value
        for name, value in kept.items()
        if name not in _FIXED and isinstance(value, (str, int)) and _NAME.fullmatch(name)
    }


@dataclass(slots=True)
class Content:
    """Data, its media type, and how it is to be written."""

    data: JsonValue
    media: str = JSON_MEDIA
    form: Literal["json", "text", "base64"] = "json"

    def raw(self) -> bytes:
        """Write the body of a binary request."""
        if self.data is None:
            return b""
        if isinstance(self.data, str) and self.form != "json":
            return b64decode(self.data) if self.form == "base64" else self.data.encode()
        return dumps(self.data)

    def fields(self) -> dict[str, JsonValue]:
        """Write the fields of a structured event."""
        if self.data is None:
            return {}
        return {"datacontenttype": self.media, "data_base64" if self.form == "base64" else "data": self.data}


def content_of(event: Envelope) -> Content:
    """Tell how the data is to be written; as JSON unless it came as text or bytes."""
    context = event.context if event.source is not None and isinstance(event.context, dict) else {}
    media = context.get("datacontenttype")
    if not isinstance(media, str):
        return Content(event.data)
    kind = media.partition(";")[0].strip().lower()
    if context.get("data_base64") is True and isinstance(event.data, str):
        return Content(event.data, media, "base64")
    if kind in {JSON_MEDIA, "text/json"} or kind.endswith("+json"):
        return Content(event.data, media)
    if isinstance(event.data, str):  # of a media type that is no JSON: the text itself (JSON format, section 3.1)
        return Content(event.data, media, "text")
    return Content(event.data)
