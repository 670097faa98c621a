"""The devserver's page in a real browser: what a person sees, does and must never run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from bridge.devserver import DevServer, DevServerSettings, parse_fault

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

REFUSED = "the server responded with a status of 400"  # the browser's own note; the page shows the reason

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(DevServerSettings(port=0, seed=1)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    expect.set_options(timeout=20_000)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, server: DevServer) -> AsyncIterator[Page]:
    """Open the page, and fail the test for anything that the page or its policy complains about."""
    complaints: list[str] = []
    opened = await browser.new_page(viewport={"width": 1400, "height": 900}, locale="en")
    opened.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(f"a dialog opened: {dialog.message}"))
    await opened.goto(server.url)
    await expect(opened.locator("#live")).to_have_text("live")
    yield opened
    await opened.close()
    assert [said for said in complaints if REFUSED not in said] == []


async def send(server: DevServer, body: Any, path: str = "/e/k", **headers: str) -> int:
    async with aiohttp.ClientSession() as client, client.post(server.url + path, json=body, headers=headers) as answer:
        return answer.status


def row(page: Page, text: str) -> Any:
    return page.locator(".row", has_text=text)


async def test_an_empty_page_says_how_to_begin(page: Page, server: DevServer) -> None:
    await expect(page.locator("#empty")).to_contain_text("Waiting for the first event")
    await expect(page.locator("#empty code").first).to_contain_text(f"curl {server.url}/e/dev")


async def test_events_appear_live_and_newest_first(page: Page, server: DevServer) -> None:
    await send(server, {"name": "user.created", "id": "u-1", "data": {}})
    await expect(row(page, "u-1")).to_contain_text("user.created")
    await send(server, {"name": "order.paid", "id": "o-1", "data": {}})
    await expect(page.locator(".row")).to_have_count(2)
    await expect(page.locator(".row").first).to_contain_text("order.paid")
    await expect(page.locator("#n-events")).to_have_text("2")
    await expect(page.locator("#n-rate")).to_have_text("100 %")


async def test_a_duplicate_is_marked_in_its_row(page: Page, server: DevServer) -> None:
    for plan in ("pro", "free"):
        await send(server, {"name": "user.created", "id": "u-1", "data": {"plan": plan}})
    await expect(row(page, "u-1").locator(".badge.dup")).to_have_text("\N{MULTIPLICATION SIGN}2")
    await expect(row(page, "u-1").locator(".badge.odd")).to_have_text("conflict")
    await expect(page.locator("#n-dups")).to_have_text("1")


async def test_the_search_filters_by_name_id_and_payload(page: Page, server: DevServer) -> None:
    await send(
        server, [{"name": "user.created", "id": "u-1"}, {"name": "order.paid", "id": "o-1", "data": {"x": "needle"}}]
    )
    await expect(page.locator(".row")).to_have_count(2)
    await page.keyboard.press("/")
    await page.keyboard.type("NEEDLE")
    await expect(page.locator(".row")).to_have_count(1)
    await expect(page.locator(".row")).to_contain_text("order.paid")
    await send(server, [{"name": "user.updated", "id": "u-2"}, {"name": "a", "id": "needle-2"}])
    await expect(page.locator(".row")).to_have_count(2)
    await page.locator("#search").fill("nothing like it")
    await expect(page.locator("#empty")).to_contain_text("Nothing matches")
    await page.locator("#search").fill("")
    await expect(page.locator(".row")).to_have_count(4)


async def test_filters_by_api_and_state(page: Page, server: DevServer) -> None:
    later = int(time.time() * 1000) + 60_000
    await send(server, [{"name": "now", "id": "n"}, {"name": "later", "id": "l", "ts": later}])
    await send(server, {"event": "other"}, "/trigger")
    await expect(page.locator(".row")).to_have_count(3)
    await page.locator("#api").select_option("inngest")
    await expect(page.locator(".row")).to_have_count(2)
    await page.locator("#state").select_option("scheduled")
    await expect(page.locator(".row")).to_have_count(1)
    await expect(page.locator(".row .who")).to_contain_text("later")


async def test_a_scheduled_event_counts_down_and_turns_delivered(page: Page, server: DevServer) -> None:
    await send(server, {"name": "soon", "id": "s", "ts": int(time.time() * 1000) + 1500})
    await expect(row(page, "soon")).to_have_attribute("data-state", "scheduled")
    await expect(row(page, "soon").locator("time.due")).to_have_text(re.compile(r"\d\.\d s|due"))
    await expect(page.locator("#n-wait")).to_have_text("1")
    await expect(row(page, "soon")).to_have_attribute("data-state", "delivered")
    await expect(page.locator("#n-wait")).to_have_text("0")


async def test_a_row_opens_with_payload_and_attempts(page: Page, server: DevServer) -> None:
    server.add_fault(parse_fault("status=503,times=1"))
    event = {"name": "user.created", "id": "u-1", "data": {"plan": "pro", "deep": {"list": [1, None, True]}}}
    await send(server, event, **{"x-bridge-attempt": "1"})
    await send(server, event, **{"x-bridge-attempt": "2"})
    await row(page, "u-1").click()
    side = page.locator("#side")
    await expect(side.locator("h2")).to_have_text("user.created")
    await expect(side.locator(".json").first).to_contain_text('plan: "pro"')
    await expect(side.locator(".attempts li")).to_have_count(2)
    await expect(side.locator(".attempts .status")).to_have_text(["200", "503"])
    await send(server, event, **{"x-bridge-attempt": "3"})
    await expect(side.locator(".attempts li")).to_have_count(3)
    await page.keyboard.press("Escape")
    await expect(side).to_be_hidden()


async def test_markup_in_an_event_stays_text(page: Page, server: DevServer) -> None:
    markup = "<script>alert('x')</script><img src=x onerror=alert(1)>"
    event = {"name": markup, "id": markup, "data": {markup: markup, "__proto__": {"polluted": True}}}
    await send(server, event, **{"x-bridge-attempt": "<b>1</b>"})
    server.add_fault(parse_fault(json.dumps({"status": 500, "body": markup, "match": {"name": "*script*"}})))
    await send(server, event)
    await expect(page.locator(".row b")).to_have_text(markup)
    await page.locator(".row").click()
    await expect(page.locator("#side .json").first).to_contain_text("alert('x')")
    await page.keyboard.press("r")
    await page.locator(".row").first.click()
    await expect(page.locator("#side .raw")).to_have_text(markup)
    await page.keyboard.press("f")
    await expect(page.locator("#fault-list")).to_contain_text("name *script*")
    assert await page.evaluate("document.querySelectorAll('body script, body img[src=x], .row b b').length") == 0
    assert await page.evaluate("({}).polluted") is None


async def test_a_fault_added_in_the_page_breaks_the_next_request(page: Page, server: DevServer) -> None:
    assert await send(server, {"name": "a"}) == 200
    await page.keyboard.press("f")
    form = page.locator("#fault-form")
    await form.get_by_role("spinbutton", name="Status").fill("418")
    await form.get_by_label("Event name").fill("user.*")
    await form.get_by_label("Requests in all").fill("1")
    await form.get_by_role("button", name="Add the fault").click()
    await expect(page.locator("#fault-list li")).to_contain_text("answers 418")
    await expect(page.locator("#faults-count")).to_have_text("1")
    assert await send(server, {"name": "order.paid"}) == 200
    assert await send(server, {"name": "user.created"}) == 418
    assert await send(server, {"name": "user.created"}) == 200
    await expect(page.locator("#fault-list li")).to_contain_text("spent")
    await page.get_by_role("button", name="Remove fault f1").click()
    await expect(page.locator("#fault-list")).to_contain_text("Nothing is broken")
    assert len(server.faults) == 0


async def test_every_preset_is_a_fault_that_works(page: Page) -> None:
    await page.keyboard.press("f")
    presets = await page.locator(".presets button").count()
    assert presets >= 9
    for index in range(presets):
        await page.locator(".presets button").nth(index).click()
        await page.get_by_role("button", name="Add the fault").click()
        await expect(page.locator("#fault-list li[data-fault]")).to_have_count(index + 1)
    await expect(page.locator("#fault-form .error")).to_be_hidden()


async def test_a_fault_that_cannot_work_is_explained_in_the_page(page: Page) -> None:
    await page.keyboard.press("f")
    await page.locator("#fault-kind").select_option("slow")
    await page.get_by_label("Latency").fill("0")
    await page.get_by_role("button", name="Add the fault").click()
    await expect(page.locator("#fault-form .error")).to_contain_text("does nothing")


async def test_requests_can_be_seen_filtered_and_opened(page: Page, server: DevServer) -> None:
    await send(server, {"name": "a", "id": "one"})
    await send(server, {"data": {}})
    await page.keyboard.press("r")
    await expect(page.locator(".row .status")).to_have_text(["400", "200"])
    await page.locator("#status").select_option("bad")
    await expect(page.locator(".row")).to_have_count(1)
    await page.locator(".row").click()
    await expect(page.locator("#side .raw")).to_contain_text("event name is empty")


async def test_the_keyboard_alone_is_enough(page: Page, server: DevServer) -> None:
    await send(server, [{"name": "first", "id": "1"}, {"name": "second", "id": "2"}])
    await expect(page.locator(".row")).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    opened = await page.locator(".row[aria-current=true] b").inner_text()
    await expect(page.locator("#side h2")).to_have_text(opened)
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()


async def test_the_theme_turns_and_is_remembered(page: Page) -> None:
    colours = []
    for theme in ("dark", "light"):
        await page.keyboard.press("t")
        await expect(page.locator("html")).to_have_attribute("data-theme", theme)
        colours.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")


async def test_clear_empties_the_page(page: Page, server: DevServer) -> None:
    await send(server, {"name": "a", "id": "one"})
    await expect(page.locator(".row")).to_have_count(1)
    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator("#empty")).to_contain_text("Waiting for the first event")
    assert not server.book.events


async def test_a_flood_leaves_the_page_quick(page: Page, server: DevServer) -> None:
    for part in range(4):
        await send(server, [{"name": "flood", "id": f"{part}-{n}"} for n in range(2000)])
    await expect(page.locator("#n-events")).to_have_text("8,000")
    await expect(page.locator(".row")).to_have_count(300)


@pytest.mark.parametrize("width", [400, 900, 1400])
async def test_nothing_overflows_at_any_width(page: Page, server: DevServer, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await send(server, {"name": "x" * 300, "id": "y" * 300, "data": {"z": "w" * 3000}})
    await page.locator(".row").click()
    await expect(page.locator("#side h2")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
