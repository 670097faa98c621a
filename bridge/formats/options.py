"""What the settings of all formats have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from bridge.formats.fields import LONGEST
from bridge.formats.shape import MissingId, Rules
from bridge.ports import Format

HeaderName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
EventName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]


class FormatOptions(BaseModel, ABC):
    """Settings of one format."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def build(self, *, max_event_bytes: int, max_depth: int, missing_id: MissingId) -> Format:
        """Make the format. Bodies over `max_event_bytes` or `max_depth` are refused, and with "reject" missing ids."""
        return self.build_by(Rules(max_event_bytes=max_event_bytes, max_depth=max_depth, missing_id=missing_id))

    @abstractmethod
    def build_by(self, rules: Rules) -> Format:
        """Make the format, held to `rules`."""
