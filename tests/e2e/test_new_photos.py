"""The Test page in a real browser: the live camera before a known picture, and a folder as a table."""

from __future__ import annotations

import base64
import csv
import io
import re
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.conftest import MakeImage, TrainOnce
from tests.e2e.conftest import NOISE_FREE_ARGUMENTS, Server, heading, settle
from tests.e2e.test_camera import KEEP_STREAMS
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import percent
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(
    browser_path: str, tmp_path_factory: pytest.TempPathFactory, make_image: MakeImage
) -> Iterator[Browser]:
    """A browser whose camera sees something red."""
    film = tmp_path_factory.mktemp("camera") / "red.mjpeg"
    film.write_bytes(make_image("red", size=(320, 240), image_format="JPEG", noise=6) * 3)
    arguments = [*NOISE_FREE_ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def run(server: Server, image_folder: Path, train_once: TrainOnce) -> TrainingRun:
    """A model that tells red, green and blue apart and gives every picture an answer."""
    dataset = add_files(create_dataset(server.workspace, "colors"), folder_source(image_folder))
    run = train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=40))
    rejection = Rejection.load(run.folder)
    assert rejection is not None
    rejection.with_familiar_share(1, []).save(run.folder)
    return run


COUNT_FRAMES = """
    window.numTaken = 0;
    const take = HTMLCanvasElement.prototype.toDataURL;
    HTMLCanvasElement.prototype.toDataURL = function (...choices) {
        window.numTaken += 1;
        return take.apply(this, choices);
    };
"""
# Resolves when the camera has shown so many more frames.
SEE_FRAMES = """
    async (number) => {
        const video = document.querySelector('.st-key-live-camera video')
            ?? [...document.querySelectorAll('.st-key-live-camera *')].map((one) => one.shadowRoot).find(Boolean)
                .querySelector('video');
        for (let seen = 0; seen < number; seen += 1) {
            await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
        }
    }
"""


def open_test(person: Person, run: TrainingRun, way: str = "", script: str = "") -> Page:
    page = person(f"/Test?run={run.id}", script, permissions=["camera"])
    if way:
        page.get_by_role("radio", name=way, exact=True).click()
        settle(page)
    if way == "Photos":
        # A paste is heard from then on.
        expect(page.get_by_role("button", name="Paste a photo")).to_be_visible()
    return page


# As in a browser that was not allowed the camera for good, so that a button switches it on.
ASK_FIRST = "navigator.permissions.query = async () => ({ state: 'prompt' });"


def choose_directory(page: Page, folder: Path) -> None:
    field = page.locator("[data-testid=stFileUploader]").filter(has_text="A folder of up to")
    field.locator("input[type=file]").set_input_files(folder)


def said_live(page: Page) -> Locator:
    return page.locator(".st-key-live-camera .said")


def test_the_live_camera_answers_again_and_again_and_is_let_go_of(person: Person, run: TrainingRun) -> None:
    page = open_test(person, run, script=KEEP_STREAMS + ASK_FIRST)
    page.get_by_role("button", name="Switch the camera on").click()
    expect(said_live(page)).to_have_text("red")
    # The rate is shown only after several answers.
    expect(page.get_by_text("answers a second")).to_be_visible()
    names = page.locator(".st-key-live-camera .name")
    expect(names).to_have_text(["blue", "green", "red"])
    best = page.locator(".st-key-live-camera .fill").nth(2)
    assert float(best.evaluate("bar => bar.style.transform.slice(7, -1)")) > 0.4
    assert best.evaluate("bar => getComputedStyle(bar).transitionProperty") == "transform"
    assert page.evaluate("tracks.map((track) => track.readyState)") == ["live"]
    press_photos(page)
    page.wait_for_function("() => tracks.every((track) => track.readyState === 'ended')")
    expect(said_live(page)).to_have_count(0)


# Presses an option in the very turn of the browser's event loop in which a frame is sent.
PRESS_WITH_A_FRAME = """
    const take = HTMLCanvasElement.prototype.toDataURL;
    HTMLCanvasElement.prototype.toDataURL = function (...choices) {
        const pressed = window.toPress;
        window.toPress = null;
        pressed?.click();
        return take.apply(this, choices);
    };
"""


def test_a_click_beside_a_frame_of_the_camera_counts(person: Person, run: TrainingRun) -> None:
    page = open_test(person, run, script=PRESS_WITH_A_FRAME)
    expect(said_live(page)).to_have_text("red")
    page.get_by_role("radio", name="Photos").evaluate("option => window.toPress = option")
    expect(page.get_by_role("button", name="Paste a photo")).to_be_visible()
    expect(said_live(page)).to_have_count(0)


CAMERA_IS_OFF = "() => tracks.length && tracks.every((track) => track.readyState === 'ended')"


def press_photos(page: Page) -> None:
    page.get_by_role("radio", name="Photos", exact=True).click()


def press_photos_with_the_keyboard(page: Page) -> None:
    page.get_by_role("radio", name="Photos").press("Enter")


