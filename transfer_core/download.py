"""Atomic, verified file downloads: a file appears at its path only when it is complete and its check passes."""

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

_TIMEOUT = 30  # seconds without a byte
_CHUNK_BYTES = 2**16
_RESERVE_BYTES = 100 * 10**6


class DownloadStoppedError(Exception):
    """A download was stopped on request."""


class DownloadFailedError(Exception):
    """A download failed; the message is a reason in lower case, to be embedded in a sentence."""


def download_file(
    address: str,
    path: Path,
    *,
    is_valid: Callable[[Path], bool],
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Download a file to `path`; a failed or stopped download leaves no file.

    Args:
        address: URL of the file.
        path: Target, replaced if it exists.
        is_valid: Called with the complete temporary file; False fails the download.
        on_progress: Called with the received and the total number of bytes; the total is 0 if the server sends none.
        should_stop: Called after each chunk; True stops.

    Raises:
        DownloadFailedError: If the connection fails or ends early, the disk is full, or `is_valid` returned False.
        DownloadStoppedError: If `should_stop` returned True.
        WorkspaceError: If writing fails.
    """
    with replacing(path) as temporary:
        try:
            with (
                urllib.request.urlopen(address, timeout=_TIMEOUT) as response,
                temporary.open("wb") as target,
            ):
                num_all = int(response.headers.get("Content-Length") or 0)
                _check_disk_space(path.parent, num_all)
                _copy(response, target, num_all, on_progress, should_stop)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise DownloadFailedError(_reason(error)) from error
        if not is_valid(temporary):
            raise DownloadFailedError(
                _("the file differs from the published one: its checksum does not match")
            )


def _copy(
    response: http.client.HTTPResponse,
    target: BinaryIO,
    num_all: int,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> None:
    num_bytes = 0
    on_progress(num_bytes, num_all)
    while chunk := response.read1(_CHUNK_BYTES):
        if should_stop():
            raise DownloadStoppedError
        target.write(chunk)
        num_bytes += len(chunk)
        on_progress(num_bytes, num_all)
    if num_bytes < num_all:
        raise ConnectionError(_("the connection broke off"))


def _check_disk_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _RESERVE_BYTES:
        raise DownloadFailedError(
            _("it needs {needed:.0f} MB, and the disk has {free:.0f} MB free").format(
                needed=num_bytes / 1e6, free=free / 1e6
            )
        )


def _reason(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return _("the server answered {code}").format(code=error.code)
        case TimeoutError():
            return _("the server stopped answering")
        case urllib.error.URLError(reason=TimeoutError()):
            return _("the server stopped answering")
        case urllib.error.URLError():
            return _("the server cannot be reached: {reason}").format(reason=error.reason)
    return str(error) or type(error).__name__
