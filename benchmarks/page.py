"""How quickly the pages answer while a training goes on, and how much an open page slows the training.

Starts the real server and a real Chromium. One round trip is a press of a key on the slider of the Layers page until
the network is drawn anew. Only the ratios of one run mean anything; the times are those of the machine.

Example:
    python -m benchmarks.page --data photos/flowers
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.photos import machine
from benchmarks.server import app_server
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources import folder_source
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NUM_ROUND_TRIPS = 20
_NUM_WINDOWS = 3
_WINDOW_SECONDS = 6
_PATIENCE = 60_000  # milliseconds


@click.command()
@click.option("--data", "folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--browser", default=lambda: shutil.which("chromium"), help="Program file of a Chromium.")
def main(folder: Path, browser: str) -> None:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    click.echo(machine())
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        workspace = Workspace(Path(scratch))
        dataset = add_files(create_dataset(workspace, "photos"), folder_source(folder))
        choices = f"model=efficientnet_lite0&images={dataset.id}"
        with app_server(workspace) as url:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_context(base_url=url).new_page()
            page.set_default_timeout(_PATIENCE)
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
            chromium.close()
    click.echo(f"round trip, nothing is trained: {1000 * quiet:.0f} ms at the median of {_NUM_ROUND_TRIPS}")
    click.echo(
        f"round trip during training: {1000 * busy:.0f} ms at the median, {busy / quiet:.2f} times that"
    )
    click.echo(f"training speed with the Train page open / with no page open: {watched / alone:.2f}")


def _round_trips(page: Page) -> float:
    """Return the median time of a round trip in seconds."""
    slider = page.get_by_role("slider")
    slider.wait_for()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    seconds = []
    for number in range(_NUM_ROUND_TRIPS):
        num_learning = (number + 1) % 2
        began = time.perf_counter()
        slider.press("ArrowRight" if num_learning else "ArrowLeft")
        page.wait_for_function(
            "(count) => document.querySelectorAll('.network-learning').length === count", arg=num_learning
        )
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _start_long_training(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_text("For experts: every choice").click()
    page.get_by_text("Choose for myself").click()
    for label, number in (("Epochs", "1000"), ("Early stopping", "0")):
        field = page.get_by_role("spinbutton", name=label, exact=True)
        field.fill(number)
        field.press("Enter")
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    # Small batches: a thousand epochs are to last longer than the measuring.
    page.get_by_role("tab", name="Steps").click()
    page.locator("[data-testid=stSlider]", has_text="Batch size").get_by_role("slider").press("Home")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("button", name="Pause", exact=True).wait_for()


def _epochs_a_second(page: Page, run: TrainingRun) -> tuple[float, float]:
    """Return the median speed of the training with the Train page open and with no page, in turns."""
    address = page.url
    watched, alone = [], []
    for _window in range(_NUM_WINDOWS):
        page.goto(address)
        page.locator(".st-key-curve-loss").wait_for()
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
