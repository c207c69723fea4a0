"""How long pages take for a class that opens them and clicks, in tabs and in real browsers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from benchmarks.classroom.pupils import Pupil
from benchmarks.classroom.report import Report
from benchmarks.classroom.tab import ANSWER_SECONDS, LostAnswer, Tab
from benchmarks.page import IS_DRAWN, WATCH_MESSAGES
from transfer_core.classroom.visitor import COOKIE

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

_LEAST_PAUSE, _MOST_PAUSE = 2.0, 6.0  # seconds between an answer and the next click
_SHARE_OF_LINKS = 0.7
_POLL_SECONDS = 0.05


async def open_tabs(pupils: Sequence[Pupil], report: Report) -> None:
    """Open the welcome page for everyone at once, with their photos and their model."""

    async def open_tab(pupil: Pupil) -> None:
        with noting(pupil, report):
            await pupil.tab.open(query=pupil.choices)

    await asyncio.gather(*map(open_tab, pupils))


async def close_tabs(pupils: Sequence[Pupil]) -> None:
    """Close the tab of everyone."""
    await asyncio.gather(*(pupil.tab.close() for pupil in pupils))


async def browse(pupils: Sequence[Pupil], seconds: float, report: Report) -> list[float]:
    """Let everyone follow links and choose parts of pages for a while. Returns the seconds of each answer."""
    for pupil in pupils:
        pupil.tab.seconds.clear()
    await asyncio.gather(*(_browse(pupil, seconds, report) for pupil in pupils))
    return [second for pupil in pupils for second in pupil.tab.seconds]


async def browse_in_browsers(
    chromium: Browser, pupils: Sequence[Pupil], seconds: float, report: Report
) -> list[float]:
    """Let some do the same in real browsers. Returns the seconds from each click to the drawn page."""
    found = await asyncio.gather(*(_browse_in_browser(chromium, pupil, seconds, report) for pupil in pupils))
    return [second for some in found for second in some]


async def _browse(pupil: Pupil, seconds: float, report: Report) -> None:
    draw = random.Random(pupil.name)
    until = time.perf_counter() + seconds
    # Nobody clicks in the same moment as all others.
    await asyncio.sleep(draw.uniform(0, _MOST_PAUSE))
    while time.perf_counter() < until:
        with noting(pupil, report):
            await _click(pupil.tab, draw)
        await asyncio.sleep(draw.uniform(_LEAST_PAUSE, _MOST_PAUSE))


async def _click(tab: Tab, draw: random.Random) -> None:
    options = tab.screen.options()
    if options and draw.random() > _SHARE_OF_LINKS:
        await tab.act(tab.screen.choose(draw.choice(options)))
    else:
        await tab.go_to(draw.choice(tab.screen.names_of_pages()))


async def _browse_in_browser(chromium: Browser, pupil: Pupil, seconds: float, report: Report) -> list[float]:
    from playwright.async_api import Error

    draw, found = random.Random(pupil.name), list[float]()
    context = await chromium.new_context(base_url=pupil.tab.url, viewport={"width": 1280, "height": 900})
    try:
        name, _equals, value = pupil.tab.cookie.partition("=")
        await context.add_cookies([{"name": name or COOKIE, "value": value, "url": pupil.tab.url}])
        page = await context.new_page()
        page.set_default_timeout(1000 * ANSWER_SECONDS)
        page.on("pageerror", lambda error: report.lost(f"A script failed in {pupil.name}'s browser: {error}"))
        await page.add_init_script(WATCH_MESSAGES)
        await page.goto(f"/?{pupil.choices}")
        await page.get_by_test_id("stPageLink").first.wait_for()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            found.append(await _click_in_browser(page, draw))
            await asyncio.sleep(draw.uniform(_LEAST_PAUSE, _MOST_PAUSE))
    except (Error, TimeoutError) as error:
        report.lost(f"{pupil.name}'s browser did not get a page. {str(error).partition(chr(10))[0]}")
    finally:
        await context.close()
    return found


async def _click_in_browser(page: Page, draw: random.Random) -> float:
    links = page.get_by_test_id("stSidebar").get_by_test_id("stPageLink")
    await links.nth(draw.randrange(await links.count())).click()
    # wait_for_function evaluates text in the page, which the policy of the pages forbids.
    with anyio.fail_after(ANSWER_SECONDS):
        while not await page.evaluate(IS_DRAWN):
            await asyncio.sleep(_POLL_SECONDS)
    return float(await page.evaluate("window.drawnAt - window.clickedAt")) / 1000


@contextmanager
def noting(pupil: Pupil, report: Report) -> Iterator[None]:
    """Turn a lost answer, or an exception on the page, into a problem of the report."""
    try:
        yield
    except (LostAnswer, LookupError, OSError) as error:
        report.lost(f"{pupil.name} got no answer. {error}")
    for message in pupil.tab.screen.exceptions:
        report.lost(f"{pupil.name} saw an exception: {message}")
