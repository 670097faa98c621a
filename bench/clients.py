"""
What one POST costs: CPU time of the whole client process, event loop included, over requests to a lean server.

    python -m bench.clients [--requests 20000] [--rounds 3] [--under-way 64]

A request has a body of 300 bytes and asks for the answer's status and body, on connections that are kept. `target` is
the bridge's whole way from events to outcomes, with its own client; `native` and `aiohttp` are the two clients it can
use; `floor` is what httptools on a socket costs that checks and bounds nothing. The contestants take turns, each in a
process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from httptools import HttpRequestParser, HttpResponseParser

from bench.machine import facts
from bridge.apis import HttpOptions
from bridge.apis.webhook import WebhookSettings
from bridge.model import Accepted, Envelope, Request, Response
from bridge.targets import HttpTarget, build_target
from bridge.targets.client import NOTHING_MORE, Answer, make_client

BODY = b'{"id":"evt-1","event":{"name":"user.created","payload":{"text":"' + b"x" * 236 + b'"}}}'
HEADERS = {"content-type": "application/json", "authorization": "Bearer tr_dev_0123456789abcdef"}
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Sat, 21 Nov 2026 00:00:00 GMT\r\n"
    b'content-length: 14\r\n\r\n{"status":200}'
)
WARM_UP = 2_000  # requests before the clock runs
AUTHORITY = Path(__file__).resolve().parents[1] / "tests" / "fakes" / "tls"

Contestant = Callable[[str, "Meter"], Awaitable[None]]


class Sink(asyncio.Protocol):
    """Answers every request as soon as it is whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


class Floor(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, head: bytes, meter: Meter) -> None:
        self._head = head
        self._meter = meter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self._parser = HttpResponseParser(self)

    def send(self) -> None:
        self._meter.next()
        self.transport.write(self._head + BODY)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body = body

    def on_message_complete(self) -> None:
        assert self._parser.get_status_code() == 200
        self._meter.answered()
        if self._meter.next():
            self.transport.write(self._head + BODY)


def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=AUTHORITY / "ca.pem")


class Meter:
    """Counts answers; the clock runs from the last one of the warm-up, when all connections stand, to the very last."""

    def __init__(self, requests: int, under_way: int) -> None:
        self.under_way = under_way
        self.over = asyncio.Event()
        self.spent = 0.0  # CPU seconds
        self._requests = requests
        self._left = WARM_UP + requests  # to be started
        self._answers = 0

    def next(self) -> bool:
        """Whether one more is to be started."""
        self._left -= 1
        return self._left >= 0

    def answered(self) -> None:
        self._answers += 1
        if self._answers == WARM_UP:
            gc.collect()
            gc.freeze()
            self._began = time.process_time()
        elif self._answers == WARM_UP + self._requests:
            self.spent = time.process_time() - self._began
            self.over.set()


async def floor(url: str, meter: Meter) -> None:
    scheme, _, place = url.partition("://")
    host, _, port = place.partition(":")
    head = f"POST / HTTP/1.1\r\nhost: {place}\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=AUTHORITY / "ca.pem") if scheme == "https" else None
    protocols = []
    for _ in range(meter.under_way):
        _, protocol = await loop.create_connection(lambda: Floor(head, meter), host, int(port), ssl=context)
        protocols.append(protocol)
    for protocol in protocols:
        protocol.send()
    await meter.over.wait()
    for protocol in protocols:
        protocol.transport.abort()


def options(url: str, client: str, under_way: int) -> HttpOptions:
    trust = {"ca_file": str(AUTHORITY / "ca.pem")} if url.startswith("https") else {}
    return HttpOptions.model_validate({"client": client, "concurrency": under_way, **trust})


def ours(name: str) -> Contestant:
    async def run(url: str, meter: Meter) -> None:
        client = make_client(options(url, name, meter.under_way), where="target")
        await client.open()
        request = Request("POST", f"{url}/", HEADERS, BODY)

        def done(answer: Answer) -> None:
            assert isinstance(answer, Response), answer
            assert answer.status == 200
            meter.answered()
            if meter.next():
                client.start(request, NOTHING_MORE, 65_536, done)

        for _ in range(meter.under_way):
            meter.next()
            client.start(request, NOTHING_MORE, 65_536, done)
        await meter.over.wait()
        await client.close()

    return run


