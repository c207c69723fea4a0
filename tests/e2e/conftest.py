"""A real server on this machine and a real browser in front of it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, expect, sync_playwright

from tests.conftest import ROOT, MakeImage
from transfer_core.classroom.facts import CLASS_VARIABLE
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.look_ahead import LOOK_AHEAD_VARIABLE
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace

LONG = 120_000  # milliseconds; a busy machine may need them, a test never waits for their end
expect.set_options(timeout=LONG)

NOISE_FREE_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
# Expanders open at once. A test clicks within a tenth of a second, while the button inside would still be moving.
STAND_STILL = """{
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (frames, options) {
        return animate.call(this, frames, { ...options, duration: 0 });
    };
}"""
PAGES = pytest.StashKey[list[Page]]()
HAS_FAILED = pytest.StashKey[bool]()
_TROUBLE = re.compile(r"traceback|warning|error|exception", re.IGNORECASE)


@dataclass
class Server:
    """The app on a free port, with an empty workspace.

    Args:
        port: Where it listens on this machine.
        workspace: Where it keeps everything.
        log: What it writes.
        process: Of the running app.
        num_lines_read: Lines of the log that were looked at.
        has_look_ahead: Whether it reads photos before a training. It would go on when a test has ended.
        is_class: Whether it serves a class.
    """

    port: int
    workspace: Workspace
    log: Path
    process: subprocess.Popen[bytes] | None = None
    num_lines_read: int = 0
    has_look_ahead: bool = False
    is_class: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            f"--server.port={self.port}",
            "--server.headless=true",
        ]
        environment = {
            **os.environ,
            WORKSPACE_VARIABLE: str(self.workspace.root),
            LOOK_AHEAD_VARIABLE: "on" if self.has_look_ahead else "off",
            CLASS_VARIABLE: "1" if self.is_class else "",
        }
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        _wait_until_it_answers(self.url, self.process, self.log)

    def stop(self, *, at_once: bool = False) -> None:
        """End it, as a person would, or at once, as a power cut would."""
        if self.process:
            self.process.kill() if at_once else self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def check_log(self) -> None:
        """Make sure that there is no warning among the lines written since the last time."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        new, self.num_lines_read = lines[self.num_lines_read :], len(lines)
        trouble = [line for line in new if _TROUBLE.search(line)]
        assert not trouble, "\n".join(new)

    def is_at_work(self) -> bool:
        """Whether a training waits or is going on."""
        runs = [TrainingRun.load(self.workspace, run_id) for run_id in self.workspace.run_ids()]
        return any(run_status(run) in ACTIVE for run in runs)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(shared_server: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The app on a free port, with an empty workspace; its log must stay free of warnings.

    Nothing but its process is shared between tests, which saves the start.
    """
    with emptied(shared_server):
        yield shared_server
        if request.node.stash.get(HAS_FAILED, False):
            shared_server.stop()


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """The same in a process of its own."""
    with running_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def class_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app for a class, the same one for all tests of a file. They look at its log themselves."""
    with running_server(tmp_path_factory.mktemp("class"), is_class=True) as server:
        yield server


@contextmanager
def emptied(server: Server) -> Iterator[None]:
    """Let a server that others had before be used with an empty workspace, and check its log at the end."""
    shutil.rmtree(server.workspace.root, ignore_errors=True)
    # A server that finds a training of the test before would go on with it.
    if server.process is None or server.process.poll() is not None:
        server.start()
    yield
    if server.is_at_work():
        server.stop()
    server.check_log()


@contextmanager
def running_server(folder: Path, *, has_look_ahead: bool = False, is_class: bool = False) -> Iterator[Server]:
    log = folder / "server.log"
    server = Server(
        _free_port(),
        Workspace(folder / "workspace"),
        log,
        has_look_ahead=has_look_ahead,
        is_class=is_class,
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()
    server.check_log()


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=NOISE_FREE_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """By the address of a server; what a browser has loaded once it need not load for the next test."""
    contexts: dict[str, BrowserContext] = {}
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.fixture
def person(
    browser: Browser, contexts: dict[str, BrowserContext], request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """`person()` opens the app as someone new there; nothing may leave this machine.

    It takes an address, a script to run before those of the page, and what its person allows.
    """
    name = "fresh_server" if "fresh_server" in request.fixturenames else "server"
    server: Server = request.getfixturevalue(name)
    pages = request.node.stash.setdefault(PAGES, [])
    foreign: list[str] = []
    complaints: list[str] = []

    def arrive(address: str = "/", script: str = "", permissions: Sequence[str] = ()) -> Page:
        if server.url not in contexts:
            contexts[server.url] = browser.new_context(
                base_url=server.url, viewport={"width": 1280, "height": 900}
            )
        page = contexts[server.url].new_page()
        pages.append(page)
        page.add_init_script(STAND_STILL)
        page.add_init_script(script)
        page.context.grant_permissions(permissions)
        page.set_default_timeout(LONG)
        page.on("request", lambda request: foreign.append(request.url) if _is_foreign(request.url) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        settle(page)
        return page

    yield arrive
    for context in {page.context for page in pages}:
        context.clear_permissions()
    try:
        for page in pages:
            # What is still being drawn would miss the files that the next test takes away.
            if page.url.startswith(server.url):
                settle(page)
    finally:
        for page in pages:
            page.close()
    assert not foreign, f"asked for over the network: {foreign}"
    assert not complaints, complaints


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test fails, tell what its pages show."""
    report = yield
    if report.failed and report.when == "call":
        item.stash[HAS_FAILED] = True
        for page in item.stash.get(PAGES, []):
            with suppress(Error):
                text = page.locator("body").inner_text(timeout=5_000)
                report.sections.append((f"page {page.url}", text))
    return report


@pytest.fixture
def photos(tmp_path: Path, make_image: MakeImage) -> dict[str, list[Path]]:
    """Six photos of each of two classes."""
    found: dict[str, list[Path]] = {}
    for seed, color in enumerate(("red", "blue")):
        for number in range(6):
            path = tmp_path / f"{color}-{number}.png"
            path.write_bytes(make_image(color, seed=100 * seed + number, size=(96, 96)))
            found.setdefault(color, []).append(path)
    return found


@pytest.fixture(scope="session")
def noisy_colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photos of each of three classes; files that train on them with equal choices share the training."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 130, (64, 64, 3), np.uint8)
        pixels[..., number % 3] += 120
        path = folder / ("red", "green", "blue")[number % 3] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@contextmanager
def other_devices(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Yield a function that opens a path in the browser of somebody else; no script of a page may fail.

    Args:
        browser: Of all of them.
        address: Of the server.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def arrive(path: str, **device: Any) -> Page:
        contexts.append(browser.new_context(base_url=address, **device))
        page = contexts[-1].new_page()
        page.add_init_script(STAND_STILL)
        page.set_default_timeout(LONG)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert not complaints, complaints


def settle(page: Page) -> None:
    """Wait until the page has been drawn."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def join_class(page: Page, code: str, name: str) -> None:
    """Type code and name on the page that everybody without a place lands on."""
    expect(page).to_have_url(re.compile("/join"))
    page.get_by_label("Class code").fill(code)
    page.get_by_label("Your first name").fill(name)
    page.get_by_role("button", name="Join", exact=True).click()
    settle(page)


def click_button(page: Page, name: str) -> None:
    """Press a button by its label and wait until the page has been drawn."""
    page.get_by_role("button", name=name, exact=True).click()
    settle(page)


def pick_first_model(page: Page) -> None:
    """Choose the first model on the Model page."""
    page.get_by_role("button", name="Use this model").first.click()
    expect(page.get_by_role("button", name="Chosen")).to_be_visible()
    settle(page)


def choose_long_training(page: Page) -> None:
    """Choose a thousand epochs, none of which early stopping leaves out."""
    page.get_by_text("Advanced settings").click()
    page.get_by_text("Choose for myself").click()
    for label, number in (("Epochs", "1000"), ("Early stopping", "0")):
        field = page.get_by_role("spinbutton", name=label, exact=True)
        field.fill(number)
        field.press("Enter")
        settle(page)


def num_points(page: Page) -> int:
    """How many epochs the accuracy chart says it shows."""
    described = page.locator(".st-key-curve-accuracy [aria-label], .st-key-curve-accuracy[aria-label]")
    labels = [str(found.get_attribute("aria-label")) for found in described.all()]
    found = [re.search(r"After (\d+) epochs", label) for label in labels]
    return max((int(match[1]) for match in found if match), default=0)


def wait_for_more_points(page: Page, number: int) -> int:
    """Wait until the chart shows more than that many epochs, and return how many it shows."""
    page.wait_for_function(
        """(number) => {
            const labels = [...document.querySelectorAll('.st-key-curve-accuracy [aria-label]')];
            return labels.some((found) => {
                const match = /After (\\d+) epochs/.exec(found.getAttribute('aria-label'));
                return match && Number(match[1]) > number;
            });
        }""",
        arg=number,
    )
    return num_points(page)


def heading(page: Page, text: str) -> Locator:
    """A heading with that text."""
    return page.get_by_role("heading", name=text, exact=True)


def choose_folder(page: Page, folder: Path) -> None:
    """Pick a folder in the dialog that the folder button opens."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            # Without a pause the tries would take a processor from the server that starts.
            time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text('utf-8', 'replace')}")


def _is_foreign(url: str) -> bool:
    return not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:", url)
