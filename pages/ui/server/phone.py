"""The page that takes photos on a phone, and what it sends. It works over http and without a cookie."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pages.ui.server.plain_page import closed_page, sentence_page
from pages.ui.server.rate_limit import RateLimit
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom, is_class_mode
from transfer_core.classroom.phone import add_phone_photo, phone_link, photos_of_phone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.thumbnails import stored_thumbnail
from transfer_core.data.limits import limits
from transfer_core.errors import InvalidConfigError, NotFoundError, TransferStudioError
from transfer_core.language import _, language_tag, sort_key

PREFIX = "/phone"
MAX_NAME_LENGTH = 60
# Larger photos only come from phones that cannot shrink them.
_MOST_BYTES = 32 * 1024**2
_PHOTO_ID = re.compile(r"[0-9a-z-]{8,40}", re.ASCII)
_PHOTOS_SHOWN = 6
_THUMBNAIL_SIDE = 112
# The page runs nothing but its own style and script, and talks to this server alone.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NO_STORE = {"Cache-Control": "no-store"}
# Of one dataset, to which several phones may send.
_photos = RateLimit(burst=300, seconds_each=0.1)
# So few photos are decoded at once that phones leave threads and processor to the pages.
_decoding = anyio.CapacityLimiter(2)
# One photo after another is written to a dataset; two datasets seldom share a lock.
_writing = [Lock() for _place in range(64)]
# Photos of one person that may be on their way at a time, each in memory, and how long one may take.
_MOST_ARRIVING = 16
_SECONDS_FOR_A_PHOTO = 300.0
_arriving: Counter[str] = Counter()


def serve_page(request: Request) -> Response:
    """Answer with the page of a code, or say why the code is not valid any more."""
    try:
        link = phone_link(service().workspace, request.path_params["token"])
        dataset = photos_of_phone(service().workspace, link)
    except NotFoundError as error:
        if is_class_mode() and not Classroom(service().workspace).facts().is_open:
            return closed_page()
        help_words = _("On the big screen, open “Use my phone” and scan the new code.")
        return sentence_page(_("This code does not work any more"), str(error), help_words, status=404)
    except TransferStudioError as error:
        return sentence_page(_("The photos cannot be opened"), str(error), status=500)
    nonce = secrets.token_urlsafe(12)
    facts = {
        "dataset": link.dataset_id,
        "classes": _classes(dataset),
        "maxBytes": _max_bytes(),
        "maxNameLength": MAX_NAME_LENGTH,
        "words": _words(),
    }
    parts = {
        "LANGUAGE": language_tag(),
        "TITLE": _("Photos for Transfer Studio"),
        "NONCE": nonce,
        "STYLE": _content("plain_page.css") + _content("phone.css"),
        "SCRIPT": _content("phone.js") + _content("../components/shrunk_photo.js"),
        # A name of a class may look like the end of the script.
        "FACTS": json.dumps(facts).replace("<", "\\u003c"),
    }
    html = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _content("phone.html"))
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce), **_NO_STORE})


def serve_classes(request: Request) -> Response:
    """Answer with the classes of a code and their newest photos, as JSON."""
    try:
        link = phone_link(service().workspace, request.path_params["token"])
        return _answer({"classes": _classes(photos_of_phone(service().workspace, link))})
    except TransferStudioError as error:
        return _failure(error)


def serve_photo(request: Request) -> Response:
    """Answer with a small copy of a photo of the dataset that a code is for."""
    try:
        link = phone_link(service().workspace, request.path_params["token"])
        dataset = photos_of_phone(service().workspace, link)
    except TransferStudioError as error:
        return _failure(error)
    image = dataset.by_id.get(request.path_params["image_id"]) if dataset else None
    content = stored_thumbnail(dataset.image_path(image), _THUMBNAIL_SIDE) if dataset and image else b""
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(content, 200 if content else 404, headers, "image/jpeg")


async def take_photo(request: Request) -> Response:
    """Store the photo that is the body of a request. Its id and its class are in the query.

    The status is 200 for a photo that is settled, stored or left out with a `problem`; 404 for a code that is not
    valid; 413 and 422 for a photo that will never be taken; 429 and 5xx for a photo that may be sent again.
    """
    token = request.path_params["token"]
    try:
        link = await anyio.to_thread.run_sync(phone_link, service().workspace, token)
        photo_id, name = request.query_params.get("id", ""), request.query_params.get("name", "")
        if not _PHOTO_ID.fullmatch(photo_id) or len(name) > MAX_NAME_LENGTH:
            raise InvalidConfigError(_("The phone sent something unknown. Load the page again."))
        if _photos.seconds_to_wait(link.dataset_id):
            return _answer({"problem": _("That was very quick. The rest follows in a moment.")}, 429)
        _photos.count(link.dataset_id)
        if _arriving[link.person_id] >= _MOST_ARRIVING:
            return _answer({"problem": _("Many photos are coming in. The rest follows in a moment.")}, 429)
        _arriving[link.person_id] += 1
        try:
            with anyio.fail_after(_SECONDS_FOR_A_PHOTO):
                content = await _body(request)
            if content is None:
                problem = _("A photo was larger than {limit} MB.").format(limit=_max_bytes() // 1024**2)
                return _answer({"problem": problem}, 413)
            work = partial(_add, token, photo_id, name, content)
            return await anyio.to_thread.run_sync(work, limiter=_decoding)
        finally:
            _arriving[link.person_id] -= 1
    except ClientDisconnect:
        # The phone sends the photo again.
        return _answer({}, 400)
    except TimeoutError:
        return _answer({"problem": _("The connection is very slow. The phone tries again.")}, 503)
    except TransferStudioError as error:
        return _failure(error)


async def _body(request: Request) -> bytes | None:
    """Return the body of a request, or None if it is too large."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _max_bytes():
            return None
    return bytes(content)


