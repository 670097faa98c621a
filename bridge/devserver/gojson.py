"""JSON the way Go's encoding/json reads it for Inngest: the same refusals, in the same words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from bridge.devserver.wire import BadJson, parse

_AFTER = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
}
_SPACE = re.compile(r"[ \t\r\n]*")
_CUT_SHORT = ("Unterminated string", "Invalid \\escape", "Invalid \\uXXXX")

END_OF_TEXT = "unexpected end of JSON input"
END_OF_STREAM = "unexpected EOF"


class GoError(ValueError):
    """What Go would say."""


class _Number(float):
    """A JSON number with a fraction or an exponent, which remembers how it was written."""

    text: str


def _number(text: str) -> _Number:
    number = _Number(text)
    number.text = text
    return number


_DECODER = json.JSONDecoder(parse_float=_number, strict=True)


def unmarshal(raw: bytes) -> Any:
    """
    Read one JSON text, as `json.Unmarshal` does.

    Raises GoError.
    """
    try:
        return parse(raw)
    except BadJson as error:
        raise GoError(_explain(error, END_OF_TEXT)) from None


def stream(text: str) -> Iterator[tuple[Any, int]]:
    """
    Yield the elements of an array and their size in bytes, as a `json.Decoder` streams them.

    `text` starts at the opening bracket. Like Go's, this ends without an error where the text ends between two
    elements, closing bracket or not.

    Raises GoError.
    """
    end = _skip(text, 1)
    while end < len(text) and text[end] != "]":
        start = end
        try:
            value, end = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise GoError(_explain(BadJson(error.msg, error.pos, text), END_OF_STREAM)) from None
        except RecursionError:
            raise GoError("exceeded max depth") from None
        yield value, len(text[start:end].encode("utf-8", "surrogatepass"))
        end = _skip(text, end)
        if text[end : end + 1] == ",":
            end = _skip(text, end + 1)
            if end == len(text):
                raise GoError(END_OF_STREAM)
        elif end < len(text) and text[end] != "]":
            raise GoError("expected comma after array element")


def kind(value: object) -> str:
    """Name a JSON value as Go's UnmarshalTypeError does."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def written(number: float, raw: bytes) -> str:
    """
    Return how the number stands in the text, or as Python writes it.

    Only `ts` needs this: Go quotes "number 1684274328198.0" as it was sent.
    """
    for found in re.finditer(rb'"ts"\s*:\s*(-?[\d.eE+-]+)', raw):
        text = found[1].decode()
        if float(text) == number and not _is_int64(text):
            return text
    return str(number)


def _is_int64(text: str) -> bool:
    return text.lstrip("-").isdigit() and -(1 << 63) <= int(text) < 1 << 63


def _skip(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _explain(error: BadJson, end: str) -> str:
    text, position = error.text, error.position
    if position >= len(text) or error.problem.startswith("Unterminated string"):
        return end
    if error.problem.startswith(_CUT_SHORT):
        return "invalid character in string escape code"
    if error.problem == "Exceeded max depth":
        return "exceeded max depth"
    if error.problem == "Expecting ',' delimiter":
        return f"invalid character {_quoted(text[position])} after object key:value pair"
    return f"invalid character {_quoted(text[position])} {_AFTER.get(error.problem, 'in string literal')}"


def _quoted(character: str) -> str:
    return {"'": r"'\''", '"': "'\"'"}.get(character, f"'{character}'")
