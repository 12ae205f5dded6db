"""The deploy story in a real browser: what people type, see and press on the page of the sandbox.

Leaves screenshots in tests/out; OPSBOT_SCREENSHOTS=docs renews the two that the README shows.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.sandbox.sandbox import Sandbox

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ROOT = Path(__file__).parents[2]
OUT = ROOT / "tests" / "out"
PUBLISHED = os.environ.get("OPSBOT_SCREENSHOTS")
SPEED = 30 if PUBLISHED else 60  # pictures for people want a chart with some past
SIZE = {"width": 1440, "height": 900}
DEPLOY, APPROVE = "v0.1.0 to production", "Approve"
# Seconds; the bake of 15 minutes is scaled by SPEED.
SOON, BAKED = 20_000, 90_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed: apt-get install chromium"),
]


@pytest.fixture
def home():
    """A folder outside pytest's own, which every pytest run as root closes to the user that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="opsbot-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@asynccontextmanager
async def page_of(home) -> AsyncIterator:
    """A browser on the page of a sandbox with its bot; an error in the page's own code fails the test."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  skipped tests never load it

    sandbox, errors = Sandbox(home=home, speed=SPEED), []
    try:
        url = await sandbox.start()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            page = await browser.new_page(viewport=SIZE)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
            await page.goto(f"{url}/?user=U0JANE")
            yield page, sandbox
            await browser.close()
    finally:
        await sandbox.stop()
    assert errors == []


async def shoot(page, name: str, published: str = "") -> None:
    """Take a picture for people; `published` is its name in the folder of OPSBOT_SCREENSHOTS."""
    OUT.mkdir(exist_ok=True)
    await page.mouse.move(400, 24)
    await asyncio.sleep(1.2)  # animations end, the panel is drawn anew
    picture = await page.screenshot(path=OUT / f"{name}.png")
    if PUBLISHED and published:
        (ROOT / PUBLISHED / f"{published}.png").write_bytes(picture)


async def become(page, name: str) -> None:
    """Switch to somebody else, as a click on the switcher does."""
    await page.get_by_role("link", name=name).click()
    await page.locator("#acting", has_text=name).wait_for(timeout=SOON)


async def open_thread(page, card) -> None:
    await card.locator(".thread-link").click()
    await page.locator("#thread-messages article").nth(1).wait_for(timeout=SOON)


async def weight(page, colour: str) -> str:
    """Return what the panel shows for a colour of production."""
    side = page.locator(".environment", has_text="production").locator(".side", has_text=colour)
    return (await side.locator(".weight").inner_text()).strip()


async def test_jane_asks_bob_approves_and_the_traffic_moves_on_the_page(home):
    """Completion, card, refused own approval, Bob's approval, thread, weights from blue to green, success."""
    from playwright.async_api import expect  # noqa: PLC0415

    async with page_of(home) as (page, sandbox):
        box = page.locator("#composer textarea")
        await box.press_sequentially("/dep")
        await expect(page.locator("#composer .menu button.current b")).to_have_text("/deploy")
        await shoot(page, "completion")
        await box.press("Tab")
        await box.press_sequentially("v0.1.0 production")
        await box.press("Enter")

        card = page.locator("#messages article", has_text=DEPLOY).filter(has=page.locator(".block"))
        approve = card.get_by_role("button", name=APPROVE)
        await approve.wait_for(timeout=SOON)
        assert await weight(page, "blue") == "100 %"
        await approve.click()
        dialog = page.locator("#confirm")
        await expect(dialog).to_contain_text("Approve this deployment?")
        await shoot(page, "confirm")
        await dialog.get_by_role("button", name=APPROVE).click()
        refusal = page.locator("#messages .ephemeral", has_text="someone else with the role approver has to approve")
        await refusal.wait_for(timeout=SOON)
        await expect(refusal).to_contain_text("Only visible to you")
        await open_thread(page, card)
        await shoot(page, "approval", published="sandbox-approval")

        await become(page, "Bob")
        await expect(page.locator("#messages")).not_to_contain_text("someone else with the role approver")
        await approve.click()
        await dialog.get_by_role("button", name=APPROVE).click()
        await open_thread(page, card)
        thread = page.locator("#thread-messages")
        await expect(thread).to_contain_text("Approved by Bob Williams", timeout=SOON)
        await expect(thread).to_contain_text("Switch the traffic to green", timeout=SOON)
        green = page.locator(".environment", has_text="production").locator(".side", has_text="green")
        await expect(green.locator(".weight")).to_have_text("100 %", timeout=SOON)
        assert await weight(page, "blue") == "0 %"
        await expect(card).to_contain_text(re.compile(r"[2-7]\d% of the watch"), timeout=BAKED)
        await card.evaluate("card => card.scrollIntoView({block: 'start'})")
        await shoot(page, "traffic-on-green", published="sandbox-deploy")

        success = page.locator("#messages article", has_text="v0.1.0 is live on production")
        await success.wait_for(timeout=BAKED)
        await expect(thread).to_contain_text("Record of deployment", timeout=SOON)
        await expect(card).to_contain_text("Live on green", timeout=SOON)
        await shoot(page, "success")
        assert sandbox.world.weights("production") == {"blue": 0, "green": 100}
        assert sandbox.world.pages() == []
