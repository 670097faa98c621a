"""What people see of the settings: everything but secrets, with its place, and loadable again."""

from pathlib import Path

import pytest
import yaml

from bridge.settings.load import Loaded, load
from bridge.settings.shown import as_yaml, masked

YAML = """\
source: {type: rabbitmq, url: "amqp://user:canary-1@host:5673/v", queue: q}
format: raw
target:
  type: webhook
  url: http://h/{{id}}
  headers: {X-Api-Key: canary-2, X-Kind: order}
  auth: {type: bearer, token: canary-3}
limits: {max_hold: 90s, max_event_bytes: 1MiB}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "b.yaml").write_text(YAML)
    return load(file=tmp_path / "b.yaml", environment={"BRIDGE_LOG__LEVEL": "debug"})


def test_secrets_are_masked_and_the_rest_is_shown(loaded: Loaded) -> None:
    route = masked(loaded.settings)["routes"]["default"]
    assert route["source"]["url"] == "amqp://user:***@host:5673/v"
    assert route["target"]["headers"] == {"X-Api-Key": "***", "X-Kind": "order"}
    assert route["target"]["auth"]["token"] == "***"
    assert "canary" not in str(masked(loaded.settings)) + as_yaml(loaded)


def test_a_url_whose_password_cannot_be_told_apart_is_masked_whole(tmp_path: Path) -> None:
    for url in ("amqp://u:pa/ss@h/v", "http://u:canary@h", "amqp://u:canary@h:99999999/", "amqp://[canary"):
        (tmp_path / "b.yaml").write_text(YAML.replace("amqp://user:canary-1@host:5673/v", url))
        try:
            shown = masked(load(file=tmp_path / "b.yaml", environment={}).settings)
        except Exception as refused:  # noqa: BLE001  refusing such a URL is fine, as long as nothing is shown
            shown = {"refused": str(refused)}
        assert "canary" not in str(shown)
        assert "ss@" not in str(shown)


def test_what_was_written_says_where(loaded: Loaded) -> None:
    lines = as_yaml(loaded).splitlines()
    assert next(line for line in lines if "level:" in line).endswith("# BRIDGE_LOG__LEVEL")
    assert next(line for line in lines if "max_hold:" in line).split() == ["max_hold:", '"1m30s"', "#", "b.yaml:8"]
    assert next(line for line in lines if "max_depth:" in line).strip() == "max_depth: 100"


def test_what_is_shown_is_yaml_with_the_same_values(loaded: Loaded) -> None:
    again = yaml.safe_load(as_yaml(loaded))
    assert again["routes"]["default"]["limits"]["max_event_bytes"] == "1MiB"
    assert again == masked(loaded.settings, in_words=True)


def test_machines_get_numbers(loaded: Loaded) -> None:
    assert masked(loaded.settings)["routes"]["default"]["limits"]["max_hold"] == 90
