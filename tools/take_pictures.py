"""Take the pictures of all pages that stand in docs/pictures.

Start the real server with an empty workspace and a real Chromium, train a model on a ready-made set as a person does,
then photograph each page in five ways: light, dark, on a phone, on a projector, and at 200 % zoom. The pages of a class
come from a second server, with eight pupils at work.

Example:
    python -m tools.take_pictures --out docs/pictures
    python -m tools.take_pictures --out /tmp/german --language de --look light --look phone
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.server import app_server
from tools.class_at_work import begin_class
from transfer_core.classroom.facts import ADDRESS_VARIABLE, CLASS_VARIABLE, Classroom
from transfer_core.classroom.phone import phone_token
from transfer_core.classroom.visitor import COOKIE, cookie_of_person, cookie_of_teacher
from transfer_core.language import _, speaking
from transfer_core.recipes import ENGLISH
from transfer_core.workspace import Workspace

PAGES = {
    "welcome": "",
    "model": "Model",
    "images": "Images",
    "layers": "Layers",
    "train": "Train",
    "results": "Results",
    "test": "Test",
    "export": "Export",
    "compare": "Compare",
    "learn": "Learn",
    "projects": "Projects",
    "your-data": "Your_data",
}
CLASS_PAGES = ("class", "join", "phone")
# Shown on the board; nothing connects to it.
_CLASS_ADDRESS = "http://192.168.1.20:8501"
_NUM_HERE = 7
_MILLISECONDS = 180_000
_QUALITY = 82
# A page draws its pictures and charts a moment after its script has ended.
_MILLISECONDS_TO_DRAW = 2_500
_ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@dataclass(frozen=True)
class Look:
    """A way to look at a page.

    Args:
        width: Of the browser's window, in CSS pixels.
        height: Of the same.
        scheme: Colours.
        scale: Device pixels for each CSS pixel.
    """

    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"
    scale: int = 1


LOOKS = {
    "light": Look(1280, 900),
    "dark": Look(1280, 900, "dark"),
    "phone": Look(390, 844),
    "projector": Look(1920, 1080),
    # At 200 % zoom a window of 1280 x 900 has half as many CSS pixels.
    "zoom": Look(640, 450, scale=2),
}


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("docs/pictures"))
@click.option(
    "--page", "names", multiple=True, type=click.Choice([*PAGES, *CLASS_PAGES]), help="Default: all pages."
)
@click.option("--look", "looks", multiple=True, type=click.Choice(list(LOOKS)), help="Default: all looks.")
@click.option("--language", "code", default=ENGLISH, show_default=True, help="Of the browser.")
@click.option("--browser", default=lambda: shutil.which("chromium"), help="Program file of a Chromium.")
def main(out: Path, names: tuple[str, ...], looks: tuple[str, ...], code: str, browser: str | None) -> None:
    """Photograph the pages."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = _Pictures(out, {name: LOOKS[name] for name in looks or LOOKS}, code.replace("_", "-"))
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=_ARGUMENTS)
        chosen = names or (*PAGES, *CLASS_PAGES)
        home = {name: path for name, path in PAGES.items() if name in chosen}
        if home:
            with app_server(Workspace(Path(scratch) / "home")) as url:
                query = _trained(chromium, url, code)
                pictures.take(chromium, url, {name: f"{path}?{query}" for name, path in home.items()})
        if set(chosen) & set(CLASS_PAGES):
            with speaking(code):
                _photograph_class(chromium, Workspace(Path(scratch) / "class"), chosen, pictures)
        chromium.close()


@dataclass(frozen=True)
class _Pictures:
    """How pictures are taken.

    Args:
        folder: Gets them.
        looks: Each page is photographed in these ways.
        locale: The language of the browser.
    """

    folder: Path
    looks: Mapping[str, Look]
    locale: str

    def take(self, chromium: Browser, url: str, addresses: Mapping[str, str], cookie: str = "") -> None:
        """Take the pictures of some pages by their names."""
        for look_name, look in self.looks.items():
            with _opened(chromium, url, look, self.locale, cookie) as page:
                for name, address in addresses.items():
                    page.goto(address)
                    _settle(page)
                    path = self.folder / f"{name}-{look_name}.webp"
                    Image.open(io.BytesIO(page.screenshot())).save(path, quality=_QUALITY, method=6)
                    click.echo(path)


def _photograph_class(
    chromium: Browser, workspace: Workspace, chosen: Sequence[str], pictures: _Pictures
) -> None:
    pupils = begin_class(workspace)
    facts = Classroom(workspace).facts()
    place = workspace.person(pupils[0].id)
    phone = f"phone/{phone_token(place, place.dataset_ids()[0])}"
    addresses = {"class": "Class", "join": f"join?code={facts.code}", "phone": phone}
    teacher = cookie_of_teacher(facts, facts.teacher_key) or ""
    with (
        app_server(workspace, {CLASS_VARIABLE: "1", ADDRESS_VARIABLE: _CLASS_ADDRESS}) as url,
        ExitStack() as here,
    ):
        for person in pupils[:_NUM_HERE]:
            page = here.enter_context(
                _opened(chromium, url, LOOKS["light"], "en", cookie_of_person(facts, person.id))
            )
            page.goto("Projects")
            _settle(page)
        with _opened(chromium, url, LOOKS["light"], "en", teacher) as page:
            page.goto("Class")
            page.get_by_text("Fine-tuning").wait_for()
        for name, address in addresses.items():
            if name in chosen:
                # Whoever has a cookie need not join.
                pictures.take(chromium, url, {name: address}, teacher if name == "class" else "")


@contextmanager
def _opened(chromium: Browser, url: str, look: Look, locale: str, cookie: str = "") -> Iterator[Page]:
    context = chromium.new_context(
        base_url=f"{url}/",
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        device_scale_factor=look.scale,
        locale=locale,
    )
    context.set_default_timeout(_MILLISECONDS)
    if cookie:
        context.add_cookies([{"name": COOKIE, "value": cookie, "url": url}])
    try:
        yield context.new_page()
    finally:
        context.close()


def _trained(chromium: Browser, url: str, code: str) -> str:
    """Train on the first ready-made set and return the query of the address, which names photos and model."""
    with speaking(code):
        clothes, train, again = str(_("Clothes")), str(_("Train")), str(_("Train again"))
    with _opened(chromium, url, LOOKS["light"], code.replace("_", "-")) as page:
        page.goto("")
        _settle(page)
        page.get_by_role("button", name=clothes).first.click()
        page.get_by_role("button", name=train, exact=True).click()
        page.get_by_text(again).first.wait_for()
        _settle(page)
        return page.url.partition("?")[2]


def _settle(page: Page) -> None:
    """Wait until a page of the app is drawn; the plain pages have no script to wait for."""
    drawn = page.locator("[data-testid=stApp][data-test-script-state=notRunning], body > main")
    drawn.wait_for()
    page.wait_for_timeout(_MILLISECONDS_TO_DRAW)
    drawn.wait_for()


if __name__ == "__main__":
    main()