def follow_a_link(page: Page) -> None:
    page.get_by_role("link", name="Learn").click()


def test_a_model_that_is_deleted_meanwhile_is_said_on_the_page(
    server: Server, person: Person, run: TrainingRun
) -> None:
    page = open_test(person, run)
    expect(said_live(page)).to_have_text("red")
    move_to_trash(server.workspace, "run", run.id)
    # It may go at any moment of an answer, so also while one of its files is read.
    expect(page.get_by_role("alert")).to_have_text(re.compile("There is no model|was moved or deleted"))
    expect(page.get_by_text("There is no trained model yet.")).to_be_visible()


@pytest.mark.parametrize("leave", [press_photos, press_photos_with_the_keyboard, follow_a_link])
def test_a_server_that_hangs_does_not_keep_the_camera_on(
    server: Server, person: Person, run: TrainingRun, leave: Callable[[Page], None]
) -> None:
    page = open_test(person, run, script=KEEP_STREAMS)
    expect(said_live(page)).to_have_text("red")
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert not page.evaluate(CAMERA_IS_OFF)
        leave(page)
        page.wait_for_function(CAMERA_IS_OFF)
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_a_server_that_is_killed_does_not_keep_the_camera_on(
    server: Server, person: Person, run: TrainingRun
) -> None:
    page = open_test(person, run, script=KEEP_STREAMS)
    expect(said_live(page)).to_have_text("red")
    server.stop(at_once=True)
    page.wait_for_function(CAMERA_IS_OFF)
    expect(page.get_by_role("alert").filter(has_text="The app does not answer")).to_be_visible()
    server.start()


def test_frames_are_dropped_while_one_is_on_its_way(server: Server, person: Person, run: TrainingRun) -> None:
    page = open_test(person, run, script=COUNT_FRAMES)
    expect(page.get_by_text("answers a second")).to_be_visible()
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        before = page.evaluate("numTaken")
        page.evaluate(SEE_FRAMES, 30)
        assert page.evaluate("numTaken") <= before + 1
    finally:
        server.process.send_signal(signal.SIGCONT)
    page.wait_for_function("(before) => numTaken > before + 3", arg=before)


