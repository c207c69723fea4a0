"""The camera in a real browser: Chromium's own test picture stands in for a lens."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import MakeImage
from tests.e2e.conftest import LONG, Server, click_button, settle
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


KEEP_STREAMS = """
    window.tracks = [];
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await ask(wanted);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
"""


def open_camera(page: Page, way: str = "The camera") -> None:
    page.get_by_text(way, exact=True).click()
    settle(page)
    page.get_by_role("button", name="Switch the camera on").click()


def record_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Hold to record")


def wait_for_frames(page: Page, number: int) -> None:
    expect(page.get_by_text(f"Photos: {number}")).to_be_visible()


def hold(page: Page, class_name: str, num_frames: int) -> None:
    """Record with the pointer until the server has so many frames."""
    page.get_by_role("combobox", name="Name of the class").fill(class_name)
    record_button(page).hover()
    page.mouse.down()
    wait_for_frames(page, num_frames)
    page.mouse.up()
    expect(record_button(page)).to_be_visible()
    expect(page.get_by_text(f"photos added to {class_name}")).to_be_visible()
    settle(page)


def the_dataset(server: Server) -> ImageDataset:
    (dataset_id,) = server.workspace.dataset_ids()
    return ImageDataset.load(server.workspace, dataset_id)


def bursts(dataset: ImageDataset) -> list[str]:
    return list(dict.fromkeys(image.burst for image in dataset.images))


def test_each_press_is_one_recording_that_stays_on_one_side(server: Server, person: Person) -> None:
    page = person("/Images")
    open_camera(page)
    hold(page, "cat", 3)
    first = the_dataset(server)
    expect(page.get_by_text("1 of 2 recordings.")).to_be_visible()
    assert len(bursts(first)) == 1 and "" not in bursts(first)
    assert {image.class_name for image in first.images} == {"cat"}
    assert all(max(image.width, image.height) <= 1024 for image in first.images)

    record_button(page).focus()
    page.keyboard.down(" ")
    wait_for_frames(page, 3)
    page.keyboard.up(" ")
    expect(page.get_by_text("1 of 2 recordings.")).to_have_count(0)
    settle(page)
    both = the_dataset(server)
    assert both.class_names == ("cat",)
    assert len(bursts(both)) == 2
    sides = {burst: {image.split for image in both.images if image.burst == burst} for burst in bursts(both)}
    assert all(len(side) == 1 for side in sides.values()), sides


def test_a_recording_that_is_thrown_away_leaves_no_trace(server: Server, person: Person) -> None:
    page = person("/Images")
    open_camera(page)
    hold(page, "cat", 2)
    kept = the_dataset(server)
    hold(page, "dog", 2)
    expect(page.get_by_text("Add a second class")).to_have_count(0)
    page.get_by_role("button", name="Throw this recording away").click()
    expect(page.get_by_text("The recording was thrown away.")).to_be_visible()
    dataset = the_dataset(server)
    assert structs.replace(dataset, version=kept.version) == kept
    assert {path.stem for path in dataset.folder.rglob("*.jpg")} == {image.id for image in kept.images}


def test_the_only_recording_that_is_thrown_away_takes_its_set_with_it(server: Server, person: Person) -> None:
    page = person("/Images")
    open_camera(page)
    hold(page, "cat", 2)
    page.get_by_role("button", name="Throw this recording away").click()
    expect(page.get_by_text("The recording was thrown away.")).to_be_visible()
    expect(page.get_by_text("Add a second class")).to_have_count(0)
    assert not list(server.workspace.datasets_dir.iterdir())


def test_a_recording_starts_a_set_of_its_own(server: Server, person: Person, make_image: MakeImage) -> None:
    files = [
        ImportedFile(("red", f"{seed}.png"), lambda seed=seed: make_image(seed=seed)) for seed in range(2)
    ]
    folder = add_files(create_dataset(server.workspace, "colors"), files)
    page = person(f"/Images?images={folder.id}")
    click_button(page, "Add or replace")
    open_camera(page)
    hold(page, "cat", 2)
    expect(page.get_by_role("switch", name="Add to these photos")).to_be_checked()
    expect(page.get_by_text("1 of 2 recordings.")).to_be_visible()
    assert page.get_by_role("alert").count() == 0
    (recorded,) = set(server.workspace.dataset_ids()) - {folder.id}
    assert ImageDataset.load(server.workspace, folder.id) == folder
    hold(page, "cat", 2)
    assert len(bursts(ImageDataset.load(server.workspace, recorded))) == 2
    expect(page.get_by_text("1 of 2 recordings.")).to_have_count(0)


def test_nothing_is_recorded_without_the_name_of_a_class(server: Server, person: Person) -> None:
    page = person("/Images")
    open_camera(page)
    record_button(page).click()
    expect(page.get_by_text("The class needs a name first.")).to_be_visible()
    assert not server.workspace.dataset_ids()


def test_the_camera_is_let_go_of(server: Server, person: Person) -> None:
    page = person("/Images", KEEP_STREAMS)
    open_camera(page)
    expect(record_button(page)).to_be_visible()
    assert page.evaluate("tracks.map((track) => track.readyState)") == ["live"]
    page.get_by_role("button", name="Switch the camera off").click()
    assert page.evaluate("tracks.map((track) => track.readyState)") == ["ended"]
    page.get_by_role("button", name="Switch the camera on").click()
    expect(record_button(page)).to_be_visible()
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        page.get_by_text("A sample", exact=True).click()
        page.wait_for_function(
            "() => tracks.length === 2 && tracks.every((track) => track.readyState === 'ended')"
        )
    finally:
        server.process.send_signal(signal.SIGCONT)
    expect(page.get_by_role("button", name="Switch the camera on")).to_have_count(0)


# Imitates a slow computer: while the page moves the camera, the next message arrives a second and a half later.
BUSY_COMPUTER = """
    const listen = WebSocket.prototype.addEventListener;
    const isThere = () => document.querySelector(".st-key-camera-burst") !== null;
    window.isBusy = false;
    window.numMoves = 0;
    WebSocket.prototype.addEventListener = function (type, listener, ...rest) {
        if (type !== "message") return listen.call(this, type, listener, ...rest);
        let before = Promise.resolve();
        const listenLater = (event) => {
            before = before.then(async () => {
                if (window.isBusy) {
                    const wasThere = isThere();
                    await new Promise(requestAnimationFrame);
                    await new Promise((resolve) => setTimeout(resolve));
                    if (wasThere && !isThere()) {
                        window.numMoves += 1;
                        await new Promise((resolve) => setTimeout(resolve, 1500));
                    }
                }
                listener.call(this, event);
            });
        };
        return listen.call(this, type, listenLater, ...rest);
    };
