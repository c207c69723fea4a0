"""The exported page, opened from its file in a real browser: the same pixels, the same answers, nothing sent."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.core.conftest import FinishedRun
from transfer_core.cli.main import main
from transfer_core.config import TrainingConfig
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.export.bundle import export_run
from transfer_core.export.web_page import PAGE_FILE, write_web_page
from transfer_core.export.web_runtime import get_runtime
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

REAL_VARIABLE = "TRANSFER_STUDIO_TEST_REAL_WEB_PAGE"
LONG = 120_000  # milliseconds; a busy machine may need them, a test never waits for their end
HOSTILE = "</script><script>window.isTaken = 1</script>"
ASK = "async (content) => ask(await decodePicture(await blobOf(content)))"
SEE = """async ([content, size]) => {
    const square = toSquare(await decodePicture(await blobOf(content)), size);
    return btoa(Array.from(square, (value) => String.fromCharCode(value)).join(""));
}"""
HELP = """
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
    """A page in the browser, with what it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ask(self, content: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self.page.evaluate(ASK, base64.b64encode(content).decode())
        return answer

    def pixels(self, content: bytes, size: int) -> np.ndarray:
        packed = self.page.evaluate(SEE, [base64.b64encode(content).decode(), size])
        return np.frombuffer(base64.b64decode(packed), np.uint8).reshape(size, size, 3)


OpenFile = Callable[..., Opened]


@pytest.fixture(scope="module")
def open_file(
    browser_path: str, tmp_path_factory: pytest.TempPathFactory, make_image: Callable[..., bytes]
) -> Iterator[OpenFile]:
    """Opens a file as a double click does; its camera sees something red."""
    film = tmp_path_factory.mktemp("camera") / "red.mjpeg"
    film.write_bytes(make_image("red", size=(320, 240), image_format="JPEG", noise=6) * 3)
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    everything: list[Opened] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)

        def open_it(path: Path, until: str = "body[data-ready=yes]") -> Opened:
            opened = Opened(browser.new_page())
            everything.append(opened)
            opened.page.set_default_timeout(LONG)
            opened.page.add_init_script(HELP)
            opened.page.on("request", lambda request: opened.requests.append(request.url))
            opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
            opened.page.on("console", lambda line: opened.complaints.append(line.text))
            opened.page.goto(path.as_uri())
            opened.page.wait_for_selector(until)
            return opened

        yield open_it
        browser.close()
    for opened in everything:
        assert {url.split(":")[0] for url in opened.requests} <= {"file", "blob"}
        assert opened.complaints == []


@pytest.fixture(scope="module")
def strict_run(finished_run: FinishedRun) -> Iterator[FinishedRun]:
    """The tiny run with a temperature, and limits that it passes with some photos and not with others."""
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
    """The bundle that the command line makes, unpacked."""
    shutil.copytree(web_runtimes, strict_run.workspace.runtimes_dir, dirs_exist_ok=True)
    folder = tmp_path_factory.mktemp("web")
    run = strict_run.run
    command = ["transfer_core", "export", run.id, "--format", "web", "--out", str(folder)]
    with pytest.MonkeyPatch.context() as environment:
        environment.setattr("sys.argv", [*command, "--workspace", str(strict_run.workspace.root)])
        assert main() == 0
    shutil.unpack_archive(folder / f"{run.id}-web.zip", folder)
    return folder / f"{run.id}-web"


@pytest.fixture(scope="module")
def opened(open_file: OpenFile, bundle: Path) -> Opened:
    # Alone in a folder: nothing beside it is needed.
    alone = bundle.parent / "alone"
    alone.mkdir()
    return open_file(Path(shutil.copy(bundle / PAGE_FILE, alone)))


def photos(finished: FinishedRun) -> list[bytes]:
    images = finished.dataset.images_in("validation")
    return [finished.dataset.image_path(image).read_bytes() for image in images]


def assert_same(answer: dict[str, Any], expected: Prediction) -> None:
    assert answer["probabilities"] == pytest.approx(expected.scores, abs=1e-3)
    assert expected.class_names[answer["best"]] == expected.class_name
    assert answer["isKnown"] == expected.is_known


def test_the_page_answers_as_the_app_does(opened: Opened, strict_run: FinishedRun) -> None:
    predictor = Predictor.load(strict_run.folder)
    known = set()
    for content in photos(strict_run):
        expected = predictor.predict(content)
        assert_same(opened.ask(content), expected)
        known.add(expected.is_known)
    assert known == {True, False}


@pytest.mark.parametrize(
    "size", [(300, 200), (40, 32), (100, 1100), (1025, 769), (2300, 1500), (700, 4200)], ids=str
)
def test_the_same_pixels_in_are_the_same_pixels_out(opened: Opened, size: tuple[int, int]) -> None:
    width, height = size
    # Lines that come again make a small file.
    noise = np.random.default_rng(0).integers(0, 256, (7, width, 3), np.uint8)
    lines = np.tile(noise, (height // 7 + 1, 1, 1))[:height]
    content = encoded(Image.fromarray(lines), "PNG")
    assert np.array_equal(opened.pixels(content, 224), to_pixels(decode_image(content), 224))


def test_photos_that_lie_on_their_side_and_transparent_ones_look_as_in_the_app(opened: Opened) -> None:
    slope = np.linspace(0, 255, 120 * 160 * 3).reshape(120, 160, 3).astype(np.uint8)
    picture = Image.fromarray(slope)
    exif = Image.Exif()
    exif[0x0112] = 6
    see_through = Image.merge("RGBA", (*picture.split(), Image.linear_gradient("L").resize((160, 120))))
    for content, furthest in (
        (encoded(picture, "JPEG", exif=exif), 4),
        (encoded(see_through, "PNG"), 4),
        (encoded(picture.resize((2400, 1800)), "JPEG"), 4),
    ):
        seen, expected = opened.pixels(content, 64), to_pixels(decode_image(content), 64)
        assert np.abs(seen.astype(int) - expected).max() <= furthest


def test_photos_are_picked_dropped_and_pasted(
    opened: Opened, strict_run: FinishedRun, make_image: Callable[..., bytes]
) -> None:
    page = opened.page
    red = make_image("red", seed=901)
    name = "<img src=x onerror=alert(1)>.png"
    page.locator("#files").set_input_files(
        [
            {"name": name, "mimeType": "image/png", "buffer": red},
            {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"},
        ]
    )
    expected = Predictor.load(strict_run.folder).predict(red)
    expect(page.locator(".card .name")).to_have_text(name)
    said = expected.class_name if expected.is_known else "I don't know"
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


def test_the_live_camera_answers_and_is_let_go_of(opened: Opened, strict_run: FinishedRun) -> None:
    page = opened.page
    for ending in ("click", "hidden"):
        page.get_by_role("button", name="Switch the camera on").click()
        # Until the camera has opened, the answers of the turn before are still in the hidden part.
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


def test_the_bundle_says_what_was_proved_and_carries_the_licences(bundle: Path) -> None:
    proof = json.loads((bundle / "parity.json").read_text())
    assert proof["parity"][0]["is_passed"]
    assert "Asked was the ONNX file" in proof["unproved"]
    assert proof["unproved"] in (bundle / "MODEL_CARD.md").read_text()
    assert "Microsoft" in (bundle / "onnxruntime-LICENSE").read_text()
    assert (bundle / "onnxruntime-ThirdPartyNotices.txt").is_file()
    assert (bundle / "predict.py").is_file()


def test_names_from_outside_are_only_text(
    bundle: Path, web_runtimes: Path, open_file: OpenFile, tmp_path: Path, make_image: Callable[..., bytes]
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "hostile")
    signature = json.loads((folder / "signature.json").read_text())
    signature["class_names"] = [HOSTILE, "{{MODEL}}", "$& <b>"]
    (folder / "signature.json").write_text(json.dumps(signature))
    write_web_page(folder, "model.onnx", HOSTILE, HOSTILE, get_runtime(web_runtimes))
    opened = open_file(folder / PAGE_FILE)
    expect(opened.page.get_by_role("heading", name=HOSTILE, exact=True)).to_be_visible()
    photo = {"name": "a.png", "mimeType": "image/png", "buffer": make_image("red")}
    opened.page.locator("#files").set_input_files([photo])
    for name in signature["class_names"]:
        expect(opened.page.locator(".card .label").get_by_text(name, exact=True)).to_be_visible()
    assert opened.page.evaluate("window.isTaken") is None


def test_what_keeps_the_model_from_running_is_told(bundle: Path, open_file: OpenFile, tmp_path: Path) -> None:
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
    reason=f"takes a minute for a network of full size; set {REAL_VARIABLE}=1 to try it",
)
def test_a_real_network_knows_real_flowers(
    shared_data: Path, web_runtimes: Path, open_file: OpenFile, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    dataset = add_files(create_dataset(workspace, "flowers"), folder_source(shared_data / "flowers")[::5])
    run = TrainingRun.create(workspace, dataset, TrainingConfig(backbone="efficientnet_lite0", epochs=5))
    execute_run(workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
    shutil.copytree(web_runtimes, workspace.runtimes_dir, dirs_exist_ok=True)
    made = export_run(workspace, run, "web")
    shutil.unpack_archive(made.path, tmp_path)
    opened = open_file(tmp_path / made.path.stem / PAGE_FILE)
    predictor = Predictor.load(run.folder)
    for image in dataset.images_in("validation"):
        content = dataset.image_path(image).read_bytes()
        assert_same(opened.ask(content), predictor.predict(content))


def encoded(picture: Image.Image, image_format: str, **choices: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **choices)
    return buffer.getvalue()
