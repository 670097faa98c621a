"""Write the dashboard; with `--picture`, also draw it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from devtools.dashboard.picture import paint
from devtools.dashboard.show import rehearse
from devtools.dashboard.whole import RUNBOOKS, text

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "deploy" / "grafana" / "event-bridge.json"
PICTURE = ROOT / "docs" / "dashboard.png"


def main(arguments: list[str] | None = None) -> None:
    """Do as told on the command line."""
    parser = argparse.ArgumentParser(prog="python -m devtools.dashboard", description=__doc__)
    parser.add_argument("--output", type=Path, default=PLACE, help="where the dashboard goes")
    parser.add_argument("--runbooks", default=RUNBOOKS, metavar="URL", help="where docs/runbooks can be read")
    parser.add_argument(
        "--picture", action="store_true", help=f"run a bridge with load and faults, and draw {PICTURE.name}"
    )
    parser.add_argument("--seconds", type=float, default=240, help="how long it runs for the picture")
    parser.add_argument("--rate", type=float, default=80, help="events a second on each of two routes, at the peak")
    told = parser.parse_args(arguments)
    made = text(told.runbooks)
    told.output.parent.mkdir(parents=True, exist_ok=True)
    told.output.write_text(made, encoding="utf-8")
    print(f"wrote {told.output}", file=sys.stderr)
    if told.picture:
        dashboard = json.loads(made)
        paint(dashboard, asyncio.run(rehearse(dashboard, seconds=told.seconds, rate=told.rate)), PICTURE)
        print(f"wrote {PICTURE}", file=sys.stderr)


if __name__ == "__main__":
    main()
