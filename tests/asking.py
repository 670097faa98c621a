"""A GET to a port of this machine, for tests that look at a process from outside."""

from __future__ import annotations

import http.client


def get(port: int, path: str, *, patience: float = 10.0) -> tuple[int, str]:
    """Status and body; status 0 where nobody answers within `patience` seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
