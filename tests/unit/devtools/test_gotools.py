from __future__ import annotations

import stat
from pathlib import Path

import pytest

from devtools import crds, debian, gotools
from devtools.gotools import Tool
from devtools.processes import CommandError, MissingError

TOOL = Tool("example.com/tools/cmd/checker", "v1.2.3", replaced=("example.com/a@v1=example.com/b@v2",))

GO = """\
#!/bin/sh
shift; folder=$1; shift
echo "$GOFLAGS: $*" >>"{log}"
case $1 in
build) printf 'a program' >"$folder/program" ;;
get) {get} ;;
esac
[ "$1 $2" != "mod download" ] || echo '{{"GoMod": "{log}.mod"}}'
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("GOFLAGS", "-buildvcs=false")
    return tmp_path / "cache"


def put_on_path(name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    program = folder / name
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_tool_is_built_once_in_a_module_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    put_on_path("go", GO.format(log=log, get=":"), tmp_path / "bin", monkeypatch)
    first, second = gotools.built(TOOL), gotools.built(TOOL)
    assert first == second == tmp_path / "cache/go-tools/checker-v1.2.3"
    assert first.read_text() == "a program"
    assert log.read_text().splitlines() == [
        "-buildvcs=false -trimpath -mod=mod: mod init tools.invalid/one",
        "-buildvcs=false -trimpath -mod=mod: mod edit -replace=example.com/a@v1=example.com/b@v2",
        "-buildvcs=false -trimpath -mod=mod: get -tool example.com/tools/cmd/checker@v1.2.3",
        "-buildvcs=false -trimpath -mod=mod: build -o program example.com/tools/cmd/checker",
    ]
    assert [path.name for path in first.parent.iterdir() if path.is_dir()] == []


def test_modules_that_lie_beside_a_tool_are_taken_as_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    put_on_path("go", GO.format(log=log, get=":"), tmp_path / "bin", monkeypatch)
    lines = [
        "example.com/api v0.0.0",
        "example.com/other v0.0.0-20260101000000-abcdef",
        "example.com/c v0.0.0 // indirect",
    ]
    (tmp_path / "log.mod").write_text("require (\n\t" + "\n\t".join(lines) + "\n)\n")
    gotools.built(Tool("example.com/tools/cmd/server", "v1.2.3", staged="v0.2.3", stamped="example.com/version"))
    assert [line.partition(": ")[2] for line in log.read_text().splitlines()] == [
        "mod init tools.invalid/one",
        "mod download -json example.com/tools@v1.2.3",
        "mod edit -replace=example.com/api=example.com/api@v0.2.3",
        "mod edit -replace=example.com/c=example.com/c@v0.2.3",
        "get -tool example.com/tools/cmd/server@v1.2.3",
        "build -ldflags -X example.com/version=v1.2.3 -o program example.com/tools/cmd/server",
    ]


def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(
        "go", GO.format(log=tmp_path / "log", get="echo no such version >&2; exit 1"), tmp_path / "b", monkeypatch
    )
    with pytest.raises(CommandError, match="no such version"):
        gotools.built(TOOL)
    assert not TOOL.path.exists()
    (sentence,) = gotools.prepare((TOOL,))
    assert "no such version" in sentence


def test_without_go_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r"checker v1\.2\.3 has to be built, which needs Go 1\.26"):
        gotools.built(TOOL)


def test_without_npm_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="npm is not at hand"):
        crds.packages()


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path("npm", "#!/bin/sh\necho nothing there >&2; exit 1\n", tmp_path / "bin", monkeypatch)
    with pytest.raises(CommandError, match="nothing there"):
        crds.packages()
    assert list((tmp_path / "cache").glob("crds-????????????")) == []


def test_every_tool_has_a_version_of_its_own() -> None:
    assert {tool.name for tool in gotools.TOOLS} == {"helm", "helm-unittest", "kube-score"}
    assert all(tool.version.startswith("v") for tool in gotools.TOOLS)