async def target(url: str, meter: Meter) -> None:
    settings = WebhookSettings(type="webhook", url=url, http=options(url, "native", meter.under_way))
    found = build_target(settings)
    assert isinstance(found, HttpTarget)
    await found.open()
    batch = [Envelope(id=f"evt-{n}", name="user.created", data={"text": "x" * 236}) for n in range(500)]
    attempts = [1] * len(batch)
    while not meter.over.is_set():
        async for group in found.send(batch, attempts):
            for _, outcome in group:
                assert isinstance(outcome, Accepted), outcome
                meter.answered()
    await found.close()


async def pyreqwest(url: str, meter: Meter) -> None:
    builder: Any = import_module("pyreqwest.client").ClientBuilder()  # by name: it is installed by `./dev bench` only
    builder = builder.max_connections(meter.under_way)
    if url.startswith("https"):
        builder = builder.add_root_certificate_pem((AUTHORITY / "ca.pem").read_bytes())
    async with builder.build() as client:

        async def work() -> None:
            while meter.next():
                answer = await client.post(f"{url}/").headers(HEADERS).body_bytes(BODY).build().send()
                assert answer.status == 200
                await answer.bytes()
                meter.answered()

        await asyncio.gather(*(work() for _ in range(meter.under_way)))


CONTESTANTS: dict[str, Contestant] = {
    "floor": floor,
    "native": ours("native"),
    "target": target,
    "pyreqwest": pyreqwest,
    "aiohttp": ours("aiohttp"),
}


async def measured(contestant: Contestant, url: str, requests: int, under_way: int) -> float:
    """CPU us a request."""
    meter = Meter(requests, under_way)
    await contestant(url, meter)
    return meter.spent / requests * 1e6


def run_on(loop: str, main: Any) -> Any:
    if loop == "uvloop":
        import uvloop

        return uvloop.run(main)
    return asyncio.run(main)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(AUTHORITY / "server.pem")
    servers = [await loop.create_server(Sink, "127.0.0.1", 0, ssl=tls) for tls in (None, context)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def sink() -> Iterator[dict[str, str]]:
    """The server in a process of its own, which ends with us; its addresses by kind."""
    command = [sys.executable, "-m", "bench.clients", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        plain, tls = child.stdout.readline().split()
        yield {"plain": f"http://127.0.0.1:{plain}", "TLS": f"https://127.0.0.1:{tls}"}
        child.communicate()


def one(name: str, loop: str, url: str, requests: int, under_way: int) -> float:
    """Run one contestant in a process of its own."""
    asked = ["--one", name, loop, url, "--requests", str(requests), "--under-way", str(under_way)]
    done = subprocess.run([sys.executable, "-m", "bench.clients", *asked], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.clients", description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--under-way", type=int, default=64)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        run_on("uvloop", serve())
    elif arguments.one:
        name, loop, url = arguments.one
        print(run_on(loop, measured(CONTESTANTS[name], url, arguments.requests, arguments.under_way)), flush=True)
        os._exit(0)  # pyreqwest's threads may crash an interpreter that ends in good order
    else:
        compare(arguments.requests, arguments.rounds, arguments.under_way)


def compare(requests: int, rounds: int, under_way: int) -> None:
    print(facts())
    print(f"\n{rounds} rounds of {requests:,} POSTs of {len(BODY)} bytes, {under_way} under way.")
    print("CPU us a POST: best, median.\n")
    ways = [(loop, kind) for loop in ("uvloop", "asyncio") for kind in ("plain", "TLS")]
    figures: dict[tuple[str, str, str], list[float]] = {}
    with sink() as urls:
        for _ in range(rounds):
            for loop, kind in ways:
                for name in CONTESTANTS:
                    found = one(name, loop, urls[kind], requests, under_way)
                    figures.setdefault((name, loop, kind), []).append(found)
    print(" " * 10 + "".join(f"{f'{loop}, {kind}':>18}" for loop, kind in ways))
    for name in CONTESTANTS:
        cells = [figures[name, loop, kind] for loop, kind in ways]
        print(f"{name:10}" + "".join(f"{min(cell):>9.1f}{statistics.median(cell):>9.1f}" for cell in cells))
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
