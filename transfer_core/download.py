"""Download a file completely and verified, or not at all."""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from transfer_core.files import replacing
from transfer_core.language import _
from transfer_core.types import OnProgress, ShouldStop

_SECONDS_WITHOUT_A_BYTE = 30
_CHUNK_BYTES = 2**16
_RESERVE_BYTES = 100 * 10**6


class DownloadStoppedError(Exception):
    """A download was stopped on request."""


class DownloadFailedError(Exception):
    """A download failed. The text is the reason, to be put into a sentence that says what to do."""


def download_file(
    address: str,
    path: Path,
    *,
    is_right: Callable[[Path], bool],
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Download a file atomically: a failed or stopped download leaves nothing.

    Args:
        address: URL of the file.
        path: Destination.
        is_right: Called with the whole file before it is moved to its destination; false rejects it.
        on_progress: Called with the bytes received and those of the whole file, 0 if the server does not send it.
        should_stop: Called after each chunk of 64 KB.

    Raises:
        DownloadFailedError: If the server cannot be reached, the connection broke, or the file is another.
        DownloadStoppedError: If `should_stop` returned true.
        WorkspaceError: If writing fails.
    """
    with replacing(path) as beside:
        try:
            with (
                urllib.request.urlopen(address, timeout=_SECONDS_WITHOUT_A_BYTE) as answer,
                beside.open("wb") as target,
            ):
                num_all = int(answer.headers.get("Content-Length") or 0)
                _check_room(path.parent, num_all)
                _copy(answer, target, num_all, on_progress, should_stop)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise DownloadFailedError(_reason(error)) from error
        if not is_right(beside):
            raise DownloadFailedError(
                _("what came is not the file that was published: its checksum is another")
            )


def _copy(
    answer: http.client.HTTPResponse,
    target: BinaryIO,
    num_all: int,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    num_bytes = 0
    on_progress(num_bytes, num_all)
    while chunk := answer.read1(_CHUNK_BYTES):
        if should_stop():
            raise DownloadStoppedError
        target.write(chunk)
        num_bytes += len(chunk)
        on_progress(num_bytes, num_all)
    if num_bytes < num_all:
        raise ConnectionError(_("the connection broke off"))


def _check_room(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _RESERVE_BYTES:
        raise DownloadFailedError(
            _("it takes {needed:.0f} MB, and the disk has {free:.0f} MB left").format(
                needed=num_bytes / 1e6, free=free / 1e6
            )
        )


def _reason(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return _("the server answered {code}").format(code=error.code)
        case TimeoutError():
            return _("the server fell silent")
        case urllib.error.URLError(reason=TimeoutError()):
            return _("the server fell silent")
        case urllib.error.URLError():
            return _("there is no way to the server: {reason}").format(
                reason=getattr(error.reason, "strerror", None) or error.reason
            )
    return str(error) or type(error).__name__
