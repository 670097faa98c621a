"""`event-bridge schema`: the settings as a JSON schema for editors, or as a page for people."""

from __future__ import annotations

import argparse
import sys

from bridge.settings.document import reference
from bridge.settings.schema import as_json


def main(options: argparse.Namespace) -> int:
    """Print it."""
    sys.stdout.write(reference() if options.markdown else as_json())
    sys.stdout.flush()
    return 0
