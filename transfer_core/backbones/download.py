"""Get a weights file over the network: whole and checked, or not at all."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from transfer_core.backbones.facts import WeightsFile
from transfer_core.backbones.zoo_weights import has_checksum, weights_folder
from transfer_core.errors import WeightsError
from transfer_core.files import replacing
from transfer_core.language import _

URL_VARIABLE = "TRANSFER_STUDIO_WEIGHTS_URL"
_SECONDS_WITHOUT_A_BYTE = 30
_CHUNK_BYTES = 2**16
_RESERVE_BYTES = 100 * 10**6


class DownloadStoppedError(Exception):
    """The person asked to stop before the file was whole."""


def download_weights(
    file: WeightsFile,
    *,
    on_progress: Callable[[int, int], None] = lambda num_bytes, num_all: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Get a file into the folder of weights. Nothing of it is left there when it breaks off.

    Args:
        file: Which one.
        on_progress: Called with the bytes that have come and those of the whole file, 0 if the server does not say.
        should_stop: Asked after each piece.

    Returns:
        Where it lies.

    Raises:
        DownloadStoppedError: If `should_stop` said so.
        WeightsError: If it could not be had, was cut off, or has another checksum; the message says what else
            can be done.
        WorkspaceError: If the disk refuses.
    """
    path = weights_folder() / file.name
    with replacing(path) as beside:
        try:
            with (
                urllib.request.urlopen(_address(file), timeout=_SECONDS_WITHOUT_A_BYTE) as answer,
                beside.open("wb") as target,
            ):
                num_all = int(answer.headers.get("Content-Length") or 0)
                _check_room(path.parent, num_all)
                _copy(answer, target, num_all, on_progress, should_stop)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise WeightsError(_failure_message(file, _reason(error))) from error
        _check(beside, file)
    return path


def _address(file: WeightsFile) -> str:
    mirror = os.environ.get(URL_VARIABLE)
    return f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url


def _copy(
    answer: http.client.HTTPResponse,
    target: BinaryIO,
    num_all: int,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
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
        raise WeightsError(
            _(
                "The weights take {needed:.0f} MB, and the disk has {free:.0f} MB left. Free some space, then "
                "download them again."
            ).format(needed=num_bytes / 1e6, free=free / 1e6)
        )


def _check(path: Path, file: WeightsFile) -> None:
    if not _is_whole(path) or (file.checksum and not has_checksum(path, file.checksum)):
        raise WeightsError(
            _failure_message(file, _("what came is not the file that was published: its checksum is another"))
        )


def _is_whole(path: Path) -> bool:
    """Whether it is an HDF5 file to its end: not every server tells a length, nor Keras every checksum."""
    import h5py

    try:
        with h5py.File(path, "r"):
            return True
    except OSError:
        return False


def _failure_message(file: WeightsFile, reason: str) -> str:
    return _(
        "The weights could not be downloaded ({reason}): use a model that works offline, or try again later, or "
        "put the file {file} into the folder {folder}."
    ).format(reason=reason, file=file.name, folder=weights_folder())


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
