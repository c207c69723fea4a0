"""Photos from a phone: its plain page, the big screen beside it, and what the routes refuse."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from email.message import Message
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from itsdangerous import TimestampSigner
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import MakeImage
from tests.e2e.conftest import NOISE_FREE_ARGUMENTS, Server, other_devices, running_server, settle
from transfer_core.classroom.phone import PHONE_LINK_SECONDS, phone_token
from transfer_core.data.dataset import ImageDataset
from transfer_core.workspace import Workspace, new_id

# Leads to this machine, but browsers give it no camera, as to any other http address of a network.
HOST = "classroom.test"
PHONE = {
    "viewport": {"width": 320, "height": 640},
    "has_touch": True,
    "is_mobile": True,
    "user_agent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
}
MAX_MEGABYTES = 2
MAX_PAGE_BYTES = 30_000
ARRIVED = "All photos have arrived."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", f"127.0.0.1 {HOST}")
        environment.setenv("TRANSFER_STUDIO_MAX_FILE_MB", str(MAX_MEGABYTES))
        with running_server(tmp_path_factory.mktemp("phone")) as server:
            yield server


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=[*NOISE_FREE_ARGUMENTS, rules]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """`open_page(path)` opens an address of the server on another device; no script of it may fail."""
    with other_devices(browser, f"http://{HOST}:{server.port}") as open_path:
        yield open_path


@pytest.fixture
def dataset_id() -> str:
    return new_id()


@pytest.fixture
def phone(open_page: Callable[..., Page], server: Server, dataset_id: str) -> Page:
    """The page on a phone, with a class that has no photo yet."""
    page = open_page(f"/phone/{phone_token(server.workspace, dataset_id)}", **PHONE)
    name_class(page, "cat")
    return page


def name_class(page: Page, name: str) -> None:
    page.get_by_role("textbox").fill(name)
    page.get_by_role("button", name="Add").click()


def photo(make_image: MakeImage, seed: int, size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    content = make_image("red", seed=seed, size=size, image_format="JPEG", noise=90)
    return {"name": "image.jpg", "mimeType": "image/jpeg", "buffer": content}


def counts(workspace: Workspace, dataset_id: str) -> dict[str, int]:
    return ImageDataset.load(workspace, dataset_id).counts()


def send(server: Server, path: str, content: bytes | None = None) -> tuple[int, Message, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET" if content is None else "POST", path, content)
        with connection.getresponse() as response:
            return response.status, response.headers, response.read()


def photos_path(token: str, name: str = "cat", photo_id: str = "1764370000000-abc") -> str:
    return f"/phone/{token}/photos?{urlencode({'id': photo_id, 'name': name})}"


def test_photos_appear_on_the_big_screen(
    open_page: Callable[..., Page], server: Server, make_image: MakeImage
) -> None:
    screen = open_page("/", viewport={"width": 1280, "height": 900})
    settle(screen)
    screen.get_by_text("Use my phone").click()
    code = screen.get_by_role("img", name=re.compile("^QR code of http"))
    address = str(code.get_attribute("alt")).removeprefix("QR code of ")
    phone = open_page(address, **PHONE)
    for name in ("cat", "<b>dog"):
        name_class(phone, name)
    phone.get_by_label("Take photos of cat").set_input_files(photo(make_image, 1))
    expect(screen.get_by_role("img", name="1 photos of cat")).to_be_visible()
    phone.get_by_label("Choose photos of <b>dog from the gallery").set_input_files(
        [photo(make_image, seed) for seed in (2, 3)]
    )
    expect(screen.get_by_role("img", name="2 photos of <b>dog")).to_be_visible()
    # The code is still there for the next phone, and leads to the same photos.
    expect(code).to_be_visible()
    expect(screen).to_have_url(re.compile("images="))
    dataset_id = re.search("images=([^&]+)", screen.url)
    assert dataset_id and counts(server.workspace, dataset_id[1]) == {"<b>dog": 2, "cat": 1}
    other = open_page(urlsplit(address).path, **PHONE)
    expect(other.get_by_label("Take photos of cat")).to_be_attached()
    assert other.locator(".photos img").count() == 3
    widths = other.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1]


def test_a_server_that_phones_cannot_reach_says_how_to_start_it(
    open_page: Callable[..., Page], server: Server
) -> None:
    screen = open_page(server.url)
    settle(screen)
    screen.get_by_text("Use my phone").click()
    expect(screen.get_by_text("Phones cannot reach this server yet.")).to_be_visible()


def test_a_large_photo_is_shrunk_in_the_phone_and_turned_upright(
    phone: Page, server: Server, dataset_id: str, make_image: MakeImage
) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    exif[0x010F] = "a camera"
    Image.open(io.BytesIO(make_image(size=(3000, 1500)))).save(buffer, "JPEG", exif=exif)
    phone.get_by_label("Take photos of cat").set_input_files(
        {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}
    )
    expect(phone.get_by_text(ARRIVED)).to_be_visible()
    (stored,) = ImageDataset.load(server.workspace, dataset_id).images
    assert (stored.width, stored.height) == (640, 1280)


def test_what_a_dropped_connection_held_up_is_sent_later(
    phone: Page, server: Server, dataset_id: str, make_image: MakeImage
) -> None:
    phone.context.set_offline(True)
    phone.get_by_label("Choose photos of cat from the gallery").set_input_files(
        [photo(make_image, seed) for seed in range(3)]
    )
    expect(phone.get_by_role("status")).to_contain_text("No connection. 0 of 3 photos sent.")
    expect(phone.get_by_role("status")).to_contain_text("kept in your phone")
    assert dataset_id not in server.workspace.dataset_ids()
    phone.context.set_offline(False)
    expect(phone.get_by_text(ARRIVED)).to_be_visible()
    assert counts(server.workspace, dataset_id) == {"cat": 3}


def test_a_photo_whose_answer_was_lost_counts_once(
    phone: Page, server: Server, dataset_id: str, make_image: MakeImage
) -> None:
    # The first answer reaches the phone's network, but not its page.
    phone.evaluate("""() => {
        const send = window.fetch;
        window.numSent = 0;
        window.fetch = async (address, ...options) => {
            const answer = await send(address, ...options);
            if (!address.includes("/photos?") || window.numSent++) return answer;
            throw new TypeError("lost");
        };
    }""")
    phone.get_by_label("Take photos of cat").set_input_files(photo(make_image, 1))
    expect(phone.get_by_text(ARRIVED)).to_be_visible()
    assert phone.evaluate("window.numSent") == 2
    assert counts(server.workspace, dataset_id) == {"cat": 1}
    assert ImageDataset.load(server.workspace, dataset_id).left_out == ()


def test_photos_that_were_not_sent_survive_a_reload(
    phone: Page, server: Server, dataset_id: str, make_image: MakeImage
) -> None:
    phone.route("**/photos?*", lambda route: route.abort())
    phone.get_by_label("Choose photos of cat from the gallery").set_input_files(
        [photo(make_image, seed) for seed in range(2)]
    )
    expect(phone.get_by_role("status")).to_contain_text("0 of 2 photos sent")
    phone.unroute("**/photos?*")
    phone.reload()
    expect(phone.get_by_text(ARRIVED)).to_be_visible()
    assert counts(server.workspace, dataset_id) == {"cat": 2}


def test_a_file_that_is_no_photo_is_explained_and_holds_nothing_up(
    phone: Page, server: Server, dataset_id: str, make_image: MakeImage
) -> None:
    text = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"a text"}
    phone.get_by_label("Choose photos of cat from the gallery").set_input_files([text, photo(make_image, 1)])
    expect(phone.get_by_text(ARRIVED)).to_be_visible()
    expect(phone.get_by_role("alert")).to_contain_text("A photo was left out: ")
    assert counts(server.workspace, dataset_id) == {"cat": 1}


def test_an_expired_code_says_what_to_do(
    open_page: Callable[..., Page], server: Server, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as clock:
        earlier = int(time.time()) - PHONE_LINK_SECONDS - 60
        clock.setattr(TimestampSigner, "get_timestamp", lambda _signer: earlier)
        token = phone_token(server.workspace, dataset_id)
    page = open_page(f"/phone/{token}", **PHONE)
    expect(page.get_by_role("heading", name="This code does not work any more")).to_be_visible()
    expect(page.get_by_text("scan the new code")).to_be_visible()
    status, _headers, body = send(server, photos_path(token), b"photo")
    assert status == 404 and "expired" in json.loads(body)["problem"]
    assert dataset_id not in server.workspace.dataset_ids()


def test_a_code_that_expires_meanwhile_keeps_what_was_not_sent(
    phone: Page, server: Server, make_image: MakeImage
) -> None:
    problem = {"problem": "This link has expired. Ask for a new one."}
    phone.route("**/photos?*", lambda route: route.fulfill(status=404, json=problem))
    phone.get_by_label("Take photos of cat").set_input_files(photo(make_image, 1))
    expect(phone.get_by_role("alert")).to_contain_text("expired")
    expect(phone.get_by_label("Take photos of cat")).to_be_disabled()
    phone.unroute("**/photos?*")
    phone.reload()
    expect(phone.get_by_text(ARRIVED)).to_be_visible()


def test_a_forged_code_reaches_nobodys_photos(server: Server, make_image: MakeImage) -> None:
    content = make_image()
    token = phone_token(server.workspace, new_id())
    other = new_id()
    assert send(server, photos_path(phone_token(server.workspace, other)), content)[0] == 200
    payload = base64.urlsafe_b64encode(f'"/{other}/new"'.encode()).decode().rstrip("=")
    forged = ".".join((payload, *token.split(".")[1:]))
    (image,) = ImageDataset.load(server.workspace, other).images
    for path in ("", "/classes", f"/photos/{image.id}"):
        status, _headers, body = send(server, f"/phone/{forged}{path}")
        assert status == 404 and other.encode() not in body
        status, _headers, body = send(server, f"/phone/{token}{path}")
        assert (status == 404) is path.startswith("/photos") and image.id.encode() not in body
    assert send(server, photos_path(forged), content)[0] == 404
    assert counts(server.workspace, other) == {"cat": 1}


@pytest.mark.parametrize(
    ("name", "photo_id", "num_bytes", "status"),
    [
        ("", "1764370000000-abc", 10, 422),
        (" ", "1764370000000-abc", 10, 422),
        ("x" * 61, "1764370000000-abc", 10, 422),
        ("cat", "", 10, 422),
        ("cat", "../../../../etc/passwd", 10, 422),
        ("cat", "1764370000000-abc", MAX_MEGABYTES * 1024**2 + 1, 413),
    ],
)
def test_what_no_phone_sends_is_refused_with_a_sentence(
    server: Server, dataset_id: str, name: str, photo_id: str, num_bytes: int, status: int
) -> None:
    path = photos_path(phone_token(server.workspace, dataset_id), name, photo_id)
    answered, _headers, body = send(server, path, bytes(num_bytes))
    assert answered == status and json.loads(body)["problem"].endswith(".")
    assert dataset_id not in server.workspace.dataset_ids()


def test_the_page_is_small_and_loads_nothing_else(server: Server, dataset_id: str) -> None:
    status, headers, body = send(server, f"/phone/{phone_token(server.workspace, dataset_id)}")
    assert status == 200 and len(body) < MAX_PAGE_BYTES
    assert not re.search(rb"(src|href)=.(https?:)?/", body)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store" and "Set-Cookie" not in headers


def test_a_class_with_a_name_like_a_script_is_shown_as_text(
    open_page: Callable[..., Page], server: Server, dataset_id: str, make_image: MakeImage
) -> None:
    name = "</script><b>"
    token = phone_token(server.workspace, dataset_id)
    assert send(server, photos_path(token, name), make_image())[0] == 200
    page = open_page(f"/phone/{token}", **PHONE)
    expect(page.get_by_text(name, exact=True)).to_be_visible()


def test_a_photo_that_stops_halfway_holds_up_nobody(server: Server) -> None:
    token = phone_token(server.workspace, new_id())
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as slow:
        slow.putrequest("POST", photos_path(token))
        slow.putheader("Content-Length", "1000")
        slow.endheaders()
        slow.send(b"half")
        assert send(server, f"/phone/{token}/classes")[0] == 200


def test_pages_take_photos_with_the_camera_app_where_the_browser_has_no_camera(
    open_page: Callable[..., Page], server: Server, make_image: MakeImage
) -> None:
    page = open_page("/", **PHONE)
    settle(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo: Class 1").click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files([photo(make_image, 1)])
    expect(page.get_by_role("img", name="1 photos of Class 1")).to_be_visible()
    expect(page.get_by_text("Use my phone")).not_to_be_attached()
    page.goto("/Images")
    settle(page)
    page.get_by_label("Name of the class").fill("mug")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    chooser.value.set_files([photo(make_image, 2)])
    expect(page.get_by_text("1 photo added to mug.")).to_be_visible()
    # The address follows in the next drawing of the page.
    expect(page).to_have_url(re.compile("images="))
    dataset_id = re.search("images=([^&]+)", page.url)
    assert dataset_id and counts(server.workspace, dataset_id[1]) == {"mug": 1}
