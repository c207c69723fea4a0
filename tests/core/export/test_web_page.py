"""The exported page in a real browser: the same pixels and predictions as the app, and no network requests."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from pages.ui.server.visitor_language import LANGUAGE_COOKIE
from tests.core.conftest import FinishedRun, UseCatalogues
from transfer_core.cli.main import main
from transfer_core.config import TrainingConfig
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import NotFoundError
from transfer_core.export.bundle import export_run
from transfer_core.export.web_page import PAGE_FILE, read_web_page, web_page_size, write_web_page
from transfer_core.export.web_runtime import WebRuntime, get_runtime
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _, speaking
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

REAL_VARIABLE = "TRANSFER_STUDIO_TEST_REAL_WEB_PAGE"
TIMEOUT = 120_000  # milliseconds; long enough for a busy machine
HOSTILE = "</script><script>window.isTaken = 1</script>"
PREDICT = "async (content) => predict(await decodePicture(await blobOf(content)))"
PREPROCESS = """async ([content, size]) => {
    const square = toSquare(await decodePicture(await blobOf(content)), size);
    return btoa(Array.from(square, (value) => String.fromCharCode(value)).join(""));
}"""
INIT_SCRIPT = """
    window.tracks = [];
    const request = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await request(wanted);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
    window.blobOf = (content) =>
        new Blob([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))]);
