"""
`event-bridge health`: ask the running bridge how it is, for health checks of containers.

Such a check runs every few seconds, so it imports next to nothing and reads no settings file: the address is that of
the option, else of BRIDGE_ADMIN__PORT on this machine.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
from urllib.parse import urlsplit

from bridge.cli.main import FAULT, OK
from bridge.errors import ConfigError

PORT = "9464"
"""Where the admin port is unless the settings say otherwise."""

LIMIT = 4.0  # seconds that the whole may take
MAX_ANSWER = 64 << 10  # bytes


def main(options: argparse.Namespace) -> int:
    """0: it is live (or ready); 1: it is not, does not answer, or is not there. What it says is printed."""
    host, port = _address(options.url)
    path = "/readyz" if options.ready else "/livez"
    connection = http.client.HTTPConnection(host, port, timeout=LIMIT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said, good = answer.read(MAX_ANSWER).decode("utf-8", "replace"), answer.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException) as error:
        said, good = f"no answer from http://{host}:{port}{path}: {str(error) or type(error).__name__}", False
    finally:
        connection.close()
    print(said, file=sys.stdout if good else sys.stderr)
    return OK if good else FAULT


def _address(url: str | None) -> tuple[str, int]:
    """Host and port to ask. Raises ConfigError for what is no address."""
    field = "--url" if url else "BRIDGE_ADMIN__PORT"
    cure = "Write http://127.0.0.1:9464" if url else "Write a number, such as 9464"
    try:
        parts = urlsplit(url or f"http://127.0.0.1:{os.environ.get('BRIDGE_ADMIN__PORT') or PORT}")
        host, port = parts.hostname, parts.port or int(PORT)
    except ValueError:
        raise ConfigError(field, "holds no port", cure) from None
    if parts.scheme != "http" or not host:
        raise ConfigError(field, "is no http address", cure)
    return host, port
