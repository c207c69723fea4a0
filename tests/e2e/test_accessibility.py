"""No page shuts anybody out: axe-core finds nothing serious on it, in light and dark, after and during a training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import LONG, Server, choose_long_training, click_button, emptied, settle
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/Model",
    "/Images",
    "/Layers",
    "/Train",
    "/Results",
    "/Results?part=mistakes",
    "/Test",
    "/Export",
    "/Compare",
    "/Learn",
    "/Projects",
)
NARROW_PAGES = ("/Model", "/Images", "/Train", "/Results", "/Test", "/Export")
IS_NOTHING_CUT = """() => {
    const main = document.querySelector("[data-testid=stMain]");
    return main.scrollWidth <= main.clientWidth;
}"""
# What axe finds in the markup of Streamlit itself: rule, the start of the element, and why it cannot be changed here.
STREAMLIT: tuple[tuple[str, str, str], ...] = ()


@pytest.fixture(scope="module")
def trained(shared_server: Server, noisy_colors: Path, train_once: TrainOnce) -> Iterator[tuple[Server, str]]:
    """A server with one finished run, and the choices of that run as an address."""
    workspace = shared_server.workspace
    with emptied(shared_server):
        dataset = add_files(create_dataset(workspace, "colors"), folder_source(noisy_colors))
        run = train_once(workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=3))
        yield shared_server, f"model=efficientnet_lite0&images={dataset.id}&unfrozen=0&run={run.id}"


@pytest.fixture(scope="module", params=["light", "dark"])
def shared_page(
    browser: Browser, trained: tuple[Server, str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """The only page of a browser in a colour scheme; a new browser would read the app's scripts again."""
    context = browser.new_context(
        base_url=trained[0].url, color_scheme=request.param, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(LONG)
    yield page
    context.close()


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The page on the screen of a laptop."""
    shared_page.set_viewport_size({"width": 1280, "height": 900})
    return shared_page


def findings(page: Page) -> list[str]:
    """What is serious on a page, but for what Streamlit alone could change."""
    found: list[dict[str, Any]] = (
        Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    )
    return [
        f"{page.url} {violation['id']} {node['target']} {node['html'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
        if not any(rule == violation["id"] and part in node["html"] for rule, part, _why in STREAMLIT)
    ]


# As Streamlit does with what is drawn again for longer than half a second.
FADE = (
    "one => { one.dataset.stale = 'true'; one.style.opacity = 0.33; return getComputedStyle(one).opacity; }"
)


@pytest.mark.parametrize("address", PAGES)
def test_a_page_with_a_finished_run_and_on_the_narrowest_screen(
    trained: tuple[Server, str], page: Page, address: str
) -> None:
    page.goto(f"{address}{'&' if '?' in address else '?'}{trained[1]}")
    settle(page)
    assert findings(page) == []
    if address not in NARROW_PAGES:
        return
    page.set_viewport_size({"width": 320, "height": 640})
    expect(page.locator(".st-key-journey-links").get_by_role("link")).to_have_count(7)
    expect(page.locator(".st-key-journey-links").get_by_role("link").first).to_be_visible()
    expect(page.locator(".shown-model")).to_be_visible()
    page.wait_for_function(IS_NOTHING_CUT)


def test_the_findings_are_not_empty_where_something_is_wrong(trained: tuple[Server, str], page: Page) -> None:
    page.goto("/Projects")
    settle(page)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<button></button>')")
    assert any("button-name" in finding for finding in findings(page))


def test_the_pages_while_training(trained: tuple[Server, str], page: Page) -> None:
    page.goto(f"/Train?{trained[1].split('&run=')[0]}")
    settle(page)
    choose_long_training(page)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_visible()
    found = findings(page)
    opacity = page.locator("[data-stale]:has(.stProgress)").first.evaluate(FADE)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Results").click()
    expect(page.get_by_role("heading", name="5 · Results")).to_be_visible()
    found += findings(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Train").click()
    click_button(page, "Stop and keep the model")
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_hidden()
    assert found == []
    assert opacity == "1"


def test_a_page_without_content_shows_a_skeleton(trained: tuple[Server, str], page: Page) -> None:
    page.goto(f"/Model?{trained[1]}")
    settle(page)
    page.wait_for_function("() => document.getElementById('skeleton')")
    # A quick computer draws a page between two frames, so put the browser into the state of a slow one.
    before, after = page.evaluate(
        """() => {
            const main = document.querySelector("[data-testid=stMainBlockContainer]");
            const height = () => getComputedStyle(main, "::after").height;
            const before = height();
            main.querySelectorAll("h1").forEach((title) => title.remove());
            document.querySelector("[data-test-script-state]").dataset.testScriptState = "running";
            return [before, height()];
        }"""
    )
    assert before == "auto" and after != "auto"
