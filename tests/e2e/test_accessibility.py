"""No page shuts anybody out: axe-core finds nothing serious on it, in light and dark, after and during a training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import LONG, Server, choose_long_training, click_button, running_server, settle
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
# What axe finds in the markup of Streamlit itself: rule, the start of the element, and why it cannot be changed here.
STREAMLIT: tuple[tuple[str, str, str], ...] = ()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, train_once: TrainOnce) -> Iterator[tuple[Server, str]]:
    """A server with one finished run, and the choices of that run as an address."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 130, (64, 64, 3), np.uint8)
        pixels[..., number % 3] += 120
        path = folder / ("red", "green", "blue")[number % 3] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    with running_server(tmp_path_factory.mktemp("accessible")) as server:
        dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(folder))
        run = train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=20))
        yield server, f"model=efficientnet_lite0&images={dataset.id}&unfrozen=0&run={run.id}"


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, trained: tuple[Server, str], request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(
        base_url=trained[0].url,
        viewport={"width": 1280, "height": 900},
        color_scheme=request.param,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(LONG)
    yield page
    context.close()


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


@pytest.mark.parametrize("address", PAGES)
def test_a_page_with_a_finished_run(trained: tuple[Server, str], page: Page, address: str) -> None:
    page.goto(f"{address}{'&' if '?' in address else '?'}{trained[1]}")
    settle(page)
    assert findings(page) == []


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
    page.get_by_test_id("stSidebar").get_by_role("link", name="Results").click()
    expect(page.get_by_role("heading", name="5 · Results")).to_be_visible()
    found += findings(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Train").click()
    click_button(page, "Stop and keep the model")
    expect(page.get_by_role("button", name="Stop and keep the model")).to_be_hidden()
    assert found == []


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


@pytest.mark.parametrize("address", ["/Model", "/Images", "/Train", "/Results", "/Test", "/Export"])
def test_nothing_is_cut_on_the_narrowest_screen(
    trained: tuple[Server, str], page: Page, address: str
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(f"{address}?{trained[1]}")
    settle(page)
    expect(page.locator(".st-key-journey-links").get_by_role("link")).to_have_count(7)
    expect(page.locator(".st-key-journey-links").get_by_role("link").first).to_be_visible()
    expect(page.locator(".shown-model")).to_be_visible()
    wide, shown = page.evaluate(
        "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.querySelector('[data-testid=stMain]'))"
    )
    assert wide <= shown
