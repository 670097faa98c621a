"""The command line itself: help, versions, exit codes, and that it starts quickly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli.main import CONFIG, main, parser, report
from bridge.errors import ConfigError
from bridge.settings.problems import Problem, Problems

COMMANDS = ("run", "check", "publish", "dlq", "schema", "devserver")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"event-bridge {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"event-bridge {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "check", "publish"])
def test_settings_are_given_alike_to_each_command(command: str) -> None:
    arguments = [command, "-c", "f.yaml", "--set", "a=1", "--set", "b=2"]
    options = parser().parse_args([*arguments, *(["--name", "n"] if command == "publish" else [])])
    assert (options.config, options.assignments) == (Path("f.yaml"), ["a=1", "b=2"])


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["run", "--fast"], ["publish"], ["publish", "--name", "n", "--shape", "x"]]
)
def test_a_mistyped_command_line_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: event-bridge" in capsys.readouterr().err


def test_help_answers_without_importing_the_bridge() -> None:
    code = "import sys, json, bridge.cli.main as m; m.parser().format_help(); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    imported = set(json.loads(done.stdout))
    assert not imported & {"pydantic", "aiohttp", "orjson", "yaml", "prometheus_client", "aio_pika", "asyncio"}


def test_problems_are_listed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    report(ConfigError("a.b", "is wrong", "Correct it"))
    assert capsys.readouterr().err == "event-bridge: one problem in the settings\n  a.b: is wrong. Correct it.\n"
    report(
        Problems(
            [
                Problem("b", "is wrong", "Did you mean c?", where="f:2"),
                Problem("a", "is missing", "Set it", where="f:1"),
            ]
        )
    )
    assert capsys.readouterr().err == (
        "event-bridge: 2 problems in the settings\n  f:1: a: is missing. Set it.\n  f:2: b: is wrong. Did you mean c?\n"
    )


@pytest.mark.parametrize("command", ["run", "check", "publish"])
def test_settings_that_cannot_work_end_with_78(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [command, "-c", str(tmp_path / "no.yaml"), *(["--name", "n"] if command == "publish" else [])]
    assert main(arguments) == CONFIG
    assert "no.yaml: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_an_international_name_of_a_host_ends_with_78_and_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bridge.yaml"
    target = "{type: webhook, url: 'http://b\u00fccher.example/x'}"
    config.write_text(f"source: {{type: memory}}\ntarget: {target}\n", "utf-8")
    assert main(["run", "-c", str(config)]) == CONFIG
    assert "target: needs a host, in ASCII (an international name in its xn-- form)" in capsys.readouterr().err
