"""What Kafka's image makes of what a node in a container tells it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from devtools import kafka_security
from devtools.containers import engine_answers
from devtools.kafka_container import CONFIGS, ContainedKafkaNode, credential, environment
from devtools.kafka_jars import jars, java
from devtools.kafka_lab import Lab
from devtools.kafka_node import QUICK, SCRAM, WIRE, KafkaNode, Plan
from devtools.processes import run

TLS = Path(__file__).parents[2] / "fakes" / "tls"


@pytest.mark.parametrize("secured", [False, True])
def test_the_image_makes_of_its_variables_the_settings_that_were_meant(
    tmp_path: Path, kafka_version: str, secured: bool
) -> None:
    plan = kafka_security.plan(kafka_version, TLS, {}) if secured else Plan(kafka_version)
    addresses = {name: f"127.0.0.1:{port}" for port, name in enumerate((*plan.protocols, WIRE), start=9092)}
    wanted = plan.properties(addresses, addresses, "127.0.0.1:9091", str(tmp_path / "data"))
    written = in_a_container(plan) if engine_answers() else by_its_own_program(wanted, plan.version, tmp_path)
    settings = dict(line.split("=", 1) for line in written.splitlines() if line)
    assert settings.keys() == wanted.keys()
    for name in {**QUICK, **plan.settings, "process.roles": "", "listener.security.protocol.map": ""}:
        assert settings[name].replace(r"\n", "\n") == wanted[name]


def by_its_own_program(settings: Mapping[str, str], version: str, folder: Path) -> str:
    """The image's program is among the jars: it writes the settings, and formats."""
    command = [java(), "-cp", f"{jars(version)}/*", "kafka.docker.KafkaDockerWrapper", "setup"]
    for name in ("default", "mounted", "final"):
        (folder / name).mkdir()
        command += [f"--{name}-configs-dir", str(folder / name)]
    run(command, env={**environment(settings, "384m"), "PATH": os.environ["PATH"]})
    assert (folder / "data" / "meta.properties").exists()
    return (folder / "final" / "server.properties").read_text()


def in_a_container(plan: Plan) -> str:
    with ContainedKafkaNode(plan) as node:
        return node._run("cat", "/opt/kafka/config/server.properties")


@pytest.mark.parametrize("mechanism", SCRAM)
async def test_the_image_lets_scram_know_a_user(secured_kafka: KafkaNode, unique: str, mechanism: str) -> None:
    words = credential(secured_kafka.bootstrap, unique, mechanism, "secret")
    if isinstance(secured_kafka, ContainedKafkaNode):
        await asyncio.to_thread(secured_kafka._run, CONFIGS, *words)
    else:
        command = [java(), "-cp", f"{jars(secured_kafka.version)}/*", "kafka.admin.ConfigCommand"]
        await asyncio.to_thread(run, [*command, *words])
    sasl = {"sasl_mechanism": mechanism, "sasl_plain_username": unique, "sasl_plain_password": "secret"}
    async with Lab(secured_kafka.address("SASL_PLAINTEXT"), security_protocol="SASL_PLAINTEXT", **sasl) as lab:
        assert await lab.topics() == []
