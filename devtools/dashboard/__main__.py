"""Write the dashboard: `python -m devtools.dashboard`; with `--picture`, also run and draw it."""

from __future__ import annotations

import sys
from pathlib import Path

from devtools.dashboard.whole import text

PLACE = Path(__file__).parents[2] / "deploy" / "grafana" / "event-bridge.json"

if __name__ == "__main__":
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(text(), encoding="utf-8")
    print(f"wrote {PLACE}", file=sys.stderr)
