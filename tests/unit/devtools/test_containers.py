"""A Docker engine counts only when it answers."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from devtools.containers import engine_answers


@pytest.mark.parametrize(("status", "answers"), [("200 OK", True), ("503 Service Unavailable", False)])
def test_an_engine_is_known_by_its_ping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, answers: bool
) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")

    def serve() -> None:
        peer, _ = server.accept()
        with peer:
            assert peer.recv(1024).startswith(b"GET /_ping ")
            peer.sendall(f"HTTP/1.0 {status}\r\n\r\nOK".encode())

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        assert engine_answers() is answers
        thread.join()


@pytest.mark.parametrize("address", ["unix:///no/such/docker.sock", "tcp://192.0.2.1:2375"])
def test_no_engine_and_a_remote_engine_do_not_count(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert not engine_answers()
