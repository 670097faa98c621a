"""
What it costs to read envelopes, to write requests and to read answers: CPU microseconds an event.

    python -m bench.codec [--rounds 5] [--only inngest] [--sizes 300 2048 32768]

`floor` is orjson.loads of the same bytes and nothing else. `array` is a delivery of 100 events, `batch` a request with
100 events. `changed` is the same request where the event is no longer what the publisher wrote (it has a due time of
its own), so that it has to be written anew. All in one thread, without a network; the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from bridge.apis import CloudEventsSettings, InngestSettings, TriggerSettings, WebhookSettings, ZopioSettings
from bridge.core.keys import key_of, scope_of
from bridge.errors import PoisonError
from bridge.formats import build_format
from bridge.model import Accepted, Delivery, Envelope, Response
from bridge.ports import Api, Format, Secrets

SIZES = (300, 2_048, 32_768)  # bytes of a body
MANY = 100  # events of an array
LARGEST = 64 << 20  # bytes of an array
SPAN = 0.05  # seconds of CPU that a measurement takes at least
SECRETS: Secrets = {"key": ("tr_dev_1234567890",), "auth": ("s3cret-token",), "signing": ("whsec_" + "A" * 32,)}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FORMATS = ("trigger", "sendevent", "zopio", "inngest", "cloudevents", "raw")

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Figure:
    """A stretch of work on so many events."""

    name: str
    work: Callable[[], object]
    events: int = 1


def body_of(shape: str, number: int, size: int, now: int) -> bytes:
    """One event of that shape, as a careful publisher writes it: with its own id, and the time it happened."""

    def write(note: str) -> bytes:
        data: Fields = {"customer": {"vip": True}, "lines": [{"sku": "A-1", "price": 19.95}], "note": note}
        return json.dumps(_shaped(shape, f"evt-{number:07d}", data, now), separators=(",", ":")).encode()

    return write("x" * max(0, size - len(write(""))))


def _shaped(shape: str, event_id: str, data: Fields, now: int) -> Fields:
    name, ts = "order.placed", now - 60_000
    shapes: Mapping[str, Fields] = {
        "trigger": {"id": event_id, "event": {"name": name, "payload": data}},
        "sendevent": {"id": event_id, "name": name, "payload": data, "timestamp": ts},
        "zopio": {"id": event_id, "event": name, "payload": data},
        "inngest": {"id": event_id, "name": name, "data": data, "ts": ts},
        "cloudevents": {
            "specversion": "1.0",
            "id": event_id,
            "source": "/shop",
            "type": name,
            "datacontenttype": "application/json",
            "data": data,
        },
        "raw": data,
    }
    return shapes[shape]


def deliveries(shape: str, size: int, now: int) -> list[Delivery]:
    headers: Fields = {"x-event-name": "order.placed", "x-deduplication-header": "evt-1"} if shape == "raw" else {}
    return [Delivery(body=body_of(shape, number, size, now), headers=dict(headers)) for number in range(MANY)]


def decoding(sizes: Sequence[int], now: int) -> Iterator[Figure]:
    for size in sizes:
        for shape in FORMATS:
            format_, ready = build_format(shape, max_event_bytes=LARGEST), deliveries(shape, size, now)  # type: ignore[arg-type]
            bodies = [delivery.body for delivery in ready]
            yield Figure(f"floor  {shape} {size}", _parse_all(bodies), MANY)
            yield Figure(f"decode {shape} {size}", _decode_all(format_, ready, now), MANY)
            if shape == "raw":
                continue
            stamped = [
                replace(delivery, timestamp=now / 1000, position=f"t/0/{at}") for at, delivery in enumerate(ready)
            ]
            traced = [replace(delivery, headers={"traceparent": TRACE}) for delivery in ready]
            array = [Delivery(body=b"[" + b",".join(bodies) + b"]")]
            auto = build_format("auto", max_event_bytes=LARGEST)
            yield Figure(f"decode {shape} {size}, stamped", _decode_all(format_, stamped, now), MANY)
            yield Figure(f"decode {shape} {size}, traced", _decode_all(format_, traced, now), MANY)
            yield Figure(f"decode auto, {shape} {size}", _decode_all(auto, ready, now), MANY)
            yield Figure(f"decode auto, {shape} {size}, traced", _decode_all(auto, traced, now), MANY)
            yield Figure(f"decode array of {shape} {size}", _decode_all(format_, array, now), MANY)


def _parse_all(bodies: Sequence[bytes]) -> Callable[[], object]:
    return lambda: [orjson.loads(body) for body in bodies]


def _decode_all(format_: Format, ready: Sequence[Delivery], now: int) -> Callable[[], object]:
    return lambda: [format_.decode(delivery, now) for delivery in ready]


def keys() -> Iterator[Figure]:
    scope, ids = scope_of("orders", "http://127.0.0.1:8080"), [f"evt-{number:07d}" for number in range(MANY)]
    yield Figure("key", lambda: [key_of(scope, event_id) for event_id in ids], MANY)


def targets() -> Iterator[tuple[str, str, Api]]:
    """The APIs, and the shape of the events that each is sent."""
    url = "http://127.0.0.1:8080"
    yield "trigger v1", "trigger", TriggerSettings(type="trigger", version="v1", url=url).build_api()
    yield "trigger v2", "trigger", TriggerSettings(type="trigger", version="v2", url=url, max_batch=MANY).build_api()
    yield (
        "trigger tasks",
        "trigger",
        TriggerSettings(type="trigger", version="tasks", url=url, max_batch=MANY).build_api(),
    )
    yield "inngest", "inngest", InngestSettings(type="inngest", url=url).build_api()
    yield "zopio", "zopio", ZopioSettings.model_validate({"type": "zopio", "url": url}).build_api()
    yield "webhook", "inngest", WebhookSettings(type="webhook", url=url).build_api()
    yield "webhook data", "raw", WebhookSettings(type="webhook", url=url, body="{{data}}").build_api()
    signed = {"type": "webhook", "url": url, "body": "{{data}}", "signing": {"secret": SECRETS["signing"][0]}}
    yield "webhook signed", "raw", WebhookSettings.model_validate(signed).build_api()
    for mode in ("binary", "structured", "batch"):
        settings = {"type": "cloudevents", "url": url, "mode": mode}
        yield f"cloudevents {mode}", "cloudevents", CloudEventsSettings.model_validate(settings).build_api()


def encoding(sizes: Sequence[int], now: int) -> Iterator[Figure]:
    for size in sizes:
        for name, shape, api in targets():
            events = _events(shape, size, now)
            yield Figure(f"refuse {name} {size}", _each(api.refuse, events), MANY)
            yield Figure(f"encode {name} {size}", _encode_each(api, events, now), MANY)
            moved = _events(shape, size, now, due_at=now + 60_000)
            yield Figure(f"encode {name} {size}, changed", _encode_each(api, moved, now), MANY)
            if api.batch_limit > 1:
                yield Figure(f"encode {name} {size}, batch", _encode_batch(api, events, now), MANY)
                copies = [replace(event) for event in events]
                yield Figure(f"encode {name} {size}, batch, changed", _encode_batch(api, copies, now), MANY)


def _events(shape: str, size: int, now: int, due_at: int | None = None) -> list[Envelope]:
    format_ = build_format(shape, max_event_bytes=LARGEST)  # type: ignore[arg-type]
    events: list[Envelope] = []
    for delivery in deliveries(shape, size, now):
        (event,) = format_.decode(delivery, now)
        if isinstance(event, PoisonError):
            raise event
        events.append(event if due_at is None else replace(event, due_at=due_at))
    return events


def _each(ask: Callable[[Envelope], object], events: Sequence[Envelope]) -> Callable[[], object]:
    return lambda: [ask(event) for event in events]


def _encode_each(api: Api, events: Sequence[Envelope], now: int) -> Callable[[], object]:
    return lambda: [api.encode([event], SECRETS, now) for event in events]


def _encode_batch(api: Api, events: Sequence[Envelope], now: int) -> Callable[[], object]:
    return lambda: api.encode(events, SECRETS, now)


def answers(now: int) -> Iterator[Figure]:
    plain = {"content-type": "application/json", "content-length": "14"}
    for name, shape, api in targets():
        events = _events(shape, SIZES[0], now)
        for count in {1, min(MANY, api.batch_limit)}:
            response = Response(200, plain, _answer_of(name, count, events))
            some = events[:count]
            if not all(isinstance(outcome, Accepted) for outcome in api.decode(response, some, now)):
                response = Response(202, plain, response.body)
            yield Figure(f"answer {name} of {count}", _read(api, response, some, now), count)


def _read(api: Api, response: Response, events: Sequence[Envelope], now: int) -> Callable[[], object]:
    return lambda: api.decode(response, events, now)


def _answer_of(name: str, count: int, events: Sequence[Envelope]) -> bytes:
    records = [{"id": event.id, "name": event.name, "payload": event.data} for event in events[:count]]
    runs = [{"id": f"run_{number}", "isCached": False} for number in range(count)]
    said: Mapping[str, object] = {
        "trigger v1": {"status": 200},
        "trigger v2": records[0] if count == 1 else records,
        "trigger tasks": runs[0] if count == 1 else {"batchId": "b", "runs": runs},
        "inngest": {"ids": [f"01HV7T0000000000000000{number:04d}" for number in range(count)], "status": 200},
        "zopio": {"success": True, "result": {"id": "evt"}},
    }
    return orjson.dumps(said.get(name, {"ok": True}))


def measure(figure: Figure) -> float:
    """CPU microseconds an event, of one round."""
    times, spent = 1, 0.0
    while True:
        begun = time.process_time()
        for _ in range(times):
            figure.work()
        spent = time.process_time() - begun
        if spent >= SPAN:
            return spent / times / figure.events * 1e6
        times = max(times * 2, int(times * SPAN / max(spent, 1e-4)) + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of decoding and encoding, in CPU microseconds an event")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measure what has this in its name")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="bytes of a body")
    options = parser.parse_args()
    now = time.time_ns() // 1_000_000
    everything = [*keys(), *decoding(options.sizes, now), *encoding(options.sizes, now), *answers(now)]
    chosen = [figure for figure in everything if options.only in figure.name]
    print(f"{'CPU us an event':40}{'best':>10}{'worst':>10}")
    for figure in chosen:
        figure.work()  # warm
        rounds = [measure(figure) for _ in range(options.rounds)]
        print(f"{figure.name:40}{min(rounds):10.2f}{max(rounds):10.2f}", flush=True)


if __name__ == "__main__":
    main()
