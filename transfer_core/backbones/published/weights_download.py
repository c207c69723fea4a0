"""Get a weights file over the network: whole and checked, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from transfer_core.backbones.published.facts import WeightsFile
from transfer_core.backbones.published.zoo_weights import has_checksum, weights_folder
from transfer_core.download import DownloadFailedError, download_file
from transfer_core.errors import WeightsError
from transfer_core.language import _
from transfer_core.types import OnProgress, ShouldStop

URL_VARIABLE = "TRANSFER_STUDIO_WEIGHTS_URL"


def download_weights(
    file: WeightsFile,
    *,
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
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
        WorkspaceError: If writing fails.
    """
    path = weights_folder() / file.name
    try:
        download_file(
            _address(file),
            path,
            is_valid=lambda path: _is_right(path, file),
            on_progress=on_progress,
            should_stop=should_stop,
        )
    except DownloadFailedError as error:
        raise WeightsError(
            _(
                "The weights could not be downloaded ({reason}): use a model that works offline, or try again later, "
                "or put the file {file} into the folder {folder}."
            ).format(reason=error, file=file.name, folder=weights_folder())
        ) from error
    return path


def _address(file: WeightsFile) -> str:
    mirror = os.environ.get(URL_VARIABLE)
    return f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url


def _is_right(path: Path, file: WeightsFile) -> bool:
    """Whether it is an HDF5 file to its end: not every server tells a length, nor Keras every checksum."""
    import h5py

    try:
        with h5py.File(path, "r"):
            return not file.checksum or has_checksum(path, file.checksum)
    except OSError:
        return False
