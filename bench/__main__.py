"""
The benches by name; all without one.

    python -m bench [road | delays | line | store | shared | workers | clients] [arguments]
"""

from __future__ import annotations

import sys

from bench import clients, delays, line, road, shared, store, workers

BENCHES = {
    "road": road.main,
    "delays": delays.main,
    "line": line.main,
    "store": store.main,
    "shared": shared.main,
    "workers": workers.main,
    "clients": clients.main,
}


def main() -> None:
    name, *arguments = sys.argv[1:] or [""]
    if name in {"-h", "--help", "help"}:
        print(__doc__)
    elif name and name not in BENCHES:
        sys.exit(f"there is no bench {name}; there are {', '.join(BENCHES)}")
    else:
        for chosen in [name] if name else BENCHES:
            sys.argv = [chosen, *arguments]
            BENCHES[chosen]()


if __name__ == "__main__":
    main()