"""


def test_the_camera_stays_on_while_a_busy_computer_draws_the_page(server: Server, person: Person) -> None:
    page = person("/Images", KEEP_STREAMS + BUSY_COMPUTER)
    open_camera(page)
    page.evaluate("window.isBusy = true")
    hold(page, "cat", 2)
    expect(page.get_by_text("1 of 2 recordings.")).to_be_visible()
    settle(page)
    assert page.evaluate("numMoves") > 0
    assert page.evaluate("tracks.map((track) => track.readyState)") == ["live"]
    expect(record_button(page)).to_be_visible()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (
            "throw new DOMException('', 'NotAllowedError')",
            "The browser does not let this page use the camera.",
        ),
        ("throw new DOMException('', 'NotFoundError')", "No camera was found."),
        ("throw new DOMException('', 'NotReadableError')", "The camera cannot be used."),
    ],
)
def test_a_camera_that_cannot_be_used_is_explained(person: Person, trouble: str, sentence: str) -> None:
    page = person("/Images", f"navigator.mediaDevices.getUserMedia = async () => {{ {trouble}; }};")
    open_camera(page)
    expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()


def test_an_address_that_is_not_secure_is_explained(server: Server, browser: Browser) -> None:
    page = browser.new_page(base_url=server.url)
    page.set_default_timeout(LONG)
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false });")
    page.goto("/Images")
    settle(page)
    open_camera(page)
    expect(page.get_by_role("alert").filter(has_text="needs an https address")).to_be_visible()
    page.close()
