"""Headers whose names may repeat, as Kafka has them, for code that looks one up by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Pair: TypeAlias = "tuple[str, bytes | None]"


class Pairs(Mapping[str, object]):
    """
    Names and values in their order. Of a name that repeats, a look-up finds the last.

    Where no name repeats a dict says the same and is quicker: `mapping_of` takes whichever will do.
    """

    __slots__ = ("_last", "pairs")

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = tuple(pairs)
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> bytes | None:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._last)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Pairs):
            return self.pairs == other.pairs
        return self._last == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # like every mapping that is compared by what is in it

    def __repr__(self) -> str:
        return f"Pairs({list(self.pairs)!r})"


def mapping_of(pairs: Sequence[Pair]) -> Mapping[str, object]:
    """The pairs as a mapping that forgets none of them."""
    headers: dict[str, object] = dict(pairs)
    return headers if len(headers) == len(pairs) else Pairs(pairs)


def pairs_of(headers: Mapping[str, object]) -> Sequence[tuple[str, object]]:
    """Every name and value, in order, repeated ones too."""
    return headers.pairs if isinstance(headers, Pairs) else tuple(headers.items())
