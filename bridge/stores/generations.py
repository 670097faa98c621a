"""The exact sets of done keys in memory, a generation each, so that a lookup never leaves the event loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

KEY_BYTES: Final = 16
SHARDS: Final = 256

# One big set stalls the loop while it grows or is cleared: 200 ms at 5 million keys, where 256 small ones (by the
# key's first byte, keys being hashes) never take more than 3 ms a step. Sets that exist before `gc.freeze()` stay out
# of every later garbage collection, however much is put into them: hence a pool, filled once. (facts: measured)
_POOL: Final = 10

Shards = list[set[bytes]]


def _fresh() -> Shards:
    return [set() for _ in range(SHARDS)]


class Generations:
    """
    Keys in the generation that they were written to, named by the time at which it began (epoch ms).

    A generation takes keys for `span` ms or until its table is full, and is remembered for `ttl` ms after that.
    """

    def __init__(self, *, ttl: int, span: int) -> None:
        self._life = ttl + span
        self._pool = [_fresh() for _ in range(_POOL)]
        self._live: dict[int, Shards] = {}
        self._until: dict[int, int] = {}
        self._newest_first: list[Shards] = []

    def __len__(self) -> int:
        return sum(len(shard) for shards in self._newest_first for shard in shards)

    def known(self, key: bytes) -> bool:
        first = key[0]
        for shards in self._newest_first:  # noqa: SIM110  `any()` over a generator takes twice as long, on the hot path
            if key in shards[first]:
                return True
        return False

    def until(self, key: bytes) -> int | None:
        """When the key is forgotten; None where it is not known."""
        return max((self._until[born] for born, shards in self._live.items() if key in shards[key[0]]), default=None)

    def begin(self, born: int, now: int) -> None:
        """
        Make room for a generation. One that was born in the future counts as born now.

        That happens when the clock was ahead and was set back over a restart; without the cut its keys would stay for
        as long as the clock was wrong.
        """
        if born not in self._live:
            self._live[born] = self._pool.pop() if self._pool else _fresh()
            self._until[born] = min(born, now) + self._life
            self._newest_first = [self._live[each] for each in sorted(self._live, reverse=True)]

    def add(self, born: int, keys: Sequence[bytes]) -> None:
        shards = self._live[born]
        for key in keys:
            shards[key[0]].add(key)

    def expired(self, now: int) -> list[int]:
        return [born for born, until in self._until.items() if until <= now]

    def oldest(self) -> int | None:
        """The generation that would expire first, unless it is the only one."""
        return min(self._until, key=lambda born: (self._until[born], born)) if len(self._until) > 1 else None

    def size(self, born: int) -> int:
        return sum(map(len, self._live[born]))

    def forget(self, born: int) -> Iterator[None]:
        """
        Know nothing of the generation from now on, and clear its sets one shard a step.

        The sets go back to the pool with the last step, since only they are outside of the garbage collector's reach.
        """
        shards = self._live.pop(born)
        del self._until[born]
        self._newest_first = [self._live[each] for each in sorted(self._live, reverse=True)]
        return self._clear(shards)

    def _clear(self, shards: Shards) -> Iterator[None]:
        for shard in shards:
            shard.clear()
            yield
        self._pool.append(shards)


def split(block: bytes) -> list[bytes]:
    """The keys of a block, which is nothing but keys end to end."""
    return [block[at : at + KEY_BYTES] for at in range(0, len(block), KEY_BYTES)]
