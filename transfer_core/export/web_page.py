"""The model as one HTML file that runs in a browser, without a server and without a network."""

from __future__ import annotations

import base64
import gzip
import html
import importlib.util
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.export.web_runtime import WebRuntime
from transfer_core.files import read_json
from transfer_core.language import _

PAGE_FILE = "index.html"
_FILES = Path(__file__).with_name("bundle_files") / "web"
_LICENCES = ("LICENSE", "ThirdPartyNotices.txt")
_PLACE = re.compile(r"\{\{([A-Z_]+)\}\}")


def write_web_page(folder: Path, model: str, title: str, origin: str, runtime: WebRuntime) -> None:
    """Put everything a browser needs into one file.

    Args:
        folder: A bundle with an ONNX model, `signature.json` and, where the model refuses photos, `known.npz`.
        model: Name of the model's file.
        title: What the page is called.
        origin: What the model is and where it comes from, in a sentence.
        runtime: What runs the model.
    """
    licence = _copy_licences(folder)
    signature = read_json(folder / "signature.json")
    places = {
        "TITLE": html.escape(title),
        "STYLE": _text("page.css"),
        "FACTS": _as_json(_facts(signature, origin, licence)),
        "RUNTIME": _packed(runtime.script),
        "MACHINE_CODE": _packed(runtime.machine_code),
        "MODEL": _packed((folder / model).read_bytes()),
        "BANK": _packed(_bank(folder)),
        "PIXELS_SCRIPT": _text("pixels.js"),
        "MODEL_SCRIPT": _text("model.js"),
        "PAGE_SCRIPT": _text("page.js"),
    }
    page = _PLACE.sub(lambda place: places[place[1]], _text("index.html"))
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def _text(name: str) -> str:
    return (_FILES / name).read_text("utf-8").rstrip()


def _packed(content: bytes) -> str:
    """Return bytes as text that a page can hold; the machine code becomes a third of its size."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _bank(folder: Path) -> bytes:
    """Return the features that refusing compares with, row by row: numbers of 16 bits, the lowest byte first."""
    path = folder / "known.npz"
    if not path.is_file():
        return b""
    with np.load(path, allow_pickle=False) as arrays:
        return bytes(arrays["bank"].astype("<f2").tobytes())


def _copy_licences(folder: Path) -> str:
    """Take along the licences of the runtime, which its Python package carries; return the first."""
    found = importlib.util.find_spec("onnxruntime")
    package = Path(str(found.origin)).parent if found else folder
    kept = [name for name in _LICENCES if (package / name).is_file()]
    for name in kept:
        shutil.copyfile(package / name, folder / f"onnxruntime-{name}")
    return (package / kept[0]).read_text("utf-8") if kept else ""


def _facts(signature: Mapping[str, Any], origin: str, licence: str) -> dict[str, Any]:
    return {
        "classNames": signature["class_names"],
        "imageSize": signature["image_size"],
        "temperature": signature["temperature"],
        "refuses": signature["refuses"],
        "words": _words(signature["class_names"], origin, licence),
    }


def _as_json(values: Mapping[str, Any]) -> str:
    # No name of a class may end the element that the text stands in.
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")


def _words(class_names: list[str], origin: str, licence: str) -> dict[str, str]:
    """The page's sentences; those for the browser's errors are under the names of these."""
    return {
        "classes": _("It tells apart: {names}.").format(names=", ".join(class_names)),
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
        "origin": origin,
        "licence": f"ONNX Runtime Web\n\n{licence}".rstrip(),
    }
