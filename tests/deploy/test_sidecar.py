"""
The sidecar of deploy/kubernetes/sidecar through the life of a pod: two real containers in one network namespace.

The application publishes over loopback to a real broker. The manifest says how the sidecar is run, asked and ended.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from devtools.image import Image
from devtools.processes import CommandError, wait_until
from devtools.scratch import free_port
from tests.deploy.conftest import ROOT
from tests.deploy.pod import Pod, ProbeError, published
from tests.deploy.road import Road
from tests.unit.markdown import paper

pytestmark = pytest.mark.timeout(600)  # the first one builds

SIDECAR, APPLICATION = "event-bridge", "shop"
BROKER, API = 5672, 8288  # where the application and the settings look for them, in the pod
MANIFEST = ROOT / "deploy/kubernetes/sidecar/sidecar.yaml"
SETTINGS = next(fence for fence in paper("docs/quickstart.md").fences if fence.mark == "sidecar-settings").text

Start = Callable[..., Pod]


@pytest.fixture
def pod(image: Image, laid: Road) -> Iterator[Start]:
    with ExitStack() as pods:
        yield lambda *, roads=True, **environment: pods.enter_context(_pod(image, laid, roads, environment))


def _pod(image: Image, laid: Road, roads: bool, environment: Mapping[str, str]) -> Pod:
    """Return the application's pod with the bridge in it, as the component of kustomize puts it there."""
    url = laid.broker.url_of(laid.vhost).replace(f":{laid.broker.port}/", f":{BROKER}/")
    variables = {"AMQP_URL": url, "RUN": "first", **environment}
    application = {
        "name": APPLICATION,
        "command": ["/opt/event-bridge/bin/python", "-c", (Path(__file__).parent / "application.py").read_text()],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "securityContext": {"runAsUser": 10002, "runAsGroup": 10002, "readOnlyRootFilesystem": True},
    }
    spec = {"containers": [application], **yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]}
    files = {
        "configMap/event-bridge": {"event-bridge.yaml": SETTINGS.replace("https://inn.gs", f"http://127.0.0.1:{API}")},
        "secret/event-bridge": {"amqp-url": url, "target-key": "local"},
    }
    return Pod(spec, image, files, {BROKER: laid.broker.port, API: laid.api} if roads else {API: free_port()})


def _said(pod: Pod) -> list[str]:
    return published(pod.running[APPLICATION].log)


def _all_arrived(laid: Road, ids: Sequence[str]) -> bool:
    return set(laid.arrivals()) == set(ids)


def _ran_once(laid: Road) -> bool:
    return {event["runs"] for event in laid.arrivals().values()} == {1}


def test_the_application_begins_after_the_sidecar_and_ends_before_it(pod: Start, laid: Road) -> None:
    shop = pod()
    shop.start()
    wait_until(lambda: len(laid.arrivals()) >= 50, within=60, what="events arrive")
    assert shop.probe(SIDECAR, "livenessProbe")[0]
    laid.fault(latency_ms=300)  # so that some are under way at the end

    assert shop.stop() == {APPLICATION: 0, SIDECAR: 0}, shop.running[SIDECAR].log

    assert shop.history == [
        ("started", SIDECAR),
        ("up", SIDECAR),
        ("started", APPLICATION),
        ("told", APPLICATION),
        ("ended", APPLICATION),
        ("told", SIDECAR),
        ("ended", SIDECAR),
    ]
    assert '"event":"stopped"' in shop.running[SIDECAR].log
    ids, arrived = _said(shop), laid.arrivals()
    waiting, unsettled = laid.broker.depths(laid.vhost)["orders"]
    assert unsettled == 0
    assert len(arrived) + waiting == len(ids) == len(set(ids))
    assert {event["deliveries"] for event in arrived.values()} == {1}


