"""What only the teacher's browser gets beside the pages: small copies of pupils' photos, and the collected projects."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from pages.ui.server.service import service
from transfer_core.classroom.board import photo_path
from transfer_core.classroom.collect import collected_path
from transfer_core.classroom.visitor import visitor_of
from transfer_core.data.images.thumbnails import stored_thumbnail
from transfer_core.errors import NotFoundError
from transfer_core.file_cache import FileCache
from transfer_core.language import _

PHOTO_PREFIX = "/class-photo"
COLLECTED_PREFIX = "/collect"
_SIDES = (96, 192)
# A photo never changes: its name is a hash of its pixels.
_PHOTO_HEADERS = {
    "Cache-Control": "private, max-age=3600, immutable",
    "Content-Security-Policy": "default-src 'none'",
}


def photo_address(person_id: str, dataset_id: str, image_id: str, side: int = _SIDES[0]) -> str:
    """Return the address of a small copy of a pupil's photo.

    Args:
        person_id: The pupil.
        dataset_id: Their photo set.
        image_id: The photo.
        side: Of the square that it fits into, in pixels: 96 or 192.
    """
    return f"{PHOTO_PREFIX}/{person_id}/{dataset_id}/{image_id}/{side}"


def is_teacher(request: Request) -> bool:
    """Whether a request comes from the teacher of the class."""
    found = visitor_of(service().workspace, request.cookies)
    return found is not None and found.role == "teacher"


def serve_photo(request: Request) -> Response:
    """Answer the teacher with a small copy of a pupil's photo; everyone else with the status 403."""
    if not is_teacher(request):
        return PlainTextResponse(f"{_('Only the teacher can see this.')}\n", 403)
    names = request.path_params
    path = photo_path(service().workspace, names["person_id"], names["dataset_id"], names["image_id"])
    content = _thumbnail(path, names["side"]) if path and names["side"] in _SIDES else b""
    if not content:
        return PlainTextResponse(f"{_('There is no such photo.')}\n", 404)
    return Response(content, headers=_PHOTO_HEADERS, media_type="image/jpeg")


def serve_collected(request: Request) -> Response:
    """Answer the teacher with the zip of all projects, which is read piece by piece; everyone else with 403."""
    if not is_teacher(request):
        return PlainTextResponse(f"{_('Only the teacher can see this.')}\n", 403)
    identifier = request.path_params["identifier"]
    try:
        path = collected_path(service().workspace, identifier)
    except NotFoundError as error:
        return PlainTextResponse(f"{error}\n", 404)
    return FileResponse(
        path, 200, {"Cache-Control": "no-store"}, "application/zip", filename=f"class-{identifier[:8]}.zip"
    )


def _thumbnail(path: Path, side: int) -> bytes:
    return _thumbnails[side].get(path, lambda: stored_thumbnail(path, side))


# Counted by the size of the photos themselves; their small copies are a twentieth of it. What is deleted for good is
# dropped here as well.
_thumbnails: dict[int, FileCache[bytes]] = {side: FileCache(max_bytes=200 * 1024**2) for side in _SIDES}


ROUTES = [
    Route(f"{PHOTO_PREFIX}/{{person_id}}/{{dataset_id}}/{{image_id}}/{{side:int}}", serve_photo),
    Route(f"{COLLECTED_PREFIX}/{{identifier}}", serve_collected),
]
