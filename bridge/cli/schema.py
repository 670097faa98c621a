"""`event-bridge schema`: the settings as a JSON schema for editors; they, or the metrics, as a page for people."""

from __future__ import annotations

import argparse
import sys

from bridge.settings.document import reference
from bridge.settings.schema import as_json
from bridge.telemetry import catalogue


def main(options: argparse.Namespace) -> int:
    """Print it."""
    if options.metrics:
        sys.stdout.write(catalogue.reference())
    else:
        sys.stdout.write(reference() if options.markdown else as_json())
    sys.stdout.flush()
    return 0
