"""
A stand-in for a Docker engine: it keeps the books on one container and answers as the engine's API does (v1.50).

What "runs" in there is a port that tells whoever asks it for a Kafka's brokers that there is one.
"""

from __future__ import annotations

import json
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CREATED = "created"
RUNNING = "running"
PAUSED = "paused"
EXITED = "exited"

# by what is asked for: which state it takes, and which it leads to
CHANGES = {
    "start": ({CREATED, EXITED}, RUNNING),
    "stop": ({RUNNING}, EXITED),
    "kill": ({RUNNING, PAUSED}, EXITED),
    "pause": ({RUNNING}, PAUSED),
    "unpause": ({PAUSED}, RUNNING),
}


class Broker(socketserver.ThreadingTCPServer):
    """Answers every request with its length, number 7 and one broker."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                if self.request.recv(1024):
                    self.request.sendall(struct.pack("!iii", 8, 7, 1))

        super().__init__(("127.0.0.1", port), Answer)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Engine:
    def __init__(self) -> None:
        self.state: str | None = None
        self.asked: dict[str, Any] = {}
        """What the container was created from."""
        self.done: list[str] = []
        self.executed: list[list[str]] = []
        self._broker: Broker | None = None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return the status and the body, which is JSON unless it is bytes."""
        if path in {"/version", "/_ping"} or path.startswith("/images/"):
            return 200, {"ApiVersion": "1.50", "Id": "sha256:1"}
        if path == "/containers/create":
            self.asked, self.state = body, CREATED
            return 201, {"Id": "c1", "Warnings": []}
        if path.endswith("/exec"):
            self.executed.append(body["Cmd"])
            return 201, {"Id": "e1"}
        if path.startswith("/exec/"):
            return 200, b"" if method == "POST" else {"ExitCode": 0}
        if self.state is None:
            return 404, {"message": "No such container: c1"}
        return self._at_container(method, path.rpartition("/")[2])

    def _at_container(self, method: str, what: str) -> tuple[int, Any]:
        if method == "DELETE":
            self._become(None)
        elif what == "json":
            return 200, {"Id": "c1", "State": {"Status": self.state}, "Config": {"Tty": True}}
        elif what == "logs":
            return 200, b"last words"
        elif what == "wait":
            return 200, {"StatusCode": 137}
        else:
            before, after = CHANGES[what]
            if self.state not in before:
                return 409, {"message": f"cannot {what} a container that is {self.state}"}
            self.done.append(what)
            self._become(after)
        return 204, b""

    def _become(self, state: str | None) -> None:
        self.state = state
        if state == RUNNING and self._broker is None:
            ((binding,), *_) = self.asked["HostConfig"]["PortBindings"].values()
            self._broker = Broker(int(binding["HostPort"]))
        elif state not in {RUNNING, PAUSED} and self._broker is not None:
            self._broker.close()
            self._broker = None


@contextmanager
def serving(path: Path) -> Iterator[Engine]:
    """Serve an engine's API at a socket in the file system."""
    engine = Engine()

    class Api(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            asked = re.sub(r"^/v[\d.]+", "", urlsplit(self.path).path)
            status, answer = engine.answer(self.command, asked, body)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815  the names that the standard library calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  named there
            pass

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            request, _ = super().get_request()
            return request, ("local", 0)

    with Server(str(path), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield engine
        finally:
            engine.answer("DELETE", "/containers/c1", None)
            server.shutdown()
            thread.join()
