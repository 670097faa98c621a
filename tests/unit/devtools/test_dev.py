"""The script `./dev`: its words, and when it installs. The Python it calls is a stand-in that writes down each call."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEV = ROOT / "dev"

STAND_IN = """\
#!/bin/sh
[ "$*" = --version ] || echo "$*" >>"$CALLS"
case "$*" in
--version) echo Python 3.11.0 ;;
*"$REFUSED"*) exit 1 ;;
esac
"""

INSTALLED_UV = "-m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/uv.txt"
INSTALLED_BY_UV = "-m uv pip install -q --python .venv/bin/python --require-hashes -r requirements/dev.txt"
INSTALLED_BY_PIP = "-m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt"
RAN = "-m pytest tests/x.py"


@dataclass
class Tree:
    """A checkout whose environment holds the stand-in."""

    path: Path

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        environment = {"REFUSED": "nothing is", **os.environ, "CALLS": str(self.path / "calls"), **environment}
        command = [str(self.path / "dev"), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, **environment: str) -> tuple[int, list[str]]:
        """Return the exit code and what the stand-in was called with."""
        (self.path / "calls").write_text("")
        with self.start(*arguments, **environment) as process:
            process.communicate(timeout=30)
        return process.returncode, self.calls()

    def calls(self) -> list[str]:
        return (self.path / "calls").read_text().splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for name in ("dev", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    stand_in = tmp_path / ".venv/bin/python"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    return Tree(tmp_path)


@pytest.mark.parametrize("shell", [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)])
def test_it_is_a_script_for_every_posix_shell(shell: str) -> None:
    assert DEV.read_text().startswith("#!/bin/sh\n")
    subprocess.run([shell, "-n", DEV], check=True)
    usage = subprocess.run([shell, DEV, "help"], check=True, capture_output=True, text=True).stdout
    assert usage.startswith("usage: ./dev <command>")


@pytest.mark.parametrize("command", ["demo", "test", "lint", "bench", "lock", "help"])
def test_help_names_every_command(command: str) -> None:
    for asked in (["help"], ["--help"], []):
        done = subprocess.run([DEV, *asked], check=True, capture_output=True, text=True)
        assert f"\n  {command}" in done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    done = subprocess.run([DEV, "tset"], check=False, capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr.startswith("usage:")


def test_the_first_call_installs_what_is_locked_and_then_runs(tree: Tree) -> None:
    code, calls = tree.run("test", "tests/x.py")
    assert code == 0
    assert [call for call in calls if "-e ." not in call] == ["-m pip --version", INSTALLED_UV, INSTALLED_BY_UV, RAN]


def test_a_second_call_just_runs(tree: Tree) -> None:
    tree.run("test", "tests/x.py")
    assert tree.run("test", "tests/x.py") == (0, [RAN])


@pytest.mark.parametrize("changed", ["requirements/dev.txt", "requirements/uv.txt", "pyproject.toml"])
def test_another_lock_file_is_installed(tree: Tree, changed: str) -> None:
    tree.run("test", "tests/x.py")
    with (tree.path / changed).open("a") as file:
        file.write("# another\n")
    assert INSTALLED_BY_UV in tree.run("test", "tests/x.py")[1]


def test_where_uv_cannot_install_pip_does(tree: Tree) -> None:
    code, calls = tree.run("test", "tests/x.py", REFUSED="-m uv")
    assert code == 0
    assert INSTALLED_BY_PIP in calls


def test_a_failed_installation_runs_nothing_and_is_tried_again(tree: Tree) -> None:
    code, calls = tree.run("test", "tests/x.py", REFUSED="requirements/dev.txt")
    assert code != 0
    assert RAN not in calls
    assert INSTALLED_BY_UV in tree.run("test", "tests/x.py")[1]


def test_two_calls_at_once_install_once(tree: Tree) -> None:
    both = [tree.start("test", "tests/x.py") for _ in range(2)]
    for process in both:
        with process:
            process.communicate(timeout=30)
        assert process.returncode == 0
    assert sorted(call for call in tree.calls() if call in (INSTALLED_BY_UV, RAN)) == [RAN, RAN, INSTALLED_BY_UV]


def test_the_whole_suite_prepares_the_machine_and_runs_in_parallel(tree: Tree) -> None:
    tree.run("test", "tests/x.py")
    _, (prepared, ran) = tree.run("test")
    assert prepared == "-m devtools.machine"
    assert ran.startswith("-m pytest -n ")


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        ([], "-n 2 --dist loadgroup"),
        (["--kube-apiserver"], "-n 2 --dist loadgroup --kube-apiserver"),
        (["-k", "image"], "-k image"),
        (["--kube-apiserver", "-x"], "--kube-apiserver -x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_deployed_is_tested_by_two_at_a_time_unless_told(tree: Tree, arguments: list[str], ran: str) -> None:
    _, calls = tree.run("deploy-test", *arguments)
    assert calls[-1] == f"-m pytest tests/deploy {ran}"


def test_without_python_it_says_what_to_install(tree: Tree) -> None:
    shutil.rmtree(tree.path / ".venv")
    bin_ = tree.path / "bin"
    bin_.mkdir()
    for tool in ("cat", "cksum", "dirname", "flock", "mkdir"):
        (bin_ / tool).symlink_to(str(shutil.which(tool)))
    (bin_ / "id").write_text("#!/bin/sh\necho 1000\n")
    (bin_ / "id").chmod(0o755)
    with tree.start("test", PATH=str(bin_), HOME=str(tree.path)) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 69
    assert "please install python3" in said


def test_ci_runs_what_developers_run() -> None:
    script = ROOT / ".ci/run"
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert [line for line in text.splitlines() if line.startswith("./dev ")] == [
        "./dev deploy-test || code=$?",
        "./dev test || code=$?",
    ]
    assert text.endswith('exit "$code"\n')


@pytest.mark.parametrize(
    ("deploy", "suite", "code"),
    [(0, 0, 0), (1, 0, 1), (0, 1, 1), (2, 0, 2)],
    ids=["well", "deploy", "suite", "its-code"],
)
def test_ci_runs_both_and_fails_with_either(tmp_path: Path, deploy: int, suite: int, code: int) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    entry = tmp_path / "dev"
    entry.write_text(f'#!/bin/sh\necho "$1"\n[ "$1" = test ] && exit {suite}\nexit {deploy}\n')
    entry.chmod(0o755)
    done = subprocess.run(["bash", tmp_path / ".ci/run"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (code, ["deploy-test", "test"])