def _max_bytes() -> int:
    return min(_MOST_BYTES, limits().file_bytes)


def _add(token: str, photo_id: str, name: str, content: bytes) -> Response:
    # While the photo was on its way, the class may have been closed, or the person or the photos deleted.
    link = phone_link(service().workspace, token)
    with _writing[hash(link.dataset_id) % len(_writing)]:
        arrival = add_phone_photo(service().workspace, link, photo_id, name, content)
    return _answer({"problem": arrival.problem, "classes": _classes(arrival.dataset)})


@cache
def _content(file_name: str) -> str:
    return (Path(__file__).parent / file_name).read_text("utf-8")


def _classes(dataset: ImageDataset | None) -> list[dict[str, Any]]:
    """Return name, count and the ids of the newest photos of each class."""
    if dataset is None:
        return []
    newest: dict[str, list[str]] = {name: [] for name in sorted(dataset.class_names, key=sort_key)}
    for image in sorted(dataset.images, key=lambda image: -image.number):
        if len(newest[image.class_name]) < _PHOTOS_SHOWN:
            newest[image.class_name].append(image.id)
    counts = dataset.counts()
    return [{"name": name, "count": counts[name], "photos": ids} for name, ids in newest.items()]


def _failure(error: TransferStudioError) -> Response:
    status = (
        404 if isinstance(error, NotFoundError) else 422 if isinstance(error, InvalidConfigError) else 503
    )
    return _answer({"problem": str(error)}, status)


def _answer(content: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(content, status, _NO_STORE)


def _words() -> dict[str, str]:
    return {
        "title": _("Take photos"),
        "hint": _("Tap a class and take a photo of it. It appears on the big screen."),
        "begin": _("Name the first thing that you want to photograph."),
        "take": _("Take photos of {name}"),
        "choose": _("Choose photos of {name} from the gallery"),
        "gallery": _("Gallery"),
        "another": _("Another class"),
        "name": _("Name of the class"),
        "example": _("for example: cat"),
        "add": _("Add"),
        "progress": _("Photos sent"),
        "sending": _("Sending photos: {done} of {all}"),
        "stuck": _("No connection. {done} of {all} photos sent."),
        "kept": _("The rest is kept in your phone and sent later."),
        "keepOpen": _("Keep this page open."),
        "again": _("Try now"),
        "all": _("All photos have arrived."),
        "none": _("There are no photos yet."),
        "tooLarge": _("A photo was larger than {limit} MB.").format(limit=_max_bytes() // 1024**2),
        "expired": _("This code has expired. Scan a new one on the big screen."),
    }


ROUTES = [
    Route(f"{PREFIX}/{{token}}", serve_page),
    Route(f"{PREFIX}/{{token}}/classes", serve_classes),
    Route(f"{PREFIX}/{{token}}/photos", take_photo, methods=["POST"]),
    Route(f"{PREFIX}/{{token}}/photos/{{image_id}}", serve_photo),
]
