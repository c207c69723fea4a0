"""Folders and zips from a real browser, good and bad ones."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.conftest import MakeImage
from tests.e2e.conftest import LONG, Server, choose_folder, click_button, heading, settle
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import said

pytestmark = pytest.mark.browser

Person = Callable[..., Page]


def open_images(page: Page) -> None:
    page.goto("/Images")
    settle(page)


def many_photos(
    folder: Path, make_image: MakeImage, number: int, size: tuple[int, int] = (40, 32), kind: str = "JPEG"
) -> Path:
    for place in range(number):
        target = folder / "many" / ("red" if place % 2 else "blue") / f"{place}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(make_image(target.parent.name, seed=place, size=size, image_format=kind))
    return folder / "many"


def the_dataset(server: Server) -> ImageDataset:
    (dataset_id,) = server.workspace.dataset_ids()
    return ImageDataset.load(server.workspace, dataset_id)


def num_arrived_once(server: Server) -> int:
    dataset = the_dataset(server)
    assert len({image.name for image in dataset.images}) == len(dataset.images)
    assert not dataset.left_out
    return len(dataset.images)


def drop(page: Page, paths: Sequence[Path]) -> None:
    """Let go of files and folders over the upload, as from the desktop."""
    box = page.get_by_role("button", name="Choose a folder").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        session.send(
            "Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 5, "y": box["y"] + 5, "data": data}
        )


def memory(server: Server, kind: str = "VmRSS") -> float:
    """Memory of the server in bytes: now (`VmRSS`), or the most it ever had (`VmHWM`)."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{kind}:\s+(\d+) kB", status)[1]) * 1024


def wait_for_tensorflow(server: Server, page: Page) -> None:
    """It is loaded behind the first page, and takes far more memory than any upload."""
    known, same = 0.0, 0
    while known < 400e6 or same < 6:
        page.wait_for_timeout(500)
        same = same + 1 if abs(memory(server) - known) < 1e6 else 0
        known = memory(server)


