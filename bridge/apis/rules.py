"""Rules on an answer's status and body, as a settings file states them."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic import JsonValue as AnyJson

from bridge.apis.answers import json_of
from bridge.apis.options import Options
from bridge.model import JsonValue, Response

_LOWEST, _HIGHEST = 200, 599


def _range(spec: int | str) -> int | str:
    found = re.fullmatch(r"(\d{3})(?:-(\d{3}))?", str(spec))
    if not found or not _LOWEST <= int(found[1]) <= int(found[2] or found[1]) <= _HIGHEST:
        raise ValueError('must be a status such as 202, or a range such as "200-299", within 200-599')
    return spec


Statuses = Annotated[int | str, AfterValidator(_range)]


class AnswerRule(Options):
    """A status out of `statuses`, and where `pointer` is set, a value at that place of the JSON body."""

    statuses: tuple[Statuses, ...] = Field(("200-299",), min_length=1, description='Statuses: 202, or "200-299".')
    pointer: str | None = Field(
        None, pattern=r"^(/([^~/]|~[01])*)*$", description="JSON pointer (RFC 6901) into the body, such as /result/ok."
    )
    equals: AnyJson = Field(
        None, description="What must stand at the pointer. Without it: anything but null, false or nothing."
    )

    @model_validator(mode="after")
    def _equals_needs_a_pointer(self) -> Self:
        if "equals" in self.model_fields_set and self.pointer is None:
            raise ValueError("equals needs a pointer")
        return self

    def takes_status(self, status: int) -> bool:
        return any(_within(status, str(spec)) for spec in self.statuses)

    def takes_body(self, response: Response) -> bool:
        if self.pointer is None:
            return True
        found = value_at(json_of(response), self.pointer)
        if "equals" not in self.model_fields_set:
            return found is not None and found is not False
        return found == self.equals and isinstance(found, bool) == isinstance(self.equals, bool)  # True == 1 in Python

    def fits(self, response: Response) -> bool:
        return self.takes_status(response.status) and self.takes_body(response)


def _within(status: int, spec: str) -> bool:
    first, _, last = spec.partition("-")
    return int(first) <= status <= int(last or first)


def value_at(value: JsonValue, pointer: str) -> JsonValue:
    """Follow a JSON pointer; None where it leads nowhere."""
    for token in pointer.split("/")[1:]:
        step = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and re.fullmatch(r"0|[1-9][0-9]{0,8}", step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