"""


@dataclass
class Opened:
    """A page in the browser, with its requests, errors and console messages."""

    page: Page
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def predict(self, content: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self.page.evaluate(PREDICT, base64.b64encode(content).decode())
        return answer

    def pixels(self, content: bytes, size: int) -> np.ndarray:
        packed = self.page.evaluate(PREPROCESS, [base64.b64encode(content).decode(), size])
        return np.frombuffer(base64.b64decode(packed), np.uint8).reshape(size, size, 3)


OpenFile = Callable[..., Opened]


@pytest.fixture(scope="module")
def open_file(
    browser_path: str, tmp_path_factory: pytest.TempPathFactory, make_image: Callable[..., bytes]
) -> Iterator[OpenFile]:
    """Open a page from its file, in a browser whose camera films something red."""
    film = tmp_path_factory.mktemp("camera") / "red.mjpeg"
    film.write_bytes(make_image("red", size=(320, 240), image_format="JPEG", noise=6) * 3)
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    all_opened: list[Opened] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)

        def open_page(
            path: Path,
            until: str = "body[data-ready=yes]",
            locale: str = "en-US",
            query: str = "",
            cookie: str = "",
        ) -> Opened:
            opened = Opened(browser.new_page(locale=locale))
            all_opened.append(opened)
            opened.page.set_default_timeout(TIMEOUT)
            opened.page.add_init_script(INIT_SCRIPT)
            if cookie:
                # Pages from files have no cookies.
                script = f"Object.defineProperty(document, 'cookie', {{ get: () => {cookie} }});"
                opened.page.add_init_script(script)
            opened.page.on("request", lambda request: opened.requests.append(request.url))
            opened.page.on("pageerror", lambda error: opened.messages.append(str(error)))
            opened.page.on("console", lambda line: opened.messages.append(line.text))
            opened.page.goto(path.as_uri() + query)
            opened.page.wait_for_selector(until)
            return opened

        yield open_page
        browser.close()
    for opened in all_opened:
        assert {url.split(":")[0] for url in opened.requests} <= {"file", "blob"}
        assert opened.messages == []


@pytest.fixture(scope="module")
def strict_run(finished_run: FinishedRun) -> Iterator[FinishedRun]:
    """The tiny run with a temperature, and with thresholds that reject half of its validation photos."""
    rejection = Rejection.load(finished_run.folder)
    assert rejection is not None
    before = Calibration.load(finished_run.folder)
    Calibration(temperature=1.7).save(finished_run.folder)
    predictor = Predictor.load(finished_run.folder)
    familiarities = [predictor.predict(content).familiarity for content in photos(finished_run)]
    rejection.with_familiar_share(0.5, [value for value in familiarities if value]).save_thresholds(
        finished_run.folder
    )
    yield finished_run
    rejection.save_thresholds(finished_run.folder)
    before.save(finished_run.folder)


@pytest.fixture(scope="module")
def bundle(strict_run: FinishedRun, web_runtimes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked bundle of an export on the command line."""
    shutil.copytree(web_runtimes, strict_run.workspace.runtimes_dir, dirs_exist_ok=True)
    folder = tmp_path_factory.mktemp("web")
    run = strict_run.run
    command = ["transfer_core", "export", run.id, "--format", "web", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as environment:
        environment.setattr("sys.argv", [*command, "--workspace", str(strict_run.workspace.root)])
        assert main() == 0
    shutil.unpack_archive(folder / f"{run.id}-web.zip", folder)
    (unpacked,) = folder.glob("*-web-page")
    return unpacked


@pytest.fixture(scope="module")
def opened(open_file: OpenFile, bundle: Path) -> Opened:
    # Move the page into a folder of its own, to show that it needs no other file.
    alone = bundle.parent / "alone"
    alone.mkdir()
    return open_file(Path(shutil.copy(bundle / PAGE_FILE, alone)))


def photos(finished: FinishedRun) -> list[bytes]:
    images = finished.dataset.images_in("validation")
    return [finished.dataset.image_path(image).read_bytes() for image in images]


def assert_same(answer: dict[str, Any], expected: Prediction) -> None:
    assert answer["probabilities"] == pytest.approx(expected.scores, abs=1e-3)
    assert expected.class_names[answer["best"]] == expected.best_guess
    assert answer["isKnown"] == expected.is_known


def test_the_page_predicts_like_the_app(opened: Opened, strict_run: FinishedRun) -> None:
    predictor = Predictor.load(strict_run.folder)
    known = set()
    for content in photos(strict_run):
        expected = predictor.predict(content)
        assert_same(opened.predict(content), expected)
        known.add(expected.is_known)
    assert known == {True, False}


@pytest.mark.parametrize(
    "size", [(300, 200), (40, 32), (100, 1100), (1025, 769), (2300, 1500), (700, 4200)], ids=str
)
def test_preprocessing_is_equal_to_the_app(opened: Opened, size: tuple[int, int]) -> None:
    width, height = size
    # Repeated lines make a small file.
    noise = np.random.default_rng(0).integers(0, 256, (7, width, 3), np.uint8)
    lines = np.tile(noise, (height // 7 + 1, 1, 1))[:height]
    content = encoded(Image.fromarray(lines), "PNG")
    assert np.array_equal(opened.pixels(content, 224), to_pixels(decode_image(content), 224))


def test_rotated_and_transparent_photos_are_preprocessed_like_in_the_app(opened: Opened) -> None:
    slope = np.linspace(0, 255, 120 * 160 * 3).reshape(120, 160, 3).astype(np.uint8)
    picture = Image.fromarray(slope)
    exif = Image.Exif()
    exif[0x0112] = 6
    transparent = Image.merge("RGBA", (*picture.split(), Image.linear_gradient("L").resize((160, 120))))
    for content, max_difference in (
        (encoded(picture, "JPEG", exif=exif), 4),
        (encoded(transparent, "PNG"), 4),
        (encoded(picture.resize((2400, 1800)), "JPEG"), 4),
    ):
        actual, expected = opened.pixels(content, 64), to_pixels(decode_image(content), 64)
        assert np.abs(actual.astype(int) - expected).max() <= max_difference


def test_photos_are_picked_dropped_and_pasted(
    opened: Opened, strict_run: FinishedRun, make_image: Callable[..., bytes]
) -> None:
    page = opened.page
    red = make_image("red", seed=901)
    name = "<img src=x onerror=alert(1)>.png"
    page.locator("#files").set_input_files(
        [
            {"name": name, "mimeType": "image/png", "buffer": red},
            {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"not an image"},
        ]
    )
    expected = Predictor.load(strict_run.folder).predict(red)
    expect(page.locator(".card .name")).to_have_text(name)
    said = expected.class_name or "I don't know"
    expect(page.locator(".card .said")).to_have_text(said)
    labels = page.locator(".card .label")
    expect(labels).to_have_text(list(expected.probabilities))
    expect(page.get_by_text("bad.jpg was left out")).to_be_visible()
    for event, place in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """([event, place, content]) => {
                const carried = new DataTransfer();
                carried.items.add(new File([blobOf(content)], `${event}.png`, { type: "image/png" }));
                const Kind = event === "drop" ? DragEvent : ClipboardEvent;
                document.body.dispatchEvent(new Kind(event, { [place]: carried, bubbles: true }));
            }""",
            [event, place, base64.b64encode(red).decode()],
        )
        expect(page.locator(".card .name", has_text=f"{event}.png")).to_be_visible()
    page.get_by_role("button", name="Clear the photos").click()
    expect(page.locator(".card")).to_have_count(0)


def test_the_live_camera_predicts_and_is_released(opened: Opened, strict_run: FinishedRun) -> None:
    page = opened.page
    for ending in ("click", "hidden"):
        page.get_by_role("button", name="Switch the camera on").click()
        # Wait for the camera: the hidden section still has the predictions of the previous turn.
        expect(page.locator("#live")).to_be_visible()
        expect(page.locator("#live .label")).to_have_text(["blue", "green", "red"])
        expect(page.locator("#rate")).to_contain_text("answers a second")
        red = page.locator("#live .fill").nth(2)
        shares = page.locator("#live .fill").evaluate_all(
            "bars => bars.map((bar) => Number(bar.style.transform.slice(7, -1)))"
        )
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert float(red.evaluate("bar => bar.style.transform.slice(7, -1)")) == max(shares)
        if ending == "click":
            page.get_by_role("button", name="Switch the camera off").click()
        else:
            page.evaluate(
                """() => {
                    Object.defineProperty(document, "hidden", { value: true, configurable: true });
                    document.dispatchEvent(new Event("visibilitychange"));
                    delete document.hidden;
                }"""
            )
        expect(page.locator("#live")).to_be_hidden()
        assert page.evaluate("tracks.every((track) => track.readyState === 'ended')")


def test_the_bundle_documents_its_comparison_and_licences(bundle: Path) -> None:
    proof = json.loads((bundle / "parity.json").read_text())
    assert proof["parity"][0]["is_passed"]
    assert "The model in the page was tested" in proof["unproved"]
    assert proof["unproved"] in (bundle / "MODEL_CARD.md").read_text()
    assert "Microsoft" in (bundle / "onnxruntime-LICENSE").read_text()
    assert (bundle / "onnxruntime-ThirdPartyNotices.txt").is_file()
    assert (bundle / "predict.py").is_file()


def test_the_page_is_read_from_its_bundle_or_reported_damaged(tmp_path: Path) -> None:
    path, page = tmp_path / "page.zip", random.Random(0).randbytes(1000).hex().encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"colors-web-page/{PAGE_FILE}", page)
    assert (read_web_page(path), web_page_size(path)) == (page, 2000)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (b"", whole[:middle], whole[: middle - 200] + bytes(400) + whole[middle + 200 :]):
        path.write_bytes(damaged)
        with pytest.raises(NotFoundError, match="missing or damaged"):
            read_web_page(path)


def test_user_given_names_are_only_text(
    bundle: Path, web_runtimes: Path, open_file: OpenFile, tmp_path: Path, make_image: Callable[..., bytes]
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "hostile")
    signature = json.loads((folder / "signature.json").read_text())
    signature["class_names"] = [HOSTILE, "{{MODEL}}", "$& <b>"]
    (folder / "signature.json").write_text(json.dumps(signature))
    model = (folder / "model.onnx").read_bytes() + (folder / "features_output.pb").read_bytes()
    write_web_page(folder, model, HOSTILE, HOSTILE, get_runtime(web_runtimes))
    opened = open_file(folder / PAGE_FILE)
    expect(opened.page.get_by_role("heading", name=HOSTILE, exact=True)).to_be_visible()
    photo = {"name": "a.png", "mimeType": "image/png", "buffer": make_image("red")}
    opened.page.locator("#files").set_input_files([photo])
    for name in signature["class_names"]:
        expect(opened.page.locator(".card .label").get_by_text(name, exact=True)).to_be_visible()
    assert opened.page.evaluate("window.isTaken") is None


def test_one_file_speaks_the_language_of_each_browser(
    bundle: Path,
    web_runtimes: Path,
    open_file: OpenFile,
    use_catalogues: UseCatalogues,
    tmp_path: Path,
    make_image: Callable[..., bytes],
) -> None:
    use_catalogues(
        de={
            "Choose photos": "Fotos wählen",
            "{name} was left out: this browser cannot read it as a picture.": "{name} fehlt.",
        },
        pt_BR={"Choose photos": "Escolher fotos", "Made in {place}.": "Feito em {place}."},
    )
    folder = shutil.copytree(bundle, tmp_path / "spoken")
    model = (folder / "model.onnx").read_bytes() + (folder / "features_output.pb").read_bytes()
    with speaking("pt_BR"):
        origin = _("Made in {place}.").format(place="Lisboa")
        # A page speaks before it loads its model: without the runtime that takes it no seconds.
        write_web_page(folder, model, "Colours", origin, WebRuntime(b"", b""))
        quick = Path(shutil.copy(folder / PAGE_FILE, tmp_path / "quick.html"))
        write_web_page(folder, model, "Colours", origin, get_runtime(web_runtimes))
    german = ("de", "Fotos wählen", "Made in Lisboa.")
    portuguese = ("pt-BR", "Escolher fotos", "Feito em Lisboa.")
    choice, sandbox = f"'a=b; {LANGUAGE_COOKIE}=pt_BR'", "{ throw new DOMException('', 'SecurityError'); }"
    for locale, query, cookie, (tag, choose, made) in (
        ("de-AT", "", "", german),
        ("en-GB", "", "", ("en", "Choose photos", "Made in Lisboa.")),
        ("it-IT", "", "", portuguese),
        ("de-DE", "?lang=pt", "", portuguese),
        ("de-DE", "", choice, portuguese),
        ("de-DE", "?lang=klingon", "", german),
        ("de-DE", "", sandbox, german),
    ):
        page = open_file(quick, "#problem:not(:empty)", locale, query, cookie).page
        expect(page.locator("html")).to_have_attribute("lang", tag)
        expect(page.locator("#choose")).to_have_text(choose)
        assert page.locator("#origin").text_content() == made
    files = [("red.png", make_image("red")), ("bad.png", b"not an image")]
    page = open_file(folder / PAGE_FILE, locale="de-DE").page
    page.locator("#files").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
    )
    expect(page.get_by_text("bad.png fehlt.")).to_be_visible()
    shares = page.locator(".card .number").all_text_contents()
    assert all(re.fullmatch(r"\d+(,\d)?\s%", share) for share in shares) and "," in "".join(shares)


