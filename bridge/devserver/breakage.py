"""What a fault does to one connection, and how every answer is written."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from email.utils import formatdate

from aiohttp import web

from bridge.devserver.faults import Fault
from bridge.devserver.records import RequestRecord
from bridge.devserver.usual import RATE_LIMIT, usual
from bridge.devserver.wire import JSON_UTF8, TEXT, Answer, Call, dump
from bridge.devserver.world import House

_ANSWER_KEPT = 2048


async def act(
    fault: Fault, answer: Answer, call: Call, request: web.Request, record: RequestRecord, server: House
) -> web.StreamResponse:
    """Do what the fault says; `answer` is the API's own."""
    wait = fault.latency_ms + fault.jitter_ms * server.faults.random.random()
    if wait:
        await _until(server.stopping, wait / 1000)
    if fault.hang:
        record.error = "hung on purpose"
        await server.stopping.wait()
    if fault.reset or fault.hang:
        record.error = record.error or "reset on purpose"
        return _reset(request)
    if fault.status is not None:
        answer = _made(fault, fault.status, call)
    answer.headers.update(_headers(fault, call.now))
    if fault.drip_ms or fault.cut is not None:
        return await _drip(fault, answer, request, record, server)
    return finish(answer, record)


def finish(answer: Answer, record: RequestRecord) -> web.Response:
    """Write an answer in one piece."""
    record.status, record.answer = answer.status, answer.body[:_ANSWER_KEPT].decode("utf-8", "replace")
    return web.Response(status=answer.status, body=answer.body, headers=_all_headers(answer))


async def _drip(
    fault: Fault, answer: Answer, request: web.Request, record: RequestRecord, server: House
) -> web.StreamResponse:
    finish(answer, record)
    length = {"Content-Length": str(len(answer.body))}
    response = web.StreamResponse(status=answer.status, headers=_all_headers(answer) | length)
    await response.prepare(request)
    sent = answer.body[: fault.cut]
    for start in range(len(sent)) if fault.drip_ms else ():
        await response.write(sent[start : start + 1])
        await _until(server.stopping, fault.drip_ms / 1000)
    if not fault.drip_ms:
        await response.write(sent)
    if fault.cut is not None:
        record.error = "cut on purpose"
        await asyncio.sleep(0.01)  # lets what was written leave before the reset overtakes it
        return _reset(request, response)
    return response


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Reset the connection: with a linger of 0 the kernel sends RST instead of FIN."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return response or web.Response()


def _all_headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers} if answer.content_type else answer.headers


def _headers(fault: Fault, now: float) -> dict[str, str]:
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        date = formatdate(math.ceil(now / 1000 + fault.retry_after), usegmt=True)
        headers["Retry-After"] = date if fault.retry_after_date else f"{math.ceil(fault.retry_after)}"
    if fault.ratelimit_reset is not None:
        reset = str(int(now + fault.ratelimit_reset * 1000))
        headers |= {"x-ratelimit-limit": str(RATE_LIMIT), "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    return headers | fault.headers


def _made(fault: Fault, status: int, call: Call) -> Answer:
    if fault.body is None:
        return usual(call.api, status, call.now + (fault.ratelimit_reset or 0) * 1000, call.now)
    if isinstance(fault.body, str):
        return Answer(status=status, body=fault.body.encode("utf-8", "replace"), content_type=TEXT)
    return Answer(status=status, body=dump(fault.body), content_type=TEXT if call.api == "inngest" else JSON_UTF8)


async def _until(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond the end of the server."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
