"""Response time of the pages with many runs and photos and during a training, and the cost of an open page for it.

Start the real server and a real Chromium. With few and with many runs and photos, time a click on the page's own link
in the sidebar until the page is drawn. During a training, time a click on a block of the Layers page until the
server has drawn the page with that choice. Only the ratios within one run are comparable; the times depend on the
machine.

Example:
    python -m benchmarks.page
    python -m benchmarks.page --data photos/flowers
    python -m benchmarks.page --while-training
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.filled_workspace import fill
from benchmarks.photos import machine
from benchmarks.server import app_server
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.layout import labelled_files
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NUM_ROUND_TRIPS = 20
_NUM_WINDOWS = 3
_WINDOW_SECONDS = 6
_TIMEOUT = 60_000  # milliseconds
# The first visit of the Projects page checks all runs.
_LONG_TIMEOUT = 600_000
# Address and sidebar link of each page, by the name to print.
_PAGES = {
    "Welcome": ("/", "Transfer Studio"),
    "Model": ("/Model", "Model"),
    "Images": ("/Images", "Images"),
    "Layers": ("/Layers", "Layers"),
    "Train": ("/Train", "Train"),
    "Results": ("/Results", "Results"),
    "Results, classes": ("/Results?part=classes", "Results"),
    "Results, certainty": ("/Results?part=certainty", "Results"),
    "Results, map": ("/Results?part=map", "Results"),
    "Test": ("/Test", "Test"),
    "Export": ("/Export", "Export"),
    "Compare": ("/Compare", "Compare"),
    "Learn": ("/Learn", "Learn"),
    "Projects": ("/Projects", "Projects"),
}
# A quick script is never observed running, so watch the server's messages: a page is drawn when its last message has
# been drawn and no other has arrived for half a second.
WATCH_MESSAGES = """
    window.WebSocket = class extends window.WebSocket {
        constructor(...options) {
            super(...options);
            this.addEventListener("message", () => {
                requestAnimationFrame(() => setTimeout(() => (window.drawnAt = performance.now())));
            });
        }
    };
    window.addEventListener("pointerdown", () => (window.clickedAt = performance.now()), true);
"""
# The first moment at which the heading of another page, or the skeleton of a page, is on the screen.
_WATCH_HEADING = """
    window.addEventListener("pointerdown", () => {
        const before = document.querySelector("h1")?.textContent;
        window.visibleAt = 0;
        const look = () => {
            const now = document.querySelector("h1")?.textContent;
            const main = document.querySelector("[data-testid=stMainBlockContainer]");
            const isSkeleton = main && getComputedStyle(main, "::after").height !== "auto";
            if (isSkeleton || (now && now !== before)) window.visibleAt = performance.now();
            else requestAnimationFrame(look);
        };
        look();
    }, true);
"""
IS_DRAWN = """
    window.drawnAt > window.clickedAt && performance.now() - window.drawnAt > 500 &&
    document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]") !== null
