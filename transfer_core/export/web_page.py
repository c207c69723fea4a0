"""Web page export: one HTML file that embeds the model and its runtime and works offline, without a server."""

from __future__ import annotations

import base64
import gzip
import html
import importlib.util
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.errors import NotFoundError
from transfer_core.export.web_runtime import WebRuntime
from transfer_core.files import read_json
from transfer_core.language import _, language_tag, languages, names_list, speaking

PAGE_FILE = "index.html"
_FILES = Path(__file__).with_name("bundle_files") / "web"
_LICENCES = ("LICENSE", "ThirdPartyNotices.txt")
_PLACEHOLDER = re.compile(r"\{\{([A-Z_]+)\}\}")


def write_web_page(folder: Path, model: bytes, title: str, origin: str, runtime: WebRuntime) -> None:
    """Write `index.html` with all resources embedded into a bundle.

    Args:
        folder: Bundle with `signature.json` and, if the model has a rejection, `known.npz`.
        model: Content of an ONNX file with the outputs `probabilities` and `features`.
        title: Title of the page.
        origin: Sentence for display on the run and its backbone.
        runtime: ONNX Runtime Web.
    """
    licence = _copy_licences(folder)
    signature = read_json(folder / "signature.json")
    bank, weights = _known(folder)
    contents = {
        "LANGUAGE": language_tag(),
        "TITLE": html.escape(title),
        "STYLE": _text("page.css"),
        "FACTS": _as_json(_facts(signature, origin, licence)),
        "RUNTIME": _packed(runtime.script),
        "MACHINE_CODE": _packed(runtime.machine_code),
        "MODEL": _packed(model),
        "BANK": _packed(bank),
        "WEIGHTS": _packed(weights),
        "PIXELS_SCRIPT": _text("pixels.js"),
        "MODEL_SCRIPT": _text("model.js"),
        "PAGE_SCRIPT": _text("page.js"),
    }
    page = _PLACEHOLDER.sub(lambda match: contents[match[1]], _text("index.html"))
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def read_web_page(bundle: Path) -> bytes:
    """Return the page in the zip of an exported web page.

    Raises:
        NotFoundError: If the file is missing, damaged or has no page.
    """
    with _opened(bundle) as (archive, page):
        return archive.read(page)


def web_page_size(bundle: Path) -> int:
    """Return the size of that page in bytes.

    Raises:
        NotFoundError: If the file is missing, damaged or has no page.
    """
    with _opened(bundle) as (_archive, page):
        return page.file_size


@contextmanager
def _opened(bundle: Path) -> Iterator[tuple[zipfile.ZipFile, zipfile.ZipInfo]]:
    missing = _("The exported page is missing or damaged. Recreate it.")
    try:
        with zipfile.ZipFile(bundle) as archive:
            pages = [entry for entry in archive.infolist() if entry.filename.endswith(f"/{PAGE_FILE}")]
            if not pages:
                raise NotFoundError(missing)
            yield archive, pages[0]
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise NotFoundError(missing) from error


def _text(name: str) -> str:
    return (_FILES / name).read_text("utf-8").rstrip()


def _packed(content: bytes) -> str:
    """Return gzipped bytes as base64; gzip shrinks the WebAssembly to a third."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _known(folder: Path) -> tuple[bytes, bytes]:
    """Return bank and weights of the rejection as row-major little-endian float16; both empty without a rejection."""
    path = folder / "known.npz"
    if not path.is_file():
        return b"", b""
    with np.load(path, allow_pickle=False) as arrays:
        bank = arrays["bank"]
        weights = arrays["weights"] if "weights" in arrays else np.ones(len(bank))
        return bank.astype("<f2").tobytes(), weights.astype("<f2").tobytes()


def _copy_licences(folder: Path) -> str:
    """Copy the licence files of the onnxruntime package into the bundle and return the text of the first."""
    found = importlib.util.find_spec("onnxruntime")
    package = Path(str(found.origin)).parent if found else folder
    available = [name for name in _LICENCES if (package / name).is_file()]
    for name in available:
        shutil.copyfile(package / name, folder / f"onnxruntime-{name}")
    return (package / available[0]).read_text("utf-8") if available else ""


def _facts(signature: Mapping[str, Any], origin: str, licence: str) -> dict[str, Any]:
    return {
        "classNames": signature["class_names"],
        "imageSize": signature["image_size"],
        "temperature": signature["temperature"],
        "refuses": signature["refuses"],
        "language": language_tag(),
        "texts": _texts(signature["class_names"], origin),
        "licence": f"ONNX Runtime Web\n\n{licence}".rstrip(),
    }


def _as_json(values: Mapping[str, Any]) -> str:
    # Escape "<", so that no class name can close the script element.
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")


def _texts(class_names: list[str], origin: str) -> dict[str, dict[str, str]]:
    """Return the page's sentences in each language: the page chooses by the browser that opens it."""
    texts = {}
    for code in languages():
        with speaking(code):
            texts[language_tag()] = {**_words(class_names), "origin": str(origin)}
    return texts


def _words(class_names: list[str]) -> dict[str, str]:
    """Return the page's sentences; those for camera errors are keyed by the DOMException name."""
    return {
        "classes": _("Its classes: {names}.").format(names=names_list(class_names)),
        "loading": _("Getting the model ready …"),
        "cannotRun": _(
            "This browser cannot run the model ({reason}). Open this file in an up-to-date browser."
        ),
        "hint": _("Drop photos here, paste one, or pick some."),
        "choose": _("Choose photos"),
        "start": _("Switch the camera on"),
        "stop": _("Switch the camera off"),
        "preview": _("What the camera sees"),
        "private": _("Your photos stay on this device: this page sends nothing anywhere and works offline."),
        "rate": _("{count} answers a second"),
        "unknown": _("I don't know"),
        "guess": _("Unlike the photos I learned from, or not sure enough. My best guess: {name}."),
        "broken": _("{name} was left out: this browser cannot read it as a picture."),
        "clear": _("Clear the photos"),
        "insecure": _(
            "This browser allows the camera only on https addresses. Open this file in another browser, or bring "
            "photos."
        ),
        "NotAllowedError": _(
            "The browser does not let this page use the camera. Allow it with the camera sign in the address bar, "
            "then try again."
        ),
        "NotFoundError": _("No camera was found. Connect one and try again, or bring photos."),
        "NotReadableError": _(
            "The camera cannot be used; perhaps another program has it. Close that program, then try again."
        ),
        "unplugged": _("The camera was disconnected. Connect it and try again."),
        "about": _("About this page"),
    }
