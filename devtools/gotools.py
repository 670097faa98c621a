"""
Checkers of charts and manifests that are built from Go modules: `python -m devtools.gotools` builds what is missing.

Each is built by itself, against exactly the versions that its own go.mod names; Go checks what it downloads against its
checksum database. All of them take about four minutes on two cores, once, and 300 MB; a Go with a warm build cache
needs seconds. The programs stay in the cache folder, one file for each version. kube-apiserver is not among them: it
takes a quarter of an hour of one core, and is built by whoever asks for it (devtools.kube_apiserver).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devtools import debian
from devtools.processes import CommandError, MissingError, run
from devtools.scratch import locked

BUILD_LIMIT = 3000.0
"""Seconds for one program, on a machine with much else to do."""


@dataclass(frozen=True)
class Tool:
    """A program, the package its main function is in, and the module versions that `go install` would not take."""

    package: str
    version: str
    replaced: tuple[str, ...] = ()
    staged: str = ""
    """The version of the modules that its go.mod calls v0.0.0, since they lie beside it in its repository."""
    stamped: str = ""
    """The variable that the linker writes the version into, where the program does not know it by itself."""

    @property
    def name(self) -> str:
        return self.package.rpartition("/")[2]

    @property
    def module(self) -> str:
        return self.package.partition("/cmd/")[0]

    @property
    def path(self) -> Path:
        """Where it is once it is built."""
        return debian.CACHE / "go-tools" / f"{self.name}-{self.version}"


HELM = Tool("helm.sh/helm/v3/cmd/helm", "v3.22.0")
KUBE_SCORE = Tool("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0")
HELM_UNITTEST = Tool(
    "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
    "v1.1.2",
    replaced=("github.com/vmware-labs/yaml-jsonpath@v0.3.2=github.com/helm-unittest/yaml-jsonpath@v0.4.0",),
)
TOOLS = (HELM, HELM_UNITTEST, KUBE_SCORE)

KUBE_APISERVER = Tool(
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "v1.37.0",
    staged="v0.37.0",
    stamped="k8s.io/component-base/version.gitVersion",
)


def built(tool: Tool) -> Path:
    """
    Return the program of a tool, and build it if needed.

    Raises MissingError where there is no Go, CommandError where the build fails.
    """
    if tool.path.exists():
        return tool.path
    go = shutil.which("go")
    if go is None:
        raise MissingError(
            f"{tool.name} {tool.version} has to be built, which needs Go 1.26, or 1.21 that may download a "
            "newer one: install it (https://go.dev/doc/install) and put `go` on the PATH"
        )
    with locked(tool.path.parent / "build.lock"):  # the second finds in Go's cache what the first has compiled
        if not tool.path.exists():
            _build(go, tool)
    return tool.path


def _build(go: str, tool: Tool) -> None:
    flags = f"{os.environ.get('GOFLAGS', '')} -trimpath -mod=mod".strip()
    environment = {**os.environ, "GOFLAGS": flags, "GOWORK": "off"}
    with tempfile.TemporaryDirectory(prefix=f"{tool.name}-", dir=tool.path.parent) as name:
        module = Path(name)

        def step(*arguments: str) -> str:
            return run([go, "-C", str(module), *arguments], env=environment, timeout=BUILD_LIMIT)

        step("mod", "init", "tools.invalid/one")
        for replacement in (*tool.replaced, *_staged(tool, step)):
            step("mod", "edit", f"-replace={replacement}")
        step("get", "-tool", f"{tool.package}@{tool.version}")
        stamp = ["-ldflags", f"-X {tool.stamped}={tool.version}"] if tool.stamped else []
        step("build", *stamp, "-o", "program", tool.package)
        (module / "program").rename(tool.path)


def _staged(tool: Tool, step: Callable[..., str]) -> list[str]:
    """Give each module of the tool's own repository the version that it is published under."""
    if not tool.staged:
        return []
    said = json.loads(step("mod", "download", "-json", f"{tool.module}@{tool.version}"))
    names = re.findall(r"^\s+(\S+) v0\.0\.0(?=\s)", Path(said["GoMod"]).read_text(), flags=re.MULTILINE)
    return [f"{name}={name}@{tool.staged}" for name in names]


def prepare(tools: tuple[Tool, ...] = TOOLS) -> list[str]:
    """Build what is missing, and return a sentence for each tool that cannot be had."""
    missing: list[str] = []
    for tool in tools:
        began = time.monotonic()
        try:
            built(tool)
        except (MissingError, CommandError) as error:
            missing.append(str(error))
            continue
        if (took := time.monotonic() - began) > 1:
            print(f"{tool.name} {tool.version} was built, {took:.0f} s", file=sys.stderr)
    return missing


if __name__ == "__main__":
    failures = prepare()
    print(*failures, sep="\n", end="\n" if failures else "", file=sys.stderr)
    sys.exit(bool(failures))