"""


@click.command()
@click.option("--data", "folder", type=click.Path(path_type=Path, exists=True), help="Photos to train with.")
@click.option("--runs", "num_runs", default=300, show_default=True, help="Runs of the full workspace.")
@click.option("--photos", "num_photos", default=10_000, show_default=True, help="Photos of its dataset.")
@click.option("--clicks", "num_clicks", default=10, show_default=True, help="Clicks on each page.")
@click.option(
    "--while-training", "is_training", is_flag=True, help="Measure only page switches beside a training."
)
@click.option("--browser", default=lambda: shutil.which("chromium"), help="Program file of a Chromium.")
def main(
    folder: Path | None, num_runs: int, num_photos: int, num_clicks: int, is_training: bool, browser: str
) -> None:
    """Print the times and ratios."""
    from playwright.sync_api import sync_playwright

    click.echo(machine())
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        if is_training:
            _measure_switches(chromium, Workspace(Path(scratch) / "switches"), num_clicks)
            chromium.close()
            return
        if folder:
            _measure_beside_training(chromium, Workspace(Path(scratch) / "training"), folder)
        workspaces = [Workspace(Path(scratch) / name) for name in ("small", "full")]
        _measure_pages(chromium, workspaces, [(1, 100), (num_runs, num_photos)], num_clicks)
        chromium.close()


def _measure_beside_training(chromium: Browser, workspace: Workspace, folder: Path) -> None:
    dataset = add_files(create_dataset(workspace, "photos"), labelled_files(folder_source(folder)))
    choices = f"model=efficientnet_lite0&images={dataset.id}"
    with app_server(workspace) as url:
        page = chromium.new_context(base_url=url, bypass_csp=True).new_page()
        page.set_default_timeout(_TIMEOUT)
        page.goto(f"/Layers?{choices}&unfrozen=0")
        quiet = _round_trips(page)
        _start_long_training(page, f"/Train?{choices}&unfrozen=0")
        run = TrainingRun.load(workspace, workspace.run_ids()[0])
        _wait_for_epochs(run, 5)
        watched, alone = _epochs_a_second(page, run)
        page.goto(f"/Layers?{choices}&unfrozen=0")
        busy = _round_trips(page)
        if run.snapshot().outcome:
            raise click.ClickException("The training was over before all was measured: take more photos.")
    click.echo(f"round trip, nothing is trained: {1000 * quiet:.0f} ms at the median of {_NUM_ROUND_TRIPS}")
    click.echo(
        f"round trip during training: {1000 * busy:.0f} ms at the median, {busy / quiet:.2f} times that"
    )
    click.echo(f"training speed with the Train page open / with no page open: {watched / alone:.2f}")


def _measure_switches(chromium: Browser, workspace: Workspace, num_rounds: int) -> None:
    """Print how long a click on another page takes while a training is going on."""
    run = fill(workspace, 1, 100)
    choices = f"model=efficientnet_lite0&images={run.dataset_id}&unfrozen=0&pick={run.id}"
    links = ["1 · Model", "2 · Images", "3 · Layers", "5 · Results", "6 · Test", "7 · Export", "4 · Train"]
    links += ["Compare", "Learn", "Projects"]
    times: dict[str, list[tuple[float, float]]] = {link: [] for link in links}
    with app_server(workspace) as url:
        page = chromium.new_context(base_url=url, bypass_csp=True).new_page()
        page.set_default_timeout(_TIMEOUT)
        page.add_init_script(WATCH_MESSAGES + _WATCH_HEADING)
        _start_long_training(page, f"/Train?{choices}")
        _wait_for_epochs(TrainingRun.load(workspace, workspace.run_ids()[0]), 5)
        # The first round loads what each page needs.
        for number in range(num_rounds + 1):
            for link in links:
                seconds = (
                    _click(page, link),
                    float(page.evaluate("window.visibleAt - window.clickedAt")) / 1000,
                )
                if number:
                    times[link].append(seconds)
    medians = {
        link: [statistics.median(column) for column in zip(*found, strict=True)]
        for link, found in times.items()
    }
    for link, (drawn, visible) in medians.items():
        click.echo(
            f"{link}: visible after {1000 * visible:.0f} ms, drawn after {1000 * drawn:.0f} ms, beside a training"
        )
    drawn, visible = (statistics.median(column) for column in zip(*medians.values(), strict=True))
    click.echo(
        f"Median of all pages: visible after {1000 * visible:.0f} ms, drawn after {1000 * drawn:.0f} ms"
    )


def _measure_pages(
    chromium: Browser, workspaces: list[Workspace], sizes: list[tuple[int, int]], num_clicks: int
) -> None:
    """Print the time of a click on each page of a full workspace, and its ratio to that in a small one."""
    runs = [fill(workspace, *size) for workspace, size in zip(workspaces, sizes, strict=True)]
    (num_runs, num_photos) = sizes[1]
    with app_server(workspaces[0]) as small_url, app_server(workspaces[1]) as full_url:
        for title, (address, link) in _PAGES.items():
            pages = []
            for url, run in zip((small_url, full_url), runs, strict=True):
                page = chromium.new_context(base_url=url, bypass_csp=True).new_page()
                page.set_default_timeout(_LONG_TIMEOUT)
                page.add_init_script(WATCH_MESSAGES)
                choices = f"model=efficientnet_lite0&images={run.dataset_id}&unfrozen=0&pick={run.id}"
                page.goto(f"{address}{'&' if '?' in address else '?'}{choices}")
                page.get_by_test_id("stPageLink").get_by_text(link).first.wait_for()
                page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
                _click(page, link)
                pages.append(page)
            # Alternate, so that other load of the machine affects both.
            seconds = [[_click(page, link) for page in pages] for _number in range(num_clicks)]
            small, full = (statistics.median(times) for times in zip(*seconds, strict=True))
            for page in pages:
                page.context.close()
            click.echo(
                f"{title}: a click takes {1000 * full:.0f} ms with {num_runs} runs and {num_photos:,} photos, "
                f"{full / small:.2f} times what it takes with 1 run and 100 photos"
            )


def _click(page: Page, link: str) -> float:
    """Return the seconds from a click on the page's own link until the page is drawn."""
    page.get_by_test_id("stPageLink").get_by_text(link).first.click()
    page.wait_for_function(IS_DRAWN)
    return float(page.evaluate("window.drawnAt - window.clickedAt")) / 1000


def _round_trips(page: Page) -> float:
    """Return the median seconds of a round trip."""
    last_block = page.get_by_role("slider").locator(".cell").last
    last_block.wait_for()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    seconds = []
    for number in range(_NUM_ROUND_TRIPS):
        num_trainable = (number + 1) % 2
        began = time.perf_counter()
        last_block.click()
        # The browser shows the choice at once; the address has it when the server has drawn the page.
        page.wait_for_function("(count) => location.search.includes(`unfrozen=${count}`)", arg=num_trainable)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _start_long_training(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_text("Advanced settings").click()
    page.get_by_text("Choose for myself").click()
    for label, number in (("Epochs", "1000"), ("Early stopping", "0")):
        field = page.get_by_role("spinbutton", name=label, exact=True)
        field.fill(number)
        field.press("Enter")
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    # Use small batches, so that the training outlasts the measurement.
    page.get_by_role("tab", name="Learning rate").click()
    page.locator("[data-testid=stSlider]", has_text="Batch size").get_by_role("slider").press("Home")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("button", name="Pause", exact=True).wait_for()


def _epochs_a_second(page: Page, run: TrainingRun) -> tuple[float, float]:
    """Return the median epochs per second with the Train page open and with no page, in turns."""
    address = page.url
    watched, alone = [], []
    for _window in range(_NUM_WINDOWS):
        page.goto(address)
        page.locator(".st-key-curve-accuracy").wait_for()
        watched.append(_speed(run))
        page.goto("about:blank")
        alone.append(_speed(run))
    return statistics.median(watched), statistics.median(alone)


def _speed(run: TrainingRun) -> float:
    before, began = len(run.snapshot().epochs), time.perf_counter()
    time.sleep(_WINDOW_SECONDS)
    return (len(run.snapshot().epochs) - before) / (time.perf_counter() - began)


def _wait_for_epochs(run: TrainingRun, number: int) -> None:
    while len(run.snapshot().epochs) < number:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
