"""How many processors this process may use: what `workers: auto` means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bridge.settings.tree import MOST_WORKERS

_TREE = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def workers_of(wanted: int | str) -> int:
    """Give the number behind the setting `workers`."""
    return wanted if isinstance(wanted, int) else min(usable(), MOST_WORKERS)


def usable(*, tree: Path = _TREE, own: Path = _OWN) -> int:
    """
    Give the CPUs that the scheduler lets this process use, and no more than its cgroup pays for; at least 1.

    A share of a CPU is left out: a worker that has to wait for it would hold up what it has taken from the broker.
    `cpu.max` is that of cgroup v2: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    return max(1, min([_scheduled(), *_quotas(tree, own)]))


def _scheduled() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(tree: Path, own: Path) -> Iterator[int]:
    """Give the whole CPUs that each group on the way from the root allows: the limit of a parent binds its children."""
    for line in _text(own).splitlines():
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0":
            group = tree / path.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(tree):
                    yield from _quota(_text(folder / "cpu.max"))


def _quota(text: str) -> Iterator[int]:
    """Read "150000 100000" (microseconds of CPU in a period) or "max 100000"."""
    words = text.split()
    if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):  # noqa: PLR2004  quota and period
        yield int(words[0]) // int(words[1])


def _text(path: Path) -> str:
    """Read a file; a system without it has no such limit."""
    try:
        return path.read_text()
    except OSError:
        return ""
