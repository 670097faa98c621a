"""
The benches by name. Without one: all roads, ours beside its peers.

    ./dev bench [--json FILE] [--quick | --full] [--only ROAD ...]   see `./dev bench --help`
    ./dev bench NAME [arguments]                                     see `./dev bench NAME --help`
"""

from __future__ import annotations

import sys
from importlib import import_module

BENCHES = {
    "compare": "all roads, ours beside its peers: the one without a name",
    "road": "one broker, against the consumer written by hand",
    "line": "the line itself, without a broker and without HTTP",
    "codec": "reading envelopes, writing requests, reading answers",
    "clients": "one POST, by each HTTP client",
    "growth": "how cost grows with events, room in flight, size, keys and delays",
    "tables": "puts the curves of `growth` into docs/performance-growth.md",
    "profile": "where the CPU time of a road goes",
    "delays": "how late delayed events are",
    "store": "the embedded key stores",
    "shared": "Redis beside them, and what a key weighs there",
    "workers": "a second worker: what it brings, and what it costs",
}
"""Each is the module of its name."""


def main() -> None:
    name, *arguments = sys.argv[1:] or [""]
    if name in {"help", "list"}:
        print(__doc__)
        print("\n".join(f"{each:10} {what}" for each, what in BENCHES.items()))
        return
    if not name or name.startswith("-"):
        name, arguments = "compare", sys.argv[1:]
    if name not in BENCHES:
        sys.exit(f"there is no bench {name}; there are {', '.join(BENCHES)}")
    sys.argv = [name, *arguments]
    import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
