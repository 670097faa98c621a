"""The benches by name: `python -m bench [road | delays | store | shared | workers] [arguments]`; all without a name."""

from __future__ import annotations

import sys

from bench import delays, road, shared, store, workers

BENCHES = {
    "road": road.main,
    "delays": delays.main,
    "store": store.main,
    "shared": shared.main,
    "workers": workers.main,
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
