"""
The commands of the papers work as they are written.

A block of commands says in its first line who runs it: `exec` (this test does, all of it), `serves` (this test starts
and stops it), `broker` and `kafka` (need one: `test_docs_broker.py` does; here their arguments are understood), `dev`,
`install`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from bridge.cli.main import parser
from tests.unit.markdown import ROOT, Fence, Paper, paper, papers
from tests.unit.terminal import Terminal

MARKS = {"exec", "serves", "broker", "kafka", "dev", "install"}
LISTENING = re.compile(r"http://127\.0\.0\.1:\d+")


def _fences(mark: str) -> list[object]:
    found = [(one, fence) for one in papers() for fence in one.fences if fence.language == "sh" and fence.mark == mark]
    return [pytest.param(one, fence, id=f"{one.name}-{number}") for number, (one, fence) in enumerate(found)]


def _files() -> list[object]:
    found = [(one, fence) for one in papers() for fence in one.fences if re.fullmatch(r"[\w-]+\.yaml", fence.mark)]
    return [pytest.param(fence, id=f"{one.name}-{fence.mark}") for one, fence in found]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_every_block_of_commands_says_who_runs_it() -> None:
    unmarked = [(one.name, fence.text) for one in papers() for fence in one.fences if _unmarked(one, fence)]
    assert unmarked == []


def _unmarked(one: Paper, fence: Fence) -> bool:
    ours = one.path.parent == ROOT or one.name in {"docs/operations.md", "docs/promise.md", "docs/index.md"}
    return ours and fence.language in {"sh", "bash", "console", "shell"} and fence.mark not in MARKS


@pytest.mark.parametrize(("one", "fence"), _fences("exec"))
def test_commands_run(one: Paper, fence: Fence, terminal: Terminal) -> None:
    run = terminal.run(fence.text)
    assert run.returncode == 0, f"{one.name}: {run.stdout}{run.stderr}"


@pytest.mark.parametrize(("one", "fence"), _fences("serves"))
def test_servers_start_and_stop(one: Paper, fence: Fence, terminal: Terminal) -> None:
    (line,) = fence.lines
    arguments = [*shlex.split(line), "--port", "0"]
    with subprocess.Popen(
        arguments,
        cwd=terminal.folder,
        env=terminal.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            told = next((text for text in server.stdout if LISTENING.search(text)), "")
        finally:
            server.terminate()
        rest = server.stdout.read()
    assert LISTENING.search(told), one.name
    assert server.returncode == 0, rest


@pytest.mark.parametrize(
    ("one", "fence"), [*_fences("broker"), *_fences("kafka"), *_fences("exec"), *_fences("serves")]
)
def test_arguments_are_understood(one: Paper, fence: Fence) -> None:
    for line in fence.lines:
        command, *arguments = shlex.split(line.partition(">")[0])
        if command == "event-bridge" and not {"--help", "--version"} & set(arguments):
            assert parser().parse_args(arguments).command in arguments, one.name


@pytest.mark.parametrize("fence", _files())
def test_settings_files_pass_the_check(fence: Fence, terminal: Terminal) -> None:
    terminal.write(fence.mark, fence.text)
    run = terminal.run(f"event-bridge check -c {fence.mark}")
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_wrong_settings_file_ends_with_78(terminal: Terminal) -> None:
    terminal.write("wrong.yaml", "source: {type: rabbitmq, queu: orders}\n")
    run = terminal.run("event-bridge check -c wrong.yaml")
    assert run.returncode == 78, run.stdout + run.stderr
    assert "queu" in run.stderr


def test_a_wrong_command_line_ends_with_2(terminal: Terminal) -> None:
    assert terminal.run("event-bridge check --conect").returncode == 2


def test_what_is_installed_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = {name for line in paper("README.md").marked("install").lines for name in re.findall(r"\[(\w+)\]", line)}
    assert named
    assert named <= extras.keys()
