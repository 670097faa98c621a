"""What the kernel has in its books about a process: its family, its CPU time, its memory."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_SCHED = 2  # CPUCLOCK_SCHED of the kernel: time on a core in nanoseconds, of all threads, also of those that have ended


def family(pid: int) -> list[int]:
    """A process, its children and theirs, as far as they run. The fourth field of proc(5)'s stat is the parent."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # a stranger that has just ended
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            children[int(fields[1])].append(int(stat.parent.name))
    found = [pid]
    for member in found:  # grows meanwhile
        found += children[member]
    return found


def cpu_seconds(pid: int) -> float:
    """
    User and system time of all threads of a process, to the nanosecond.

    The clock of another process has the number that clock_getcpuclockid(3) makes of its id. What proc(5) says of the
    same time is rounded to hundredths of a second, which is much where 10,000 events take a tenth.
    """
    return time.clock_gettime((~pid << 3) | _SCHED)


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had (VmHWM in proc(5))."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
