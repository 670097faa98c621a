"""
A webhook receiver at /webhook/{name}, for any method and any body.

With secrets it verifies the signature of Standard Webhooks 1.0 (headers webhook-id, webhook-timestamp,
webhook-signature; HMAC-SHA256 of `id.timestamp.body`, `v1,` and base64) and refuses what does not match.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any
from urllib.parse import unquote

from bridge.devserver.records import Arrival
from bridge.devserver.wire import Answer, BadJson, Call, parse, reply, ulid
from bridge.devserver.world import World

_TOLERANCE_S = 300


def answer(call: Call, world: World) -> Answer:
    """Answer one delivery; the result of the verification stands in the event's details and in the answer."""
    name, given = unquote(call.params["name"]), call.headers.get("webhook-id")
    signature = verify(call, world.webhook_secrets)
    if signature not in {"valid", "unchecked"}:
        return reply({"ok": False, "error": f"signature {signature}"}, 401)
    poison = world.faults.poison(call, name, given)
    if poison is not None:
        return reply({"ok": False, "error": poison}, 422)
    details: dict[str, object] = {"method": call.method, "signature": signature}
    if "content-type" in call.headers:
        details["content_type"] = call.headers["content-type"]
    event_id, payload = given or ulid(call.now), readable(call.body)
    arrival = Arrival(call.api, event_id, name, payload, scope=name, details=details)
    record, known = world.book.accept(arrival, call.now)
    found = reply({"ok": True, "id": record.id, "duplicate": known, "signature": signature})
    found.events = [record.key]
    return found


def verify(call: Call, secrets: tuple[bytes, ...]) -> str:
    """Return one of unchecked, valid, missing, expired, wrong."""
    if not secrets:
        return "unchecked"
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    event_id, timestamp, signatures = (call.headers.get(name, "") for name in names)
    if not event_id or not timestamp or not signatures:
        return "missing"
    if not timestamp.isdigit() or abs(int(timestamp) - call.now / 1000) > _TOLERANCE_S:
        return "expired"
    signed = f"{event_id}.{timestamp}.".encode() + call.body
    good = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets]
    sent = [text.removeprefix("v1,") for text in signatures.split(" ") if text.startswith("v1,")]
    return "valid" if any(hmac.compare_digest(one, other) for one in good for other in sent) else "wrong"


def secret_bytes(text: str) -> bytes:
    """
    Read `whsec_<base64>`, or base64 alone.

    Raises ValueError.
    """
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("write the webhook secret as whsec_ and base64") from None


def readable(body: bytes) -> Any:
    """Return the body as JSON, as text, or as base64, whichever it can be."""
    try:
        return parse(body)
    except BadJson:
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
