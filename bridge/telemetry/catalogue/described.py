"""How one metric is described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


@dataclass(slots=True, frozen=True)
class Described:
    """One metric. Where nothing is ever off, `cure` is ""; names stand in back-ticks, as Markdown wants them."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    cure: str = ""

    @property
    def help(self) -> str:
        """What stands beside its numbers."""
        return f"{self.meaning} {self.cure}".strip().replace("`", "")


ROUTE: Final = ("route",)
