"""What the page about the settings shows is what happens."""

import re
from pathlib import Path

import pytest

from bridge.settings.load import load
from bridge.settings.problems import Problems

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
WRONG = "source:\n  type: rabitmq\n  queue: events\ntarget:\n  type: inngest\n  url: localhost:8288\n"


@pytest.mark.parametrize("yaml", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_every_example_is_valid(yaml: str, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(yaml)
    urls = {f"BRIDGE_ROUTES__{name}__SOURCE__URL": "amqp://h/" for name in ("ORDERS", "AUDIT")}
    assert load(file=tmp_path / "f.yaml", environment=urls if "routes:" in yaml else {}).settings.routes


def test_the_problems_shown_are_the_problems_said(tmp_path: Path) -> None:
    (tmp_path / "event-bridge.yaml").write_text(WRONG)
    with pytest.raises(Problems) as caught:
        load(file=tmp_path / "event-bridge.yaml", environment={"BRIDGE_SOURCE_URL": "amqp://h/"})
    (shown,) = re.findall(r"```text\nevent-bridge: 3 problems in the settings\n(.*?)```", PAGE, re.DOTALL)
    assert [line.strip() for line in shown.splitlines()] == str(caught.value).splitlines()
