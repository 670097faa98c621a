"""
A private Prometheus server for tests and dashboards, and `promtool`.

Both come from PATH, or from Debian's package, which is unpacked into the cache and never installed: no service starts.
The server listens on 127.0.0.1 only, on a port of its own, and keeps its data in a folder of its own. All calls block.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from devtools import debian
from devtools.node import STOP_LIMIT, Node
from devtools.processes import CommandError, MissingError, end, launch, run
from devtools.scratch import folder, free_port

FEATURES = "exemplar-storage"
"""What has to be asked for by name, up to the versions that have it anyway."""

ANSWER_LIMIT = 30.0
"""Seconds for an answer of the server."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two programs are."""

    prometheus: str
    promtool: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector, at one moment."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series over a time; each point is (epoch seconds, value)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is not silent: `state` is "pending" or "firing"."""

    name: str
    state: str
    labels: dict[str, str]
    annotations: dict[str, str]


@cache
def programs() -> Programs:
    """Return the programs, fetched from Debian's package if need be. Raises MissingError."""
    found = shutil.which("prometheus"), shutil.which("promtool")
    if found[0] and found[1]:
        return Programs(found[0], found[1])
    if not shutil.which("apt-get"):
        raise MissingError("Prometheus is not at hand; install prometheus and promtool")
    try:
        binaries = debian.fetched("prometheus") / "usr/bin"
    except CommandError as error:
        raise MissingError(f"Prometheus could not be fetched: {error}") from error
    return Programs(str(binaries / "prometheus"), str(binaries / "promtool"))


def promtool(*arguments: str | Path, text: str = "", patience: float = 120) -> str:
    """Run promtool on `text` as its input and return what it says. Raises CommandError where it finds fault."""
    return run([programs().promtool, *map(str, arguments)], text=text, timeout=patience)


def target(job: str, *addresses: str, path: str = "/metrics", **settings: Any) -> dict[str, Any]:
    """Return a scrape config for `host:port` addresses, with further settings of its own."""
    return {"job_name": job, "metrics_path": path, "static_configs": [{"targets": list(addresses)}], **settings}


class Prometheus(Node):
    """
    A server that scrapes what it is told to, as a context manager.

    >>> with Prometheus([target("event-bridge", "127.0.0.1:9464")], rules=[path]) as server:
    ...     server.query("up")
    """

    def __init__(
        self, scrapes: Sequence[Mapping[str, Any]] = (), *, rules: Sequence[Path] = (), interval: str = "1s"
    ) -> None:
        """`scrapes` are its `scrape_configs`; `interval` is how often it scrapes and looks at its rules."""
        super().__init__("prometheus", free_port())
        self._folder = folder("prometheus")
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "scrape_configs": list(scrapes),
            "rule_files": [str(path.resolve()) for path in rules],
        }
        self.settings = self._folder / "prometheus.yml"
        """The file that it reads."""
        self.settings.write_text(json.dumps(settings, indent=1))  # JSON is YAML

    def __repr__(self) -> str:
        return f"<prometheus on port {self.port}, log {self.logs}>"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        return self._folder / "output.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self.running:
            return
        command = [
            programs().prometheus,
            f"--config.file={self.settings}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--enable-feature={FEATURES}",
        ]
        self._process = launch(command, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, output=self.logs)
        self._await_service()

    def stop(self) -> None:
        if self._process is not None:
            end(self._process, patience=STOP_LIMIT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, path: str, **arguments: str | float) -> Any:
        """Return `data` of the answer to `/api/v1/<path>`. Raises CommandError with what the server says."""
        status, body = self._get(f"/api/v1/{path}?{urlencode(arguments)}")
        try:
            answer = json.loads(body)
            return answer["data"]
        except (ValueError, KeyError) as error:
            raise CommandError(f"{self!r} on {path} {arguments}: {status} {body[:2000]!r}") from error

    def query(self, expr: str, *, at: float | None = None) -> list[Sample]:
        """Return the value of an expression now, or `at` epoch seconds; a scalar is a sample without labels."""
        moment = {} if at is None else {"time": at}
        data = self.ask("query", query=expr, **moment)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    def query_range(self, expr: str, *, start: float, end: float, step: float = 1) -> list[Series]:
        """Return an expression's values from `start` to `end`, epoch seconds, every `step` seconds."""
        data = self.ask("query_range", query=expr, start=start, end=end, step=step)
        return [
            Series(each["metric"], [(moment, float(value)) for moment, value in each["values"]])
            for each in data["result"]
        ]

    def exemplars(self, expr: str, *, start: float, end: float) -> list[dict[str, Any]]:
        """Return the exemplars of an expression from `start` to `end`, epoch seconds, as the API gives them."""
        return [
            exemplar
            for series in self.ask("query_exemplars", query=expr, start=start, end=end)
            for exemplar in series["exemplars"]
        ]

    def alerts(self) -> list[Alert]:
        """Return all alerts that are pending or firing."""
        return [
            Alert(each["labels"]["alertname"], each["state"], each["labels"], each["annotations"])
            for each in self.ask("alerts")["alerts"]
        ]

    def healthy_targets(self) -> int:
        """Return how many targets answered when they were last scraped."""
        return sum(each["health"] == "up" for each in self.ask("targets", state="active")["activeTargets"])

    def _ready(self) -> bool:
        return self._get("/-/ready")[0] == http.HTTPStatus.OK

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_LIMIT)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"{self!r}: {error!r}") from error
        finally:
            connection.close()

    def _last_words(self) -> str:
        return self.logs.read_text(errors="replace")[-3000:] if self.logs.exists() else ""
