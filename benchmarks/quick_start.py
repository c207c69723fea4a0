"""The time from the first click to a live answer in the quick start, in a real browser.

Each case starts the app with an empty workspace, as a person does who opens it for the first time. The seconds depend
on the machine, so each is also given in passes: one forward pass of all photos, measured afterwards.

Example:
    python -m benchmarks.quick_start
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from playwright.sync_api import Page, sync_playwright

from benchmarks.journey import forward_pass
from benchmarks.photos import machine
from benchmarks.server import app_server
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.workspace import Workspace

_ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
_MILLISECONDS = 600_000
_RECORDED = 3_000  # milliseconds for each class
_MOST_SECONDS = 10
_MOST_SECONDS_WAITED = 5
_MOST_SECONDS_WITH_CAMERA = 60


@dataclass
class Course:
    """When each thing was on screen.

    Args:
        started_at: When the person clicked first, by `time.perf_counter`.
        waits: Seconds that the person waited, by what they waited for.
    """

    started_at: float = field(default_factory=time.perf_counter)
    waits: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds since the first click."""
        return time.perf_counter() - self.started_at

    @contextmanager
    def waiting(self, name: str) -> Iterator[None]:
        """Add the time of the block to the waits."""
        began_at = time.perf_counter()
        yield
        self.waits[name] = time.perf_counter() - began_at


@click.command()
@click.option("--browser", default=lambda: shutil.which("chromium"), help="Program file of a Chromium.")
@click.option("--look", "seconds", default=3.0, show_default=True, help="Seconds before the first click.")
def main(browser: str | None, seconds: float) -> None:
    """Print how long a person waits, with a ready-made set and with two classes by camera."""
    click.echo(machine())
    for name, drive in (("a ready-made set", _ready_made), ("two classes by camera", _by_camera)):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            workspace = Workspace(Path(folder))
            chromium = playwright.chromium.launch(executable_path=browser, args=_ARGUMENTS)
            with app_server(workspace) as url:
                context = chromium.new_context(
                    viewport={"width": 1280, "height": 900}, permissions=["camera"], bypass_csp=True
                )
                context.set_default_timeout(_MILLISECONDS)
                page = context.new_page()
                page.goto(url)
                page.get_by_role("button", name="Clothes", exact=True).wait_for()
                page.wait_for_timeout(1000 * seconds)
                course = drive(page)
                total = course.seconds
            chromium.close()
            _print(name, total, course, workspace)


def _ready_made(page: Page) -> Course:
    course = Course()
    with course.waiting("photos on screen"):
        page.get_by_role("button", name="Clothes", exact=True).click()
        page.get_by_role("img", name="16 photos of dress").wait_for()
    _train(page, course)
    with course.waiting("live answer"):
        page.locator(".answer-said").first.wait_for()
    return course


def _by_camera(page: Page) -> Course:
    course = Course()
    with course.waiting("camera on"):
        page.get_by_role("button", name="Switch the camera on").first.click()
        page.get_by_role("button", name="Hold to record").first.wait_for()
    for place, name in enumerate(("mug", "pen")):
        field = page.get_by_role("textbox", name="Name of the class").nth(place)
        field.fill(name)
        field.press("Enter")
        page.get_by_role("button", name=f"Hold to record: {name}").hover()
        page.mouse.down()
        page.wait_for_timeout(_RECORDED)
        page.mouse.up()
    _train(page, course)
    return course


def _train(page: Page, course: Course) -> None:
    train = page.get_by_role("button", name="Train", exact=True)
    with course.waiting("Train can be clicked"):
        page.wait_for_function(
            "() => { const found = document.querySelector('.st-key-quick-train button'); "
            "return found && !found.disabled; }"
        )
        train.click()
    with course.waiting("accuracy"):
        page.get_by_role("button", name="Train again").wait_for()


def _print(name: str, total: float, course: Course, workspace: Workspace) -> None:
    load_keras()
    dataset = ImageDataset.load(workspace, workspace.dataset_ids()[0])
    one_pass = forward_pass(workspace, dataset, get_backbone(DEFAULT_BACKBONE))
    waited = sum(course.waits.values())
    is_with_camera = "camera on" in course.waits
    goal = _MOST_SECONDS_WITH_CAMERA if is_with_camera else _MOST_SECONDS
    click.echo(f"\n{name}: {len(dataset.images)} photos, one forward pass {one_pass:.2f} s")
    for wait, seconds in course.waits.items():
        click.echo(f"    {wait:<24} {seconds:7.2f} s  {seconds / one_pass:6.2f} passes")
    click.echo(
        f"    {'first click to the end':<24} {total:7.2f} s  {total / one_pass:6.2f} passes  (goal: at most {goal} s)"
    )
    if is_with_camera:
        click.echo(
            f"    {'of which waiting':<24} {waited:7.2f} s  {waited / one_pass:6.2f} passes  "
            f"(goal: at most {_MOST_SECONDS_WAITED} s)"
        )


if __name__ == "__main__":
    main()
