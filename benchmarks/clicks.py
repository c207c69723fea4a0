"""Count lost clicks on pages that rerun continuously.

Start the real server and a real Chromium with a fake camera, keep a training running and the processor busy, and click
at random moments. A click is lost if the page does not show its effect within half a minute.

Example:
    python -m benchmarks.clicks --clicks 200
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image

from benchmarks.photos import dataset_of, machine
from benchmarks.server import app_server
from transfer_core.config import TrainingConfig
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_TIMEOUT = 30_000  # milliseconds until a click counts as lost
_MAX_PAUSE = 1.2  # seconds between two clicks; the pages rerun every second or faster
_CAMERA = "Camera"  # the one click after which a camera is on
_COLORS = {"blue": (30, 60, 200), "green": (40, 170, 60), "red": (210, 40, 40)}
_BACKBONE = "tiny_random"
_BROWSER_ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
_KEEP_TRACKS = """
    window.tracks = [];
    const request = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
        const stream = await request(constraints);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
"""
_CAMERA_IS_OFF = "() => tracks.every((track) => track.readyState === 'ended')"


@dataclass(frozen=True)
class Click:
    """A click and its visible effect.

    Args:
        name: Name to print.
        press: Performs the click.
        effect: Returns an element that is visible after the click.
        prepare: Waits until the next click is possible.
    """

    name: str
    press: Callable[[], None]
    effect: Callable[[], Locator]
    prepare: Callable[[], None] = lambda: None


@click.command()
@click.option(
    "--clicks", "num_clicks", type=click.IntRange(min=1), default=200, help="On all pages together."
)
@click.option(
    "--load",
    "num_burners",
    type=click.IntRange(min=0),
    default=2,
    help="Processes that keep the processor busy.",
)
@click.option("--seed", type=int, default=0, help="Seed of the pauses.")
@click.option("--browser", default=lambda: shutil.which("chromium"), help="Program file of a Chromium.")
def main(num_clicks: int, num_burners: int, seed: int, browser: str) -> None:
    """Click, print the number of lost clicks, and exit with 1 if there are any."""
    from playwright.sync_api import sync_playwright

    click.echo(machine())
    random_source = random.Random(seed)
    num_lost = 0
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        workspace = Workspace(Path(scratch, "workspace"))
        model, training = _runs(workspace, Path(scratch))
        chromium = playwright.chromium.launch(executable_path=browser, args=_BROWSER_ARGUMENTS)
        with app_server(workspace) as url, _busy(num_burners):
            context = chromium.new_context(
                base_url=url, viewport={"width": 1280, "height": 900}, permissions=["camera"], bypass_csp=True
            )
            page = context.new_page()
            page.set_default_timeout(_TIMEOUT)
            page.add_init_script(_KEEP_TRACKS)
            _resume(page, training)
            places = _places(page, model, training)
            for number, (name, address, clicks) in enumerate(places):
                count = num_clicks * (number + 1) // len(places) - num_clicks * number // len(places)
                lost = _click_often(page, address, clicks, count, random_source)
                num_lost += len(lost)
                click.echo(f"{name}: {count} clicks, {len(lost)} lost {', '.join(lost)}")
            chromium.close()
    click.echo(f"lost: {num_lost} of {num_clicks}")
    sys.exit(1 if num_lost else 0)


def _runs(workspace: Workspace, scratch: Path) -> tuple[TrainingRun, TrainingRun]:
    """Return a finished run and a queued one of 1,000 epochs."""
    for number, (name, color) in enumerate(_COLORS.items()):
        folder = scratch / "photos" / name
        folder.mkdir(parents=True)
        for index in range(24):
            noise = np.random.default_rng(100 * number + index).integers(-24, 25, (48, 48, 3))
            Image.fromarray((noise + color).clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    dataset = dataset_of(workspace, scratch / "photos")
    short = TrainingConfig(backbone=_BACKBONE, epochs=20)
    model = TrainingRun.create(workspace, dataset, short)
    execute_run(workspace, model, EventLog(model.folder / EVENTS_FILE).append, lambda: False)
    # Use batches of one photo, so that the training outlasts the clicks.
    long = short.with_changes(epochs=1000, fine_tune_epochs=1000, num_unfrozen_blocks=2, batch_size=1)
    return model, TrainingRun.create(workspace, dataset, long)


def _resume(page: Page, training: TrainingRun) -> None:
    page.goto(f"/Train?run={training.id}")
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_role("button", name="Pause", exact=True).wait_for()


def _places(
    page: Page, model: TrainingRun, training: TrainingRun
) -> list[tuple[str, str, tuple[Click, ...]]]:
    """Return name, address and repeated clicks of each page."""

    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name, exact=True)

    def heading(name: str) -> Locator:
        return page.get_by_role("heading", name=name, exact=True)

    def main_text(text: str) -> Locator:
        return page.locator("[data-testid=stMain]").get_by_text(text, exact=True).first

    def way(name: str) -> Locator:
        return page.get_by_role("radio", name=name, exact=True)

    def press(locator: Locator) -> Callable[[], None]:
        return lambda: locator.click(no_wait_after=True)

    def link(name: str) -> Callable[[], None]:
        return press(page.locator("[data-testid=stSidebar]").get_by_role("link", name=name))

    show_live = Click(
        _CAMERA,
        press(way("Camera")),
        lambda: button("Switch the camera off"),
        lambda: page.locator(".st-key-live-camera .said").first.wait_for(),
    )
    drop = page.get_by_text("Paste a photo")
    test_address = f"/Test?run={training.id}&pick={model.id}"
    choices = f"model={_BACKBONE}&images={training.dataset_id}&unfrozen=0&run={training.id}"
    learn_address = f"/Learn?run={model.id}"
    slider = page.get_by_role("slider")
    # The browser shows a choice at once; the sidebar names it when the server has drawn the page.
    sidebar = page.locator("[data-testid=stSidebar]")
    return [
        (
            "live camera, another view",
            test_address,
            (show_live, Click("Photos", press(way("Photos")), lambda: drop)),
        ),
        (
            "live camera, another page",
            test_address,
            (
                show_live,
                Click("Learn", link("Learn"), lambda: heading("Learn")),
                Click("Test", link("6 · Test"), lambda: way("Camera")),
            ),
        ),
        (
            "live charts of a training",
            f"/Train?run={training.id}",
            (
                Click("Pause", press(button("Pause")), lambda: button("Go on")),
                Click("Go on", press(button("Go on")), lambda: button("Pause")),
            ),
        ),
        (
            "the blocks beside a training",
            f"/Layers?{choices}",
            (
                Click(
                    "left",
                    lambda: slider.press("ArrowLeft"),
                    lambda: sidebar.get_by_text("New layer and 1 block learn"),
                ),
                Click(
                    "right",
                    lambda: slider.press("ArrowRight"),
                    lambda: sidebar.get_by_text("Only the new layer learns"),
                ),
            ),
        ),
        (
            "the sidebar's button",
            learn_address,
            (
                Click("Show it", press(button("Show it")), lambda: main_text("Time left")),
                Click("Compare", link("Compare"), lambda: main_text("Try several depths")),
                Click(
                    "Try several depths",
                    press(way("Try several depths")),
                    lambda: heading("Try several depths"),
                    # The button needs a page whose run is not the one in training.
                    lambda: _open(page, learn_address),
                ),
            ),
        ),
    ]


def _click_often(
    page: Page, address: str, clicks: tuple[Click, ...], count: int, random_source: random.Random
) -> list[str]:
    """Click `count` times on a page and return the names of the lost clicks."""
    from playwright.sync_api import Error

    lost: list[str] = []
    steps = _from_the_start(page, address, clicks)
    for _number in range(count):
        step = next(steps)
        time.sleep(random_source.uniform(0, _MAX_PAUSE))
        try:
            step.press()
            step.effect().wait_for()
            if step.name != _CAMERA:
                page.wait_for_function(_CAMERA_IS_OFF)
            step.prepare()
        except Error:
            lost.append(step.name)
            steps = _from_the_start(page, address, clicks)
    return lost


def _from_the_start(page: Page, address: str, clicks: tuple[Click, ...]) -> Iterator[Click]:
    _open(page, address)
    return itertools.cycle(clicks)


def _open(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


@contextmanager
def _busy(num_processes: int) -> Iterator[None]:
    """Run busy loops in `num_processes` processes until the block ends."""
    burners = [
        multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(num_processes)
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()


def _burn() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
