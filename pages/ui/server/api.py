"""An address for other programs: a photo goes in, the answer of a model comes out as JSON.

Pages of other servers may call it: the key is in a header that no browser sends by itself, and no cookie counts here.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pages.ui.server.rate_limit import RateLimit
from pages.ui.server.service import service
from transfer_core.classroom.facts import Classroom, is_class_mode
from transfer_core.data.limits import limits
from transfer_core.errors import NotFoundError, TransferStudioError, UnreadableImageError
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _
from transfer_core.runs.api_key import workspace_of_key
from transfer_core.workspace import Workspace

PREFIX = "/api/models"
# Photos of phones have 3 to 12 MB.
_MAX_BYTES = 25 * 1024**2
_MOST_BYTES_IGNORED = 250 * 1024**2
# A game asks a few times a second; the training and the pages of others need the processor too.
_answers = RateLimit(burst=40, seconds_each=0.1)
# A whole class may come from one address.
_requests = RateLimit(burst=200, seconds_each=0.02)
_wrong_keys = RateLimit(burst=20, seconds_each=3.0)
# Photos that may wait for the one forward pass at a time: of one place, and of all together. Each is in memory.
_MOST_WAITING_OF_A_PLACE = 4
_MOST_WAITING = 24
_waiting: Counter[str] = Counter()
# Until a photo has arrived it holds one of these places.
_SECONDS_FOR_A_PHOTO = 60.0
# Those who wait get their turn in the order in which they came.
_turn = asyncio.Lock()

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": ",".join(("Authorization", "Content-Type")),
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "600",
}
_HEADERS = {
    **_CORS,
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'",
}


class _RefusedError(Exception):
    """A request gets a sentence instead of an answer."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers or {}


async def predict(request: Request) -> Response:
    """Answer with the prediction of a model for the photo in the body."""
    try:
        run_id = request.path_params["run_id"]
        workspace = _checked_workspace(request, run_id)
        place = _place(workspace, run_id)
        if _waiting[place] >= _MOST_WAITING_OF_A_PLACE or _waiting.total() >= _MOST_WAITING:
            raise _too_many(503, 1.0)
        _waiting[place] += 1
        try:
            with anyio.fail_after(_SECONDS_FOR_A_PHOTO):
                photo = await _photo(request)
            async with _turn:
                answer = await run_in_threadpool(_predict, workspace, run_id, photo)
        finally:
            _waiting[place] -= 1
            if not _waiting[place]:
                del _waiting[place]
    except _RefusedError as error:
        return JSONResponse({"error": str(error)}, error.status, {**_HEADERS, **error.headers})
    except ClientDisconnect:
        return Response(status_code=400)
    except TimeoutError:
        return JSONResponse({"error": _("The photo took too long to arrive. Send it again.")}, 408, _HEADERS)
    return JSONResponse(answer, headers=_HEADERS)


def allow_other_pages(_request: Request) -> Response:
    """Answer a browser that asks whether a page of another server may send a photo with a key."""
    # Chrome asks this before a public page calls a server in the local network.
    return Response(status_code=204, headers={**_CORS, "Access-Control-Allow-Private-Network": "true"})


def answer_json(prediction: Prediction) -> dict[str, object]:
    """Return a prediction as the values of an answer; `class_name` is None if the model does not know."""
    return {
        "class_name": prediction.class_name,
        "unknown": not prediction.is_known,
        "best_guess": prediction.best_guess,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
    }


def _checked_workspace(request: Request, run_id: str) -> Workspace:
    """Return the workspace of the run that the key of a request is for."""
    if request.method != "POST":
        raise _RefusedError(405, _("Send the photo with POST."), {"Allow": "POST, OPTIONS"})
    address = request.client.host if request.client else ""
    _count(_requests, address)
    if wait := _wrong_keys.seconds_to_wait(address):
        raise _too_many(429, wait)
    scheme, _space, key = request.headers.get("authorization", "").partition(" ")
    found = workspace_of_key(service().workspace, run_id, key.strip()) if scheme.lower() == "bearer" else None
    if found is None or (found.owner and not is_class_mode()):
        _wrong_keys.count(address)
        raise _RefusedError(
            401,
            _("This key is not valid for this model. Create a new key on its Export page."),
            {"WWW-Authenticate": "Bearer"},
        )
    if found.owner and not Classroom(service().workspace).facts().is_open:
        raise _RefusedError(403, _("The class is closed. Your teacher can open it."))
    _count(_answers, _place(found, run_id))
    return found


def _place(workspace: Workspace, run_id: str) -> str:
    """Return for what limits count together: all models of a pupil, since each has a key, and others alone."""
    return workspace.owner or run_id


def _count(limit: RateLimit, client: str) -> None:
    if wait := limit.seconds_to_wait(client):
        raise _too_many(429, wait)
    limit.count(client)


def _too_many(status: int, seconds: float) -> _RefusedError:
    sentence = _("Too many photos at once. Wait a moment, then send the next one.")
    return _RefusedError(status, sentence, {"Retry-After": str(math.ceil(seconds))})


async def _photo(request: Request) -> bytes:
    """Return the bytes of the photo: the whole body, or the first file of a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        photo = await _photo_of_form(request)
    else:
        photo = b"".join([chunk async for chunk in _bounded(request)])
    if not photo:
        raise _RefusedError(400, _("There is no photo in this request. Send one as its body."))
    return photo


async def _photo_of_form(request: Request) -> bytes:
    parser = MultiPartParser(request.headers, _bounded(request), max_files=1, max_fields=20)
    # A photo must not be written to a temporary file.
    parser.spool_max_size = _MAX_BYTES + 1
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise _RefusedError(400, _("The form could not be read. Send one photo as a file.")) from error
    try:
        files = [value for _name, value in form.multi_items() if isinstance(value, UploadFile)]
        return await files[0].read() if files else b""
    finally:
        await form.close()


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the body of a request. Stop with an error once it is too large."""
    largest, num_bytes = min(_MAX_BYTES, limits().file_bytes), 0
    async for chunk in request.stream():
        num_bytes += len(chunk)
        if num_bytes <= largest:
            yield chunk
        elif num_bytes > _MOST_BYTES_IGNORED:
            break
    # Many programs read no answer before they have sent everything.
    if num_bytes > largest:
        sentence = _("The photo is too large. The limit is {size} MB.")
        raise _RefusedError(413, sentence.format(size=largest // 1024**2))


def _predict(workspace: Workspace, run_id: str, photo: bytes) -> dict[str, object]:
    shared = service()
    try:
        # Look-ahead steps aside. A training goes on beside it, as it does for the Test page.
        with shared.queue.foreground():
            return answer_json(shared.predictor(workspace, run_id).predict(photo))
    except UnreadableImageError as error:
        sentence = _("This is not a photo that can be read: {reason}.")
        raise _RefusedError(422, sentence.format(reason=error)) from error
    except NotFoundError as error:
        raise _RefusedError(404, str(error)) from error
    except TransferStudioError as error:
        raise _RefusedError(500, str(error)) from error


async def _nothing_else(_request: Request) -> Response:
    return JSONResponse({"error": _("There is nothing at this address.")}, 404, _HEADERS)


ROUTES = [
    Route(f"{PREFIX}/{{run_id}}/predict", allow_other_pages, methods=["OPTIONS"]),
    Route(f"{PREFIX}/{{run_id}}/predict", predict, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    Route("/api/{path:path}", _nothing_else, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
]