def test_nothing_good_is_lost_among_bad_files(
    server: Server, person: Person, image_folder: Path, make_image: MakeImage
) -> None:
    whole = make_image("red", seed=77, image_format="JPEG", size=(200, 160))
    (image_folder / "red" / "cut-off.jpg").write_bytes(whole[: len(whole) // 2])
    (image_folder / "red" / "text.jpg").write_text("these are only words")
    (image_folder / "blue" / "empty.png").touch()
    (image_folder / "blue" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (image_folder / "__MACOSX").mkdir()
    (image_folder / "__MACOSX" / "._red-0.jpg").write_bytes(b"\0\5\x16\7")
    (image_folder / "stray.png").write_bytes(make_image("green", seed=78))
    page = person("/Images")
    choose_folder(page, image_folder)
    expect(heading(page, "All photos")).to_be_visible()
    expect(page.get_by_text("24 photos in 3 classes.")).to_be_visible()
    dataset = the_dataset(server)
    assert {file.name: said(file.reason) for file in dataset.left_out if not file.is_expected} == {
        "red/cut-off.jpg": "the photo is cut off or damaged",
        "red/text.jpg": "it is not a photo, whatever its name says",
        "blue/empty.png": "the file is empty (0 bytes)",
        "stray.png": "it is not in a class folder",
    }


def test_many_files_arrive_in_batches_and_each_once(
    server: Server, person: Person, tmp_path: Path, make_image: MakeImage
) -> None:
    folder = many_photos(tmp_path, make_image, 250)
    page = person("/Images")
    choose_folder(page, folder)
    expect(page.get_by_text("250 photos in 2 classes.")).to_be_visible()
    dataset = the_dataset(server)
    assert len({image.name for image in dataset.images}) == 250
    assert dataset.version >= 2, "the folder came in one piece"


def test_a_folder_without_subfolders_is_explained(person: Person, image_folder: Path) -> None:
    page = person("/Images")
    choose_folder(page, image_folder / "red")
    expect(page.get_by_text("There are no subfolders in it, so the classes are unknown.")).to_be_visible()
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 photos in 3 classes.")).to_be_visible()


def test_more_images_join_those_that_are_there_and_known_ones_are_not_listed(
    server: Server, person: Person, image_folder: Path, tmp_path: Path, make_image: MakeImage
) -> None:
    page = person("/Images")
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 photos in 3 classes.")).to_be_visible()
    (tmp_path / "more" / "grey").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "more" / "grey" / f"{number}.png").write_bytes(make_image("grey", seed=number))
    click_button(page, "Add or replace")
    page.get_by_text("Add to these photos").click()
    settle(page)
    choose_folder(page, tmp_path / "more")
    expect(page.get_by_text("27 photos in 4 classes.")).to_be_visible()
    click_button(page, "Add or replace")
    page.get_by_text("Add to these photos").click()
    settle(page)
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 photos were there already and were not added twice.")).to_be_visible()
    dataset = the_dataset(server)
    assert (len(dataset.images), dataset.left_out) == (27, ())


def test_a_zip_comes_in(person: Person, image_folder: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", image_folder.parent, image_folder.name)
    page = person("/Images")
    page.get_by_text("A zip or tar file", exact=True).click()
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(archive)
    expect(page.get_by_text("24 photos in 3 classes.")).to_be_visible()


def test_a_stopped_folder_goes_on_where_it_stopped(
    server: Server, person: Person, tmp_path: Path, make_image: MakeImage
) -> None:
    folder = many_photos(tmp_path, make_image, 500)
    page = person("/Images")
    choose_folder(page, folder)
    page.get_by_role("button", name="Stop and keep these photos").click()
    expect(page.get_by_text("Choose the same folder again to add the rest.")).to_be_visible()
    dataset = the_dataset(server)
    assert 0 < len(dataset.images) < 500
    assert dataset.id in page.url
    page.reload()
    settle(page)
    click_button(page, "Add or replace")
    arrived = len(dataset.images)
    expect(page.get_by_text(f"{arrived} of 500 photos of “many” are added.")).to_be_visible()
    choose_folder(page, folder)
    expect(page.get_by_text("500 photos in 2 classes.")).to_be_visible()
    expect(page.get_by_text("Choose the same folder again")).to_be_hidden()
    assert num_arrived_once(server) == 500


def test_a_server_that_is_killed_half_way_loses_and_doubles_nothing(
    server: Server, person: Person, tmp_path: Path, make_image: MakeImage
) -> None:
    folder = many_photos(tmp_path, make_image, 60, size=(420, 400), kind="BMP")
    page = person("/Images")
    choose_folder(page, folder)
    expect(page.get_by_text(re.compile(r"^[34]\d of 60 photos"))).to_be_visible()
    server.stop(at_once=True)
    server.start()
    expect(page.get_by_text("60 photos in 2 classes.")).to_be_visible()
    assert num_arrived_once(server) == 60


def test_a_batch_that_got_lost_is_sent_again(
    server: Server, browser: Browser, tmp_path: Path, make_image: MakeImage
) -> None:
    folder = many_photos(tmp_path, make_image, 300)
    page = browser.new_page(base_url=server.url)
    page.set_default_timeout(LONG)
    page.clock.install()
    num_large = 0

    def lose_the_second_batch(socket: WebSocketRoute) -> None:
        upstream = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            nonlocal num_large
            num_large += len(message) > 100_000
            if num_large != 2 or len(message) < 100_000:
                upstream.send(message)

        socket.on_message(pass_on)

    page.route_web_socket(re.compile("_stcore/stream"), lose_the_second_batch)
    open_images(page)
    choose_folder(page, folder)
    expect(page.get_by_text("200 of 300 photos")).to_be_visible()
    page.clock.fast_forward(25_000)
    expect(page.get_by_text("300 photos in 2 classes.")).to_be_visible()
    assert num_large == 3
    assert num_arrived_once(server) == 300
    page.close()


def test_a_batch_that_comes_twice_counts_once(server: Server, browser: Browser, image_folder: Path) -> None:
    page = browser.new_page(base_url=server.url)
    page.set_default_timeout(LONG)

    def repeat_batches(socket: WebSocketRoute) -> None:
        upstream = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            upstream.send(message)
            if b"is_last" in (message if isinstance(message, bytes) else message.encode()):
                upstream.send(message)

        socket.on_message(pass_on)

    page.route_web_socket(re.compile("_stcore/stream"), repeat_batches)
    open_images(page)
    choose_folder(page, image_folder)
    expect(page.get_by_text("24 photos in 3 classes.")).to_be_visible()
    settle(page)
    dataset = the_dataset(server)
    assert (len(dataset.images), dataset.left_out, dataset.version) == (24, (), 1)
    page.close()


def test_class_folders_dropped_together_are_classes(
    server: Server, person: Person, image_folder: Path
) -> None:
    page = person("/Images")
    drop(page, sorted(image_folder.iterdir()))
    expect(page.get_by_text("24 photos in 3 classes.")).to_be_visible()


def test_the_meaning_of_folders_is_asked_with_photos(
    server: Server, person: Person, image_folder: Path
) -> None:
    for part, numbers in (("first", range(4)), ("second", range(4, 8))):
        for color in ("blue", "red"):
            target = image_folder / part / color
            target.mkdir(parents=True)
            for number in numbers:
                (image_folder / color / f"{color}-{number}.jpg").rename(target / f"{number}.jpg")
    for color in ("blue", "green", "red"):
        shutil.rmtree(image_folder / color)
    page = person("/Images")
    choose_folder(page, image_folder)
    expect(page.get_by_text("first and second hold the same folders: blue, red.")).to_be_visible()
    expect(page.get_by_alt_text("A photo in second")).to_have_count(4)
    page.get_by_role("button", name="Yes: first for training and second for testing").click()
    expect(page.get_by_text("16 photos in 2 classes.")).to_be_visible()
    expect(page.get_by_text("Split by your folders into training and test.")).to_be_visible()
    assert the_dataset(server).counts("test") == {"blue": 4, "red": 4}


def test_loose_files_with_a_table_get_its_labels(server: Server, person: Person, image_folder: Path) -> None:
    table = image_folder / "labels.csv"
    paths = sorted(image_folder.rglob("*.jpg"))
    table.write_text("".join(f"{path.name},{path.parent.name}\n" for path in paths[:16]))
    page = person("/Images")
    drop(page, [*paths, table])
    expect(page.get_by_text("16 photos in 2 classes.")).to_be_visible()
    dataset = the_dataset(server)
    assert dataset.counts() == {"blue": 8, "green": 8}
    assert {said(file.reason) for file in dataset.left_out} == {"labels.csv does not name it"}


def test_a_file_larger_than_a_batch_arrives_in_parts(
    server: Server, person: Person, image_folder: Path, make_image: MakeImage
) -> None:
    large = make_image("red", seed=5, size=(2400, 2400), image_format="BMP", noise=0)
    assert len(large) > 2 * 8 * 1024**2
    (image_folder / "red" / "large.bmp").write_bytes(large)
    page = person("/Images")
    choose_folder(page, image_folder)
    expect(page.get_by_text("25 photos in 3 classes.")).to_be_visible()


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads memory from /proc, which only Linux has"
)
def test_the_memory_of_the_server_does_not_grow_with_the_number_of_photos(
    fresh_server: Server, person: Person, tmp_path: Path, make_image: MakeImage
) -> None:
    folder = many_photos(tmp_path, make_image, 240, size=(420, 400), kind="BMP")
    assert sum(path.stat().st_size for path in folder.rglob("*.jpg")) > 120e6
    page = person("/Images")
    wait_for_tensorflow(fresh_server, page)
    before = memory(fresh_server)
    Path(f"/proc/{fresh_server.process.pid}/clear_refs").write_text("5")  # the peak counts from here on
    choose_folder(page, folder)
    expect(page.get_by_text("240 photos in 2 classes.")).to_be_visible()
    assert memory(fresh_server, "VmHWM") - before < 180e6
