"""Every example of the settings is loaded, built and checked."""

import json
import re
from pathlib import Path

import pytest

from bridge.cli.main import main

CONFIG = Path(__file__).parents[3] / "config"
EXAMPLES = sorted(CONFIG.glob("*.yaml"))
URL = "amqp://user:pass@rabbitmq:5672/"
NEEDED = {"__URL": URL, "__SASL__PASSWORD": "pass-1234567890", "STORE__PASSWORD": "pass-1234567890"}
ENVIRONMENT = {
    "TRIGGER_API_KEY": "tr_dev_1234567890",
    "INNGEST_EVENT_KEY": "key-1234567890",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "AUDIT_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "BROKER_TOKEN": "token-1234567890",
    "SINK_TOKEN": "token-0987654321",
}


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_there_is_an_example_for_each_scenario() -> None:
    assert [example.stem for example in EXAMPLES] == [
        "cloudevents", "inngest", "kafka-sasl", "kafka", "many-routes", "ordered", "several-workers",
        "trigger-tasks", "trigger-v1", "trigger-v2", "webhook-signed", "zopio",
    ]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_passes_the_check(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    key.write_text("tr_dev_1234567890\n")
    for end, value in NEEDED.items():
        for name in re.findall(rf"BRIDGE_\w*{end}", example.read_text()):
            monkeypatch.setenv(name, value)
    arguments = ["check", "--json", "-c", str(example)]
    if "/run/secrets" in example.read_text():
        arguments += ["--set", f"target.key_file={key}"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert json.loads(said)["valid"] is True
    assert not any(secret in said for secret in (*ENVIRONMENT.values(), *NEEDED.values(), "pass@"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_says_what_it_needs_and_names_the_schema(example: Path) -> None:
    text = example.read_text()
    assert text.startswith("# yaml-language-server: $schema=./schema.json\n#\n# ")
    assert re.search(r"BRIDGE_\w*SOURCE__(URL|BOOTSTRAP_SERVERS|SASL__PASSWORD)", text)


def test_the_smallest_environment_passes_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (CONFIG / "minimal.env").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)
    assert main(["check"]) == 0
    assert "the settings are valid: 1 route\n" in capsys.readouterr().out
