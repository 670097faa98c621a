"""deploy/compose: valid, its files are there and load, its settings are real, and nothing listens beyond loopback."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from bridge.settings.load import load
from bridge.settings.process import AdminSettings
from devtools import kafka_jars, rabbitmq
from devtools import redis as redises
from devtools.processes import CommandError, run
from tests.composition import FILE, bound, environment, file_at, services
from tests.unit.markdown import ROOT

BRIDGES = [name for name in services() if "BRIDGE_CONFIG" in environment(name)]
OTHERS = sorted({service["image"] for service in services().values()} - {services()["bridge"]["image"]})


def _valid(path: Path) -> str:
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    return run([program, "--builtin-schema", "vendor.compose-spec", str(path)])


def test_it_is_valid() -> None:
    assert "ok" in _valid(FILE)


def test_a_misspelt_key_is_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("read_only:", "read_onlyy:"))
    with pytest.raises(CommandError, match="read_onlyy"):
        _valid(wrong)


def test_every_file_that_is_mounted_is_there_and_cannot_be_written() -> None:
    assert len(bound()) >= 8
    assert [mount for mount in bound() if not mount.source.exists()] == []
    assert [mount for mount in bound() if not mount.read_only] == []


def test_every_volume_is_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in services().values()
        for volume in service.get("volumes", ())
        if volume[0] != "."
    }
    assert used == set(yaml.safe_load(FILE.read_text())["volumes"])


@pytest.mark.parametrize("name", BRIDGES)
def test_the_settings_of_a_bridge_are_valid(name: str) -> None:
    variables = dict(environment(name))
    file = file_at(name, variables.pop("BRIDGE_CONFIG"))
    settings = load(file=file, environment=variables, assignments=[]).settings
    assert settings.admin.host == "0.0.0.0"  # noqa: S104  for Prometheus
    assert settings.drain_timeout < int(services()[name]["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("name", [name for name in services() if services()[name]["image"].startswith("event-bridge")])
def test_a_bridge_has_no_rights(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_nothing_listens_beyond_loopback() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    assert [name for name, service in services().items() if "network_mode" in service] == []


def test_the_admin_port_is_the_one_that_is_published_and_scraped() -> None:
    port = AdminSettings().port
    assert services()["bridge"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    first, second = yaml.safe_load(file_at("prometheus", "/etc/prometheus/prometheus.yml").read_text())[
        "scrape_configs"
    ]
    assert first["static_configs"] == [{"targets": [f"bridge:{port}"]}]
    assert second["dns_sd_configs"] == [{"names": ["bridge-kafka"], "type": "A", "port": port}]


@pytest.mark.parametrize("image", OTHERS)
def test_the_version_of_an_image_is_a_whole_one(image: str) -> None:
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+(-alpine)?", image)


def test_the_image_has_the_version_of_the_project_wherever_it_is_named() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    places = [FILE, *ROOT.glob("deploy/kubernetes/*/*.yaml"), ROOT / "docs/quickstart.md"]
    named = [
        tag for place in places for tag in re.findall(r"event-bridge(?::|, newTag: )(\d[\w.]*)", place.read_text())
    ]
    assert len(named) >= 5
    assert set(named) == {version}
    assert f"ARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text()


def test_the_brokers_are_of_a_version_that_the_suite_runs_on() -> None:
    tag = services()["rabbitmq"]["image"].partition(":")[2]
    assert ".".join(tag.split(".")[:2]) in rabbitmq.VERSIONS
    assert services()["kafka"]["image"].partition(":")[2] in kafka_jars.RELEASES.values()
    assert services()["kafka-topic"]["image"] == services()["kafka"]["image"]


def test_whoever_is_waited_for_is_there_and_says_when_it_is_healthy() -> None:
    for name, service in services().items():
        for other, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert "healthcheck" in services()[other] or not healthy, f"{name} waits for {other}"
            assert set(services()[other].get("profiles", ())) <= set(service.get("profiles", ())), (
                f"{name} needs {other}"
            )


def test_everything_that_stays_up_has_a_health_check() -> None:
    own = {name for name in BRIDGES if "publish" not in name}  # that of the image
    lasting = {name for name, service in services().items() if service.get("restart") == "unless-stopped"} - own
    assert [name for name in sorted(lasting) if "healthcheck" not in services()[name]] == []


def _definitions() -> dict[str, Any]:
    found = json.loads(file_at("rabbitmq", "/etc/rabbitmq/definitions.json").read_text())
    assert isinstance(found, dict)
    return found


def test_rabbitmq_knows_the_users_of_the_urls_and_gives_them_the_rights_of_the_paper() -> None:
    settings = file_at("rabbitmq", "/etc/rabbitmq/conf.d/20-event-bridge.conf").read_text()
    assert "load_definitions = /etc/rabbitmq/definitions.json\n" in settings
    passwords = {user["name"]: user["password"] for user in _definitions()["users"]}
    for name in ("bridge", "publish"):
        url = urlsplit(environment(name)["BRIDGE_SOURCE__URL"])
        assert passwords[url.username or ""] == url.password
    own = next(each for each in _definitions()["permissions"] if each["user"] == "bridge")
    paper = (ROOT / "docs/rabbitmq.md").read_text()
    assert f"bridge '{own['configure']}' '{own['write']}' '{own['read']}'" in paper
    queue = yaml.safe_load(file_at("bridge", "/etc/event-bridge/bridge.yaml").read_text())["source"]["queue"]
    assert [each["name"] for each in _definitions()["queues"]] == [queue]


def test_redis_knows_the_user_of_the_url_and_gives_it_what_it_needs() -> None:
    url = urlsplit(environment("bridge")["BRIDGE_STORE__URL"])
    settings = file_at("redis", "/etc/redis/redis.conf").read_text()
    assert f"user {url.username} on >{url.password} {redises.RIGHTS}\n" in settings
    assert services()["redis"]["command"] == ["redis-server", "/etc/redis/redis.conf"]


def test_prometheus_finds_its_settings_and_the_rules() -> None:
    command = services()["prometheus"]["command"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in command
    settings = yaml.safe_load(file_at("prometheus", "/etc/prometheus/prometheus.yml").read_text())
    (pattern,) = settings["rule_files"]
    mounted = [Path(mount.at) for mount in bound() if mount.service == "prometheus"]
    assert [path for path in mounted if path.match(pattern)]


def test_grafana_finds_its_data_source_and_the_dashboard() -> None:
    provisioning = file_at("grafana", "/etc/grafana/provisioning")
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    url = environment("grafana")[source["url"].removeprefix("$")]
    assert urlsplit(url).hostname == "prometheus"
    (provider,) = yaml.safe_load((provisioning / "dashboards/event-bridge.yaml").read_text())["providers"]
    (board,) = [m for m in bound() if m.service == "grafana" and m.at.startswith(provider["options"]["path"])]
    assert json.loads(board.source.read_text())["panels"]
    assert environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == board.at


def test_nobody_can_log_in_to_grafana() -> None:
    said = environment("grafana")
    assert said["GF_AUTH_BASIC_ENABLED"] == "false"
    assert said["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert said["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
