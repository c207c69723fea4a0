"""The exported web pages under addresses of this server, so that a link or a QR code opens them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom, is_class_mode
from transfer_core.classroom.people import get_person
from transfer_core.classroom.visitor import sign, verify, visitor_of
from transfer_core.errors import NotFoundError
from transfer_core.export.bundle import bundle_path
from transfer_core.export.web_page import read_web_page
from transfer_core.file_cache import FileCache
from transfer_core.language import _
from transfer_core.workspace import ID_PATTERN, Workspace

PREFIX = "/try"
_LINK_SECONDS = 30 * 24 * 60 * 60
# The page loads nothing: everything it needs is inside. Its styles and scripts are inline, and ONNX Runtime compiles
# WebAssembly in a module that it loads from a blob.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
# A whole class opens the page at the same moment: one request reads and compresses it, the others wait for that.
_packing = Lock()


def web_page_path(workspace: Workspace, run_id: str) -> str:
    """Return the path of a run's exported web page, for everybody who gets it.

    In a class the run's id alone opens the page for its owner and the teacher only. Others need a signed path.

    Args:
        workspace: Of the person whose run it is.
        run_id: Of the run.
    """
    if not is_class_mode():
        return f"{PREFIX}/{run_id}"
    facts = Classroom(workspace.server).facts()
    return f"{PREFIX}/{sign(facts, 'try', f'{workspace.owner}/{run_id}')}"


def serve_web_page(request: Request) -> Response:
    """Answer with the exported web page of a run, or with a sentence and the status 404."""
    try:
        folder = _run_dir(request.path_params["name"], request.cookies)
        path = bundle_path(folder, "web")
        with _packing:
            packed = _pages.get(path, lambda: _packed(path))
    except NotFoundError:
        sentence = _(
            "There is no such page here. The model was deleted, or its page was not created yet. "
            "A link may also have expired."
        )
        return PlainTextResponse(f"{sentence}\n", 404, _HEADERS)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), headers=_HEADERS, media_type="text/html")
    headers = {**_HEADERS, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(packed, headers=headers, media_type="text/html")


def _run_dir(name: str, cookies: Mapping[str, str]) -> Path:
    """Return the folder of the run that the last part of a path names, by its id or signed."""
    server = service().workspace
    if not is_class_mode():
        return server.run_dir(name)
    if ID_PATTERN.fullmatch(name):
        return _run_dir_of_visitor(server, name, cookies)
    value = verify(Classroom(server).facts(), "try", name, _LINK_SECONDS)
    person_id, _slash, run_id = value.partition("/")
    if not person_id:
        return server.run_dir(run_id)
    # Of a person who was deleted not even an empty folder must come back.
    return server.person(get_person(server, person_id).id).run_dir(run_id)


def _run_dir_of_visitor(server: Workspace, run_id: str, cookies: Mapping[str, str]) -> Path:
    visitor = visitor_of(server, cookies)
    if visitor is None:
        raise NotFoundError(_("Join the class first."))
    folders = [visitor.workspace.run_dir(run_id)]
    if visitor.is_in_charge:
        folders += [server.person(person_id).run_dir(run_id) for person_id in server.person_ids()]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _packed(path: Path) -> bytes:
    # Streamlit would compress each answer again, in the thread that serves all visitors.
    return gzip.compress(read_web_page(path), compresslevel=1)


# Pupils try each other's pages; each takes some megabytes. What is deleted for good is dropped here as well.
_pages: FileCache[bytes] = FileCache(max_bytes=100 * 1024**2)


# A path, so that nothing below the prefix is left to Streamlit, which answers unknown addresses with its own page.
ROUTES = [Route(f"{PREFIX}/{{name:path}}", serve_web_page)]