def test_a_folder_becomes_a_table_and_a_wrong_answer_an_image(
    server: Server, person: Person, run: TrainingRun, tmp_path: Path, make_image: MakeImage
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for number, color in enumerate(("red", "green", "blue")):
        (folder / f"{color}.png").write_bytes(make_image(color, seed=900 + number))
    (folder / "broken.jpg").write_bytes(b"no picture")
    page = open_test(person, run, "Folder")
    choose_directory(page, folder)
    expect(page.get_by_text("1 file was left out")).to_be_visible()
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the answers (CSV)").click()
    content = Path(download.value.path()).read_text("utf-8-sig")
    rows = {row["File"]: row for row in csv.DictReader(io.StringIO(content))}
    assert sorted(rows) == ["blue.png", "broken.jpg", "green.png", "red.png"]
    predictor = Predictor.load(run.folder)
    for name in ("blue.png", "green.png", "red.png"):
        found = predictor.predict((folder / name).read_bytes())
        assert rows[name]["Answer"] == found.class_name
        assert float(rows[name]["Certainty"]) == pytest.approx(found.probability, abs=1e-5)
    assert "not a photo" in rows["broken.jpg"]["Skipped because"]

    table = page.locator("[data-testid=stDataFrame]").last.bounding_box()
    assert table is not None
    page.mouse.click(table["x"] + 14, table["y"] + 40 + 36)
    expect(page.locator(".bars")).to_have_count(1)
    settle(page)
    page.get_by_text("Is this wrong?").click()
    page.get_by_role("combobox", name="What is it really?").fill("purple")
    page.get_by_role("combobox", name="What is it really?").press("Enter")
    add = page.get_by_role("button", name="Add to the training photos")
    expect(add).to_be_enabled()
    settle(page)
    add.click()
    expect(page.get_by_text("Added to purple. Train again to learn from it.")).to_be_visible()
    dataset = ImageDataset.load(server.workspace, run.dataset_id)
    assert dataset.class_names == ("blue", "green", "purple", "red")


def thumbnails(page: Page) -> Locator:
    return page.locator("[class*=st-key-photo-strip-]").get_by_role("radio")


def names_of(page: Page) -> list[str]:
    labels = page.locator("[class*=st-key-photo-strip-] .label").all_inner_texts()
    return [label.strip() for label in labels]


def said(page: Page) -> Locator:
    return page.locator(".answer-said")


def test_photos_are_pasted_with_keys_and_with_the_button(
    server: Server, person: Person, run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_test(person, run, "Photos")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    predictor = Predictor.load(run.folder)
    for number, color in enumerate(("red", "blue"), 1):
        content = make_image(color, seed=900 + number)
        page.evaluate(
            """async (content) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const picture = new Blob([bytes], { type: "image/png" });
                await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
            }""",
            base64.b64encode(content).decode(),
        )
        if color == "red":
            page.keyboard.press("Control+v")
        else:
            page.get_by_role("button", name="Paste a photo").click()
        expect(page.get_by_role("button", name=f"Pasted {number}", exact=True)).to_be_visible()
        settle(page)
        expect(thumbnails(page)).to_have_count(number)
        best = predictor.predict(content)
        expect(said(page)).to_have_text(best.best_guess)
        expect(page.locator(".bars-number").first).to_have_text(percent(best.probability))
    assert names_of(page) == ["Pasted 2", "Pasted 1"]

    page.evaluate("navigator.clipboard.writeText('only words')")
    page.keyboard.press("Control+v")
    expect(page.get_by_text("Pasted 3 was left out: it is not a photo")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Pasted 3", exact=True).click()
    expect(page.get_by_text("Pasted 3 was left out")).to_have_count(0)
    settle(page)
    page.get_by_role("button", name="Pasted 1", exact=True).click()
    expect(thumbnails(page)).to_have_count(1)


def test_several_files_of_one_paste_come_in_their_order_and_no_more_than_fit(
    person: Person, run: TrainingRun, make_image: MakeImage
) -> None:
    page = open_test(person, run, "Photos")
    page.evaluate(
        """(content) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const clipboardData = new DataTransfer();
            for (let number = 1; number <= 21; number += 1) {
                clipboardData.items.add(new File([bytes], `p${number}.png`, { type: "image/png" }));
            }
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }""",
        base64.b64encode(make_image("green", seed=903)).decode(),
    )
    expect(page.get_by_role("alert").filter(has_text="At most 20 pasted photos fit here")).to_be_visible()
    expect(thumbnails(page)).to_have_count(20)
    settle(page)
    assert names_of(page) == [f"p{number}.png" for number in range(20, 0, -1)]


def test_photos_are_picked_with_the_arrow_keys_and_explained(
    person: Person, run: TrainingRun, make_image: MakeImage
) -> None:
    photos = [
        ImportedFile((color, f"{color}.png"), partial(make_image, color, seed=905), color)
        for color in ("red", "blue")
    ]
    add_new_photos(run, photos)
    page = open_test(person, run, "Photos")
    expect(thumbnails(page)).to_have_count(2)
    first = names_of(page)[0]
    expect(page.get_by_text(f"The class is {first.removesuffix('.png')}.")).to_be_visible()
    thumbnails(page).first.press("ArrowRight")
    other = {"red.png": "blue", "blue.png": "red"}[first]
    expect(page.get_by_text(f"The class is {other}.")).to_be_visible()
    settle(page)
    page.get_by_text("Explain the answer").click()
    heat = page.locator(".st-key-shown-photo .heat")
    expect(heat).to_be_visible()
    settle(page)
    page.get_by_role("slider", name="Strength of the colours").fill("20")
    expect(heat).to_have_css("opacity", "0.2")


def test_the_camera_starts_by_itself_where_it_is_allowed_and_keeps_a_photo(
    person: Person, run: TrainingRun
) -> None:
    page = open_test(person, run)
    expect(said_live(page)).to_have_text("red")
    expect(page.locator(".st-key-live-camera .spoken")).to_have_text("red")
    page.get_by_role("button", name="Keep this photo").click()
    expect(heading(page, "Kept photos")).to_be_visible()
    expect(said(page)).to_have_text("red")
    page.get_by_role("button", name="Switch the camera off").click()
    expect(page.get_by_role("button", name="Switch the camera on")).to_be_visible()


def test_photos_come_first_where_there_is_no_camera(person: Person, run: TrainingRun) -> None:
    page = open_test(person, run, script="navigator.mediaDevices.enumerateDevices = async () => [];")
    expect(page.get_by_role("button", name="Paste a photo")).to_be_visible()
    expect(page.get_by_role("radio", name="Photos", exact=True)).to_be_checked()


def test_the_game_is_played_with_the_number_keys(person: Person, run: TrainingRun) -> None:
    page = open_test(person, run, "Guess first")
    expect(heading(page, "Can you beat your model?")).to_be_visible()
    evaluation = run.evaluation()
    assert evaluation is not None
    number = min(evaluation.num_images, 10)
    expect(page.get_by_text(f"Photo 1 of {number}")).to_be_visible()
    page.get_by_role("button", name="blue").click()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_text(f"Photo 1 of {number}")).to_be_visible()
    for place in range(number):
        page.keyboard.press(str(place % 3 + 1))
    expect(page.get_by_role("button", name="Play again")).to_be_visible()
    expect(page.get_by_text(f"of {number}")).to_have_count(2)


def test_a_clipboard_that_may_not_be_read_is_explained(person: Person, run: TrainingRun) -> None:
    page = open_test(
        person,
        run,
        "Photos",
        "navigator.clipboard.read = async () => { throw new DOMException('', 'NotAllowedError'); };",
    )
    page.get_by_role("button", name="Paste a photo").click()
    expect(page.get_by_role("alert").filter(has_text="Press Ctrl+V (Cmd+V on a Mac) instead")).to_be_visible()
