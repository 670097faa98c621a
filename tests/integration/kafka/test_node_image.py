"""What Kafka's image makes of the variables that a node in a container is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devtools import kafka_security
from devtools.containers import engine_answers
from devtools.kafka_container import environment
from devtools.kafka_jars import jars, java
from devtools.kafka_node import WIRE, Plan
from devtools.processes import run

TLS = Path(__file__).parents[2] / "fakes" / "tls"


@pytest.mark.skipif(engine_answers(), reason="the other tests run the image itself, and no jars are at hand")
@pytest.mark.parametrize("secured", [False, True])
def test_the_image_makes_of_its_variables_the_settings_that_were_meant(
    tmp_path: Path, kafka_version: str, secured: bool
) -> None:
    """Its own program is among the jars; it writes the settings and formats."""
    plan = kafka_security.plan(kafka_version, TLS, {}) if secured else Plan(kafka_version)
    addresses = {name: f"127.0.0.1:{port}" for port, name in enumerate((*plan.protocols, WIRE), start=9092)}
    wanted = plan.properties(addresses, addresses, "127.0.0.1:9091", str(tmp_path / "data"))
    command = [java(), "-cp", f"{jars(kafka_version)}/*", "kafka.docker.KafkaDockerWrapper", "setup"]
    for name in ("default", "mounted", "final"):
        (tmp_path / name).mkdir()
        command += [f"--{name}-configs-dir", str(tmp_path / name)]
    run(command, env={**environment(wanted, "384m"), "PATH": os.environ["PATH"]})
    written = (tmp_path / "final" / "server.properties").read_text()
    settings = dict(line.split("=", 1) for line in written.splitlines() if line)
    assert {name: value.replace(r"\n", "\n") for name, value in settings.items()} == wanted
    assert (tmp_path / "data" / "meta.properties").exists()
