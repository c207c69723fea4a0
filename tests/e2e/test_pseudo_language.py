"""In a language with longer words nothing is cut on any page, on a phone and on a laptop, and nothing is English."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.conftest import TrainOnce
from tests.e2e.conftest import LONG, Server, running_server, settle
from tools.languages import write_pseudo
from tools.pseudo_language import CLOSING, OPENING, PSEUDO
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import join
from transfer_core.classroom.phone import phone_token
from transfer_core.classroom.visitor import COOKIE, cookie_of_teacher
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import LOCALE_VARIABLE

pytestmark = pytest.mark.browser

FINDINGS = (Path(__file__).parent / "drawn_texts.js").read_text("utf-8")
WIDTHS = (390, 1280)
PAGES = (
    *("/", "/Model", "/Images", "/Layers", "/Train", "/Results", "/Results?part=classes"),
    *("/Results?part=certainty", "/Results?part=overview", "/Test", "/Export", "/Compare", "/Learn"),
    *("/Projects", "/Your_data"),
)
# The same in every language: models, programs, files, and the names that these tests give.
NAMES = (
    r"\b(EfficientNet-Lite\d|efficientnet_lite\d|MobileNet\w*|ResNet\w*|Inception\w*|VGG\d+|Tiny network for tests"
    r"|tiny_random|Transfer Studio|English|Keras|ONNX|LiteRT|TensorFlow( Lite| SavedModel)?|blue|green|red|colors|Mia"
    r"|million|python3 start\.py --class( --https)?|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
    # Icons, files, and the code of a class.
    r"|:material/\w+:|\b[\w./-]*\.(txt|csv|tsv|png|jpe?g|zip|keras|json|py|js)\b|\b[A-Z]{6}\b"
)
# What Streamlit says itself, always in English.
STREAMLIT = (
    r"^(Expand sidebar|Collapse sidebar|Sidebar|Main menu|Choose an option|Open|Help|Help for .*|progress"
    r"|Upload|\d+[MG]B per file|• [A-Z, ]+)$"
)


@pytest.fixture(scope="module")
def pseudo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("pseudo")
    write_pseudo(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(LOCALE_VARIABLE, str(folder))
        environment.setenv(LANGUAGE_VARIABLE, PSEUDO)
        yield


@pytest.fixture(scope="module")
def home(
    pseudo: None, noisy_colors: Path, tmp_path_factory: pytest.TempPathFactory, train_once: TrainOnce
) -> Iterator[tuple[Server, str]]:
    """A server with one finished run, and the choices of that run as an address."""
    with running_server(tmp_path_factory.mktemp("home")) as server:
        dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(noisy_colors))
        run = train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=3))
        yield server, f"model=efficientnet_lite0&images={dataset.id}&unfrozen=0&run={run.id}"


# Plotly brings its charts some time after the page, and again when the page has another width.
ARE_CHARTS_DRAWN = """() => [...document.querySelectorAll("[data-testid=stPlotlyChart]")].every((chart) => {
    const { width } = chart.getBoundingClientRect();
    return width === 0 || chart.querySelector(".main-svg")?.getBoundingClientRect().width <= width + 1;
})"""


def look(page: Page, address: str) -> list[str]:
    """Return what is cut or English on a page at each width."""
    found = []
    page.goto(address)
    if "/join" not in address and "/phone" not in address and "/certificate" not in address:
        settle(page)
    options = {"markers": [OPENING, CLOSING], "allowed": NAMES, "own": STREAMLIT}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for _try in range(20):
            drawn = page.evaluate(FINDINGS, options)
            if not drawn and page.evaluate(ARE_CHARTS_DRAWN):
                break
            # The sidebar slides, and charts are drawn again.
            page.evaluate("() => new Promise((draw) => setTimeout(() => requestAnimationFrame(draw), 100))")
        found += [f"{address[:40]} at {width} px: {text}" for text in drawn]
    return found


def opened(browser: Browser, server: Server, complaints: list[str], cookie: str = "") -> Page:
    """Open the browser of somebody who speaks the pseudo-language; what goes wrong in it is added to a list."""

    def note(message: ConsoleMessage) -> None:
        # Streamlit looks below the address of a page for its own routes.
        if message.type == "error" and "/_stcore/" not in message.location["url"]:
            complaints.append(f"{message.text} {message.location['url']}")

    context = browser.new_context(base_url=server.url, locale="en-XA", reduced_motion="reduce")
    if cookie:
        context.add_cookies([{"name": COOKIE, "value": cookie, "url": server.url}])
    page = context.new_page()
    page.set_default_timeout(LONG)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", note)
    return page


def test_all_pages_with_a_finished_run(browser: Browser, home: tuple[Server, str]) -> None:
    complaints: list[str] = []
    page = opened(browser, home[0], complaints)
    found = []
    for address in PAGES:
        found += look(page, f"{address}{'&' if '?' in address else '?'}{home[1]}")
    page.context.close()
    assert not found + complaints, "\n".join(found + complaints)


def test_steps_that_wait_for_earlier_ones(browser: Browser, home: tuple[Server, str]) -> None:
    complaints: list[str] = []
    page = opened(browser, home[0], complaints)
    found = []
    for address in ("/Layers", "/Train", "/Results", "/Test", "/Export", "/Compare?view=depths"):
        found += look(page, address)
    page.context.close()
    assert not found + complaints, "\n".join(found + complaints)


def test_pages_of_a_class(
    browser: Browser, pseudo: None, noisy_colors: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    complaints: list[str] = []
    found = []
    with running_server(tmp_path_factory.mktemp("class"), is_class=True) as server:
        facts = Classroom(server.workspace).facts()
        place = server.workspace.person(join(server.workspace, "Mia").id)
        dataset = add_files(create_dataset(place, "colors"), folder_source(noisy_colors))
        teacher = str(cookie_of_teacher(facts, facts.teacher_key))
        page = opened(browser, server, complaints)
        for address in (
            "/join",
            f"/join?code={facts.code}",
            f"/phone/{phone_token(place, dataset.id)}",
            "/certificate",
        ):
            found += look(page, address)
        page.context.close()
        page = opened(browser, server, complaints, teacher)
        for address in ("/Class", "/Your_data"):
            found += look(page, address)
        page.context.close()
    assert not found + complaints, "\n".join(found + complaints)