def test_what_was_left_at_the_end_of_a_pod_is_delivered_by_the_next_one(pod: Start, laid: Road) -> None:
    laid.fault(latency_ms=2000)  # slower than the application: something has to be left
    shop = pod()
    shop.start()
    wait_until(lambda: len(_said(shop)) >= 100, within=60, what="the application publishes")
    assert shop.stop() == {APPLICATION: 0, SIDECAR: 0}, shop.running[SIDECAR].log
    laid.heal()
    heir = pod(RUN="second")
    heir.start()
    wait_until(lambda: bool(_said(heir)), within=60, what="the application publishes")
    assert heir.stop()[SIDECAR] == 0
    ids = [*_said(shop), *_said(heir)]
    last = pod(RUN="third")
    last.start_container(SIDECAR)
    wait_until(lambda: _all_arrived(laid, ids), within=60, what="everything arrives")
    assert _ran_once(laid)


def test_an_application_that_crashes_starts_again_beside_the_same_sidecar(pod: Start, laid: Road) -> None:
    shop = pod(CRASH_AFTER="30")
    shop.start()
    sidecar, crashed = shop.running[SIDECAR].pid, shop.running[APPLICATION]
    assert crashed.wait(60) == 1
    assert shop.probe(SIDECAR, "livenessProbe")[0]
    shop.start_container(APPLICATION)
    assert shop.running[APPLICATION].wait(60) == 1
    ids = [*published(crashed.log), *_said(shop)]
    assert len(ids) == 60
    wait_until(lambda: _all_arrived(laid, ids), within=60, what="everything arrives")
    wait_until(laid.settled, within=30, what="everything is settled")
    assert shop.running[SIDECAR].pid == sidecar
    assert _ran_once(laid)


def test_a_sidecar_that_is_killed_loses_nothing(pod: Start, laid: Road) -> None:
    shop = pod()
    shop.start()
    laid.fault(latency_ms=200)  # so that some are under way when it dies
    for _ in range(2):
        arrived = len(laid.arrivals())
        wait_until(lambda: len(laid.arrivals()) > arrived + 30, within=60, what="events arrive")  # noqa: B023  used at once
        shop.running[SIDECAR].send("KILL")
        assert shop.running[SIDECAR].wait(30) != 0
        shop.start_container(SIDECAR)
        shop.await_startup(SIDECAR)
    assert shop.running[APPLICATION].running
    shop.running[APPLICATION].stop(within=30)
    wait_until(lambda: _all_arrived(laid, _said(shop)), within=60, what="everything arrives")
    wait_until(laid.settled, within=30, what="everything is settled")
    assert _ran_once(laid)


def test_a_broker_that_is_away_does_not_keep_the_application_from_starting(pod: Start) -> None:
    shop = pod(roads=False)
    shop.start_container(SIDECAR)
    shop.await_startup(SIDECAR)
    assert shop.ask(SIDECAR, "/readyz")[0] == http.HTTPStatus.SERVICE_UNAVAILABLE


def test_the_sidecar_has_no_rights_and_reads_its_root_only(pod: Start) -> None:
    sidecar = pod(roads=False).start_container(SIDECAR)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{sidecar.pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert {int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"
    for place in ("/opt/event-bridge", "/etc/event-bridge/settings", "/etc/event-bridge/secrets"):
        with pytest.raises(CommandError, match="Read-only file system"):
            sidecar.run("/usr/bin/touch", f"{place}/new")
    sidecar.run("/usr/bin/touch", "/var/lib/event-bridge/new")


def test_a_probe_that_asks_the_wrong_path_keeps_the_application_down(pod: Start) -> None:
    shop = pod(roads=False)
    shop.start_container(SIDECAR)
    shop.await_startup(SIDECAR)
    probe = shop.spec["initContainers"][0]["startupProbe"]
    probe |= {"httpGet": {**probe["httpGet"], "path": "/live"}, "failureThreshold": 2}
    with pytest.raises(ProbeError, match="/live of port 9464 says 404"):
        shop.await_startup(SIDECAR)
