"""What an API's answer means, as far as all APIs agree: the common statuses, Retry-After, and the words for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import orjson

from bridge.model import JsonValue, Misconfigured, Outcome, Rejected, Response, Retryable

MAX_AFTER = 3_600.0  # seconds; a target that asks for more is asked again after an hour
_EXCERPT = 200
_ERROR_FIELDS = ("error", "message", "detail", "title", "errors")  # where APIs put their words, most telling first

# Nothing can pass until a person or a rotated secret changes something; no event is to blame.
_CURES = {
    401: "check the key",
    402: "check the account",
    403: "check the key and its permissions",
    404: "check the url",
    405: "check the url and the method",
    406: "check the url",
    407: "check the proxy",
    410: "the endpoint is gone: check the url",
    411: "check the proxy",
    415: "check the url and the content type",
    426: "check the url",
    501: "check the url and the method",
    505: "check the url",
    511: "check the network: something in between wants a login",
}
_LATER = {408, 409, 421, 423, 425, 429}  # the 4xx that may pass when they are tried again


def classify(response: Response, now: int) -> Outcome:
    """
    Tell what an answer that is no success means for a request with one event.

    The classes follow RFC 9110, RFC 6585 and the delivery table of Standard Webhooks 1.0. Redirects are never followed,
    since the body and its secrets would go elsewhere: they ask for another `url`.
    """
    status, reason = response.status, reason_of(response)
    if status in _CURES:
        return Misconfigured(f"{reason} ({_CURES[status]})")
    if 200 <= status < 400:  # noqa: PLR2004  a success nobody expected, or a redirect
        return Misconfigured(f"{reason} ({'set the url to the final address' if status >= 300 else 'check the url'})")  # noqa: PLR2004
    if 400 <= status < 500 and status not in _LATER:  # noqa: PLR2004
        return Rejected(reason)
    after = asked_wait(response, now)
    return Retryable(reason, after, pause=status == 429 or (status == 503 and after is not None))  # noqa: PLR2004


def for_each(outcome: Outcome, count: int) -> list[Outcome | None]:
    """One outcome for all events of a request. A refused batch says nothing about any one of its events."""
    return [None if count > 1 and isinstance(outcome, Rejected) else outcome] * count


def unproven(response: Response, missing: str) -> Misconfigured:
    """Refuse a success status whose body does not prove that this API took the event."""
    return Misconfigured(
        f"{reason_of(response)}: a success without {missing}, so this is no acceptance (check the url)"
    )


def json_of(response: Response) -> JsonValue:
    """Read the body as JSON whatever the content type says (Inngest says text/plain); None when it is none."""
    try:
        value: JsonValue = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    return value


def fields_of(response: Response) -> dict[str, JsonValue]:
    """The body as a JSON object; empty when it is none."""
    try:
        value: JsonValue = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def reason_of(response: Response) -> str:
    """The status, and what the API said about it: "HTTP 422: event name is empty"."""
    words = excerpt(response)
    return f"HTTP {response.status}: {words}" if words else f"HTTP {response.status}"


def excerpt(response: Response) -> str:
    """At most 200 printable characters of the API's own words."""
    fields = fields_of(response)
    said = next((fields[name] for name in _ERROR_FIELDS if fields.get(name)), None)
    if said is None:
        text = response.body[: _EXCERPT * 8].decode("utf-8", "replace")
    else:
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
    clean = " ".join("".join(char if char.isprintable() else " " for char in text[: _EXCERPT * 8]).split())
    return clean if len(clean) <= _EXCERPT else clean[: _EXCERPT - 1] + "…"


def asked_wait(response: Response, now: int) -> float | None:
    """
    Seconds the API asks to wait, within 0 .. 1 hour; None when it does not ask.

    Retry-After holds seconds or an HTTP date (RFC 9110, section 10.2.3); a date is compared with the answer's own Date,
    so that clocks may differ. x-ratelimit-reset is read where the limit has really been reached.
    """
    headers = response.headers
    wait = _retry_after(headers, now)
    if wait is None and (response.status == 429 or headers.get("x-ratelimit-remaining") == "0"):  # noqa: PLR2004
        wait = _reset(headers.get("x-ratelimit-reset", ""), now)
    return None if wait is None else min(max(wait, 0.0), MAX_AFTER)


def _retry_after(headers: Mapping[str, str], now: int) -> float | None:
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return seconds
    until, base = _date(text), _date(headers.get("date", ""))
    return None if until is None else until - (now / 1000 if base is None else base)


def _reset(text: str, now: int) -> float | None:
    """Epoch ms (Trigger.dev), epoch seconds (most others) or seconds from now, told apart by their size."""
    number = _number(text.strip())
    if number is None or number < 1e9:  # noqa: PLR2004  no date since 2001 is that small
        return number
    return (number if number > 1e11 else number * 1000) / 1000 - now / 1000  # noqa: PLR2004  1e11 s: the year 5138


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,9})?", text) else None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
