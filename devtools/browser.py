"""The Chromium that the tests of pages are driven with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from devtools import debian
from devtools.processes import CommandError, MissingError

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> Path:
    """Return the program, installed from Debian's package if need be. Raises MissingError where that cannot be."""
    found = _find()
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        try:
            debian.install("chromium")
        except CommandError as error:
            raise MissingError(f"Chromium could not be installed: {error}") from error
        found = _find()
    if found is None:
        raise MissingError("Chromium is not at hand; install the package chromium or Google Chrome")
    return found


def _find() -> Path | None:
    return next((Path(path) for name in NAMES if (path := shutil.which(name))), None)
