"""A real server on this machine and a real browser in front of it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.conftest import ROOT
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
_TROUBLE = re.compile(r"traceback|warning|error|exception", re.IGNORECASE)


@dataclass
class Server:
    """The app on a free port, with an empty workspace.

    Args:
        port: Where it listens on this machine.
        workspace: Where it keeps everything.
        log: What it writes.
        process: Of the running app.
    """

    port: int
    workspace: Workspace
    log: Path
    process: subprocess.Popen[bytes] | None = None

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
        environment = {**os.environ, WORKSPACE_VARIABLE: str(self.workspace.root)}
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


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The app on a free port, with an empty workspace; its log must stay free of warnings."""
    with running_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same for all tests of a module, which saves the start; for tests that leave nothing at work."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


def with_empty_workspace(server: Server) -> Server:
    """Forget what the tests before have left."""
    shutil.rmtree(server.workspace.root, ignore_errors=True)
    return server


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    server = Server(_free_port(), Workspace(folder / "workspace"), folder / "server.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()
    lines = server.log.read_text("utf-8", "replace").splitlines()
    trouble = [line for line in lines if _TROUBLE.search(line)]
    assert not trouble, trouble


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=NOISE_FREE_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Callable[[], Page]]:
    """`person()` opens the app as someone who has never been there; nothing may leave this machine."""
    contexts: list[BrowserContext] = []
    foreign: list[str] = []
    complaints: list[str] = []

    def arrive() -> Page:
        context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LONG)
        page.on("request", lambda request: foreign.append(request.url) if _is_foreign(request.url) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        settle(page)
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert not foreign, f"asked for over the network: {foreign}"
    assert not complaints, complaints


def settle(page: Page) -> None:
    """Wait until the page has been drawn."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def click_button(page: Page, name: str) -> None:
    """Press a button by its label and wait until the page has been drawn."""
    page.get_by_role("button", name=name, exact=True).click()
    settle(page)


def pick_first_model(page: Page) -> None:
    """Choose the first model on the Model page."""
    page.get_by_role("button", name="Use this one").first.click()
    expect(page.get_by_role("button", name="Chosen")).to_be_visible()
    settle(page)


def choose_long_training(page: Page) -> None:
    """Choose a thousand epochs, none of which early stopping leaves out."""
    page.get_by_text("For experts: every choice").click()
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
            continue
    pytest.fail(f"the server did not start:\n{log.read_text('utf-8', 'replace')}")


def _is_foreign(url: str) -> bool:
    return not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:", url)
