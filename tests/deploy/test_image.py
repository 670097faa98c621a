"""The image: built for real, run by a real OCI runtime with nothing it does not need, between a broker and an API."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from devtools.image import Image
from devtools.oci import UID, Container, Mount
from devtools.processes import CommandError, run, wait_until
from devtools.scratch import free_port
from tests.deploy.conftest import ROOT
from tests.deploy.road import Road

SIZE = 100_000_000
"""Bytes that the image may put on top of its base."""

pytestmark = pytest.mark.timeout(600)  # the first one builds


def test_the_dockerfile_is_clean() -> None:
    run([str(Path(sys.executable).with_name("hadolint")), str(ROOT / "Dockerfile")])


def test_what_the_image_says_of_itself(image: Image) -> None:
    said = image.facts["config"]
    assert said["User"] == "10001:10001"
    assert said["Entrypoint"] == ["event-bridge"]
    assert said["StopSignal"] == "SIGTERM"
    assert said["Healthcheck"]["Test"] == ["CMD", "event-bridge", "health"]
    label = {name.rpartition("image.")[2]: text for name, text in said["Labels"].items() if "opencontainers" in name}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert label["title"] == project["name"]
    assert label["version"] == project["version"]
    assert label["licenses"] == project["license"]
    assert label["base.name"] == "localhost/base"
    assert label["revision"] == "unknown"  # for whoever builds it to say
    assert "/var/lib/event-bridge" in said["Volumes"]


def test_the_image_is_small_and_holds_no_tools(image: Image) -> None:
    assert image.size < SIZE, f"{image.size / 1e6:.0f} MB on top of the base"
    assert not list(image.root.glob("opt/event-bridge/bin/pip*"))
    assert not (image.root / "src").exists()
    assert not (image.root / "opt/tools").exists()


def test_the_paper_says_how_large_it_is(image: Image) -> None:
    paper = (ROOT / "docs/container.md").read_text()
    (said,) = re.findall(r"It adds\s+(\d+) MB to its base", paper)
    assert abs(image.size / 1e6 - int(said)) <= 3


def test_nothing_in_it_may_be_written_by_its_user(image: Image) -> None:
    files = [path for path in (image.root / "opt/event-bridge").rglob("*") if not path.is_symlink()]
    assert [path for path in files if path.stat().st_mode & 0o022 or path.stat().st_uid == UID] == []


def _bridge(image: Image, environment: Mapping[str, str], state: Path) -> Container:
    home = "/var/lib/event-bridge"
    keys = Mount(state, home, read_only=False)
    return Container(image.root, ["event-bridge", "run"], environment, mounts=[keys], home=home)


@pytest.fixture
def run_bridge(image: Image, state: Path) -> Iterator[Callable[[Mapping[str, str]], Container]]:
    started: list[Container] = []

    def start(environment: Mapping[str, str]) -> Container:
        container = _bridge(image, environment, state)
        started.append(container)
        container.start()
        return container

    yield start
    for container in started:
        container.close()


def test_events_flow_and_it_drains(laid: Road, run_bridge: Callable[[Mapping[str, str]], Container]) -> None:
    laid.publish(50, "order.early")
    container = run_bridge(laid.environment)
    wait_until(laid.ready, within=60, what="/readyz is green")
    laid.publish(50, "order.late")
    wait_until(lambda: laid.arrived("order.early") == laid.arrived("order.late") == 50, within=60, what="all arrived")
    assert json.loads(container.run("event-bridge", "health", "--ready"))["ready"] is True
    assert container.stop(within=40) == 0, container.log
    assert '"event":"stopped"' in container.log
    wait_until(laid.settled, within=30, what="everything is settled")


def test_it_runs_without_any_right(laid: Road, run_bridge: Callable[[Mapping[str, str]], Container]) -> None:
    container = run_bridge(laid.environment)
    wait_until(laid.ready, within=60, what="/readyz is green")
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{container.pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert {int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"
    with pytest.raises(CommandError, match="Read-only file system"):
        container.run("/usr/bin/touch", "/opt/event-bridge/new")


def test_number_one_ends_on_sigterm_while_nothing_is_reached(
    laid: Road, run_bridge: Callable[[Mapping[str, str]], Container]
) -> None:
    container = run_bridge({**laid.environment, "BRIDGE_SOURCE__URL": f"amqp://guest:guest@127.0.0.1:{free_port()}/"})
    wait_until(lambda: "waiting_to_open" in container.log, within=60, what="it tries")
    with pytest.raises(CommandError):
        container.run("event-bridge", "health", "--ready")
    assert container.stop(within=40) == 0, container.log


def test_wrong_settings_end_it_with_78(image: Image, state: Path) -> None:
    environment = {"PATH": "/opt/event-bridge/bin", "BRIDGE_SOURCE__TYPE": "rabbitmqq"}
    container = _bridge(image, environment, state)
    assert container.run_to_end(within=60) == 78
    assert "source" in container.log
