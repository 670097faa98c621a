"""The contract of targets, over the memory target and over each dialect against the devserver."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from bridge.apis import TargetSettings
from bridge.devserver.app import DevServer
from bridge.devserver.faults import Fault, Match
from bridge.devserver.settings import DevServerSettings
from bridge.model import Rejected, Retryable
from bridge.targets import HttpTarget, MemoryTarget, build_target
from tests.contract.target import Peer, TargetContract

KEY = "tr_dev_contract_key"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

DIALECTS: dict[str, dict[str, Any]] = {
    "trigger-v1": {"type": "trigger", "version": "v1", "key": KEY},
    "trigger-v2": {"type": "trigger", "version": "v2", "key": KEY},
    "trigger-v2-bulk": {"type": "trigger", "version": "v2", "key": KEY, "max_batch": 16},
    "tasks": {"type": "trigger", "version": "tasks", "key": KEY},
    "tasks-batch": {"type": "trigger", "version": "tasks", "key": KEY, "max_batch": 16},
    "inngest": {"type": "inngest", "key": KEY},
    "inngest-small": {"type": "inngest", "key": KEY, "max_batch": 16, "batch_bytes": 1024},
    "zopio": {"type": "zopio"},
    "webhook": {"type": "webhook", "path": "/webhook/{{name}}", "signing": {"secret": WHSEC}},
    "cloudevents-binary": {"type": "cloudevents", "path": "/cloudevents"},
    "cloudevents-structured": {"type": "cloudevents", "path": "/cloudevents", "mode": "structured"},
    "cloudevents-batch": {"type": "cloudevents", "path": "/cloudevents", "mode": "batch", "max_batch": 16},
}


class DevServerPeer(Peer):
    def __init__(self, server: DevServer, target: HttpTarget, *, refuses_with_500: bool) -> None:
        super().__init__(target)
        self.server = server
        self.refuses_with_500 = refuses_with_500

    def refuse(self, name: str) -> None:
        if self.refuses_with_500:  # as when its own upstream refuses; by itself it refuses what has no name
            self.server.add_fault(Fault(match=Match(name=name), status=400, body={"error": "Missing required fields"}))
        else:
            self.server.add_fault(Fault(match=Match(name=name), poison="not this one"))

    def fail(self, name: str) -> None:
        self.server.add_fault(Fault(match=Match(name=name), status=503, times=1))

    def arrived(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for record in self.server.book.events.values():
            counts[record.name] += record.deliveries
        return counts


class TestHttpTargets(TargetContract):
    @pytest.fixture(params=["native", "aiohttp"])
    def client(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=DIALECTS)
    async def peer(self, request: pytest.FixtureRequest, client: str) -> AsyncIterator[Peer]:
        fields = {**DIALECTS[request.param], "http": {"client": client}}
        path = fields.pop("path", "")
        async with DevServer(DevServerSettings(port=0, webhook_secrets=(SecretStr(WHSEC),))) as server:
            settings: Any = TypeAdapter(TargetSettings).validate_python({**fields, "url": server.url + path})
            target = build_target(settings)
            assert isinstance(target, HttpTarget)
            target.quick_tries = lambda: False
            await target.open()
            yield DevServerPeer(server, target, refuses_with_500=request.param == "zopio")
            await target.close()


class MemoryPeer(Peer):
    def __init__(self) -> None:
        self.memory = MemoryTarget()
        super().__init__(self.memory)

    def refuse(self, name: str) -> None:
        self.memory.answer(*[Rejected("not this one")] * 10, event_id=name.replace("event.", "id-"))

    def fail(self, name: str) -> None:
        self.memory.answer(Retryable("later"), event_id=name.replace("event.", "id-"))

    def arrived(self) -> Counter[str]:
        return Counter(event.name for event in self.memory.accepted)


class TestMemoryTarget(TargetContract):
    @pytest.fixture
    async def peer(self) -> AsyncIterator[Peer]:
        peer = MemoryPeer()
        await peer.target.open()
        yield peer
        await peer.target.close()
