"""The exported web pages under addresses of this server, so that a link or a QR code opens them.

The server imports this module before it runs. It must not import a page: Streamlit forgets components and caches that
are declared so early.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from threading import Lock

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from transfer_core.errors import NotFoundError
from transfer_core.export.bundle import bundle_path
from transfer_core.export.web_page import read_web_page
from transfer_core.language import _
from transfer_core.workspace import Workspace, default_workspace_root

PREFIX = "/try"
# The page loads nothing: everything it needs is inside. Its styles and scripts are inline, and ONNX Runtime compiles
# WebAssembly in a module that it loads from a blob.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
# A whole class opens the page at the same moment: one request reads and compresses it, the others wait for that.
_packing = Lock()


def serve_web_page(request: Request) -> Response:
    """Answer with the exported web page of a run, or with a sentence and the status 404."""
    try:
        folder = Workspace(default_workspace_root()).run_dir(request.path_params["run_id"])
        path = bundle_path(folder, "web")
        with _packing:
            packed = _packed(path, path.stat().st_mtime_ns if path.is_file() else 0)
    except NotFoundError:
        sentence = _("There is no such page here. The model was deleted, or its page was not created yet.")
        return PlainTextResponse(f"{sentence}\n", 404, _HEADERS)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(packed), headers=_HEADERS, media_type="text/html")
    headers = {**_HEADERS, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(packed, headers=headers, media_type="text/html")


@lru_cache(maxsize=1)
def _packed(path: Path, _version: int) -> bytes:
    # Streamlit would compress each answer again, in the thread that serves all visitors.
    return gzip.compress(read_web_page(path), compresslevel=1)


# A path, so that nothing below the prefix is left to Streamlit, which answers unknown addresses with its own page.
ROUTES = [Route(f"{PREFIX}/{{run_id:path}}", serve_web_page)]