def test_a_model_that_cannot_run_shows_an_error(bundle: Path, open_file: OpenFile, tmp_path: Path) -> None:
    page = (bundle / PAGE_FILE).read_text("utf-8")
    start = page.index(">", page.index('id="packed-model"')) + 1
    page = page[:start] + page[page.index("</script>", start) :]
    (tmp_path / PAGE_FILE).write_text(page, "utf-8")
    opened = open_file(tmp_path / PAGE_FILE, until="#problem:not(:empty)")
    expect(opened.page.get_by_role("alert")).to_contain_text("This browser cannot run the model (")
    expect(opened.page.locator("#state")).to_be_hidden()
    expect(opened.page.get_by_text("Choose photos")).to_be_hidden()


@pytest.mark.skipif(
    os.environ.get(REAL_VARIABLE) != "1",
    reason=f"takes a minute with a full-size backbone; set {REAL_VARIABLE}=1 to run it",
)
def test_a_full_size_model_predicts_real_flowers_like_the_app(
    shared_data: Path, web_runtimes: Path, open_file: OpenFile, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    dataset = add_files(create_dataset(workspace, "flowers"), folder_source(shared_data / "flowers")[::5])
    run = TrainingRun.create(workspace, dataset, TrainingConfig(backbone="efficientnet_lite0", epochs=5))
    execute_run(workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    shutil.copytree(web_runtimes, workspace.runtimes_dir, dirs_exist_ok=True)
    made = export_run(workspace, run, "web")
    shutil.unpack_archive(made.path, tmp_path)
    opened = open_file(tmp_path / made.name / PAGE_FILE)
    predictor = Predictor.load(run.folder)
    for image in dataset.images_in("validation"):
        content = dataset.image_path(image).read_bytes()
        assert_same(opened.predict(content), predictor.predict(content))


def encoded(picture: Image.Image, image_format: str, **choices: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **choices)
    return buffer.getvalue()
