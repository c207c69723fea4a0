"""Find, download and verify the weights files that Keras publishes for `keras.applications`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from transfer_core.backbones.weights_file import Arrays, read_weights, set_weights
from transfer_core.download import DownloadFailedError, download_file
from transfer_core.errors import WeightsError
from transfer_core.language import _
from transfer_core.types import OnProgress, ShouldStop

if TYPE_CHECKING:
    import keras

WEIGHTS_VARIABLE = "TRANSFER_STUDIO_WEIGHTS"
URL_VARIABLE = "TRANSFER_STUDIO_WEIGHTS_URL"
_CHUNK_BYTES = 2**20


def weights_folder() -> Path:
    """Return the folder of downloaded weights: TRANSFER_STUDIO_WEIGHTS, or Keras's own."""
    named = os.environ.get(WEIGHTS_VARIABLE)
    if named:
        return Path(named)
    keras_home = os.environ.get("KERAS_HOME")
    return (Path(keras_home) if keras_home else Path.home() / ".keras") / "models"


@dataclass(frozen=True)
class WeightsFile:
    """A weights file that Keras publishes.

    Args:
        name: File name in Keras's cache.
        url: Address of the download.
        checksum: MD5 (32 digits) or SHA-256 (64 digits); empty where Keras publishes none.
    """

    name: str
    url: str
    checksum: str


@dataclass(frozen=True)
class ZooWeights:
    """ImageNet weights that Keras publishes.

    Args:
        title: Name of the network, for messages.
        files: The file without classifier and the one with it; either can be loaded.
        is_blue_first: Whether the network was trained on BGR pixels. Loading converts it to RGB.
    """

    title: str
    files: tuple[WeightsFile, ...]
    is_blue_first: bool = False

    @property
    def download(self) -> WeightsFile:
        """The file to download."""
        return self.files[0]

    @property
    def are_available(self) -> bool:
        """Whether a file of the right name exists; it may be damaged."""
        return self._found() is not None

    @property
    def path(self) -> Path | None:
        """The existing file; None if there is none."""
        file = self._found()
        return self._path(file) if file else None

    @property
    def checksum(self) -> str:
        """Keras's checksum of the existing file; SHA-256 of its content where Keras publishes none."""
        file = self._found() or self.download
        return file.checksum or checksum_of(self._path(file))

    def load(self, model: keras.Model) -> None:
        """Verify the file and set the weights of the network.

        Raises:
            WeightsError: If the file is missing, damaged or of another network.
        """
        file = self._found()
        if file is None:
            raise WeightsError(missing_message(self.title, self.download))
        path = self._path(file)
        if file.checksum and not has_checksum(path, file.checksum):
            raise WeightsError(
                _(
                    "The weights file {path} is not the one that Keras published: its checksum is another. Delete "
                    "it and download it again."
                ).format(path=path)
            )
        set_weights(model, read_zoo_weights(path, model, path.name, is_blue_first=self.is_blue_first))

    def _found(self) -> WeightsFile | None:
        return next((file for file in self.files if self._path(file).is_file()), None)

    def _path(self, file: WeightsFile) -> Path:
        return weights_folder() / file.name


def read_zoo_weights(
    content: Path | BinaryIO, model: keras.Model, name: str, *, is_blue_first: bool
) -> Arrays:
    """Read a weights file of `keras.applications` for a network on RGB pixels.

    Args:
        content: The file.
        model: The network.
        name: Of the file, for messages.
        is_blue_first: Whether the network was trained on BGR pixels; its first kernel is then reversed.

    Raises:
        WeightsError: If the file is missing, damaged, or of another network.
    """
    arrays = read_weights(content, model, name)
    if is_blue_first:
        first = next(layer.name for layer in model.layers if layer.weights)
        arrays[first][0] = arrays[first][0][:, :, ::-1]
    return arrays


def download_weights(
    file: WeightsFile,
    *,
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> Path:
    """Download a file into the folder of weights, completely or not at all.

    Args:
        file: The file.
        on_progress: Called with the bytes received and those of the whole file, 0 if the server does not send it.
        should_stop: Called after each chunk of 64 KB.

    Returns:
        Path of the file.

    Raises:
        DownloadStoppedError: If `should_stop` returned true.
        WeightsError: If the download failed or has the wrong checksum; the message names alternatives.
        WorkspaceError: If writing fails.
    """
    path = weights_folder() / file.name
    try:
        download_file(
            _address(file),
            path,
            is_valid=lambda beside: _is_complete(beside, file),
            on_progress=on_progress,
            should_stop=should_stop,
        )
    except DownloadFailedError as error:
        raise WeightsError(
            _(
                "The weights could not be downloaded ({reason}). "
                "Choose a model that works offline, or try again later. "
                "Or put the file {file} into the folder {folder}."
            ).format(reason=error, file=file.name, folder=weights_folder())
        ) from error
    return path


def _address(file: WeightsFile) -> str:
    mirror = os.environ.get(URL_VARIABLE)
    return f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url


def _is_complete(path: Path, file: WeightsFile) -> bool:
    """Return whether it is a whole HDF5 file: some servers send no length, and Keras has no checksum for some."""
    import h5py

    try:
        with h5py.File(path, "r"):
            return not file.checksum or has_checksum(path, file.checksum)
    except OSError:
        return False


def missing_message(title: str, file: WeightsFile) -> str:
    """Return the sentence about missing weights and what to do."""
    return _(
        "The weights of {title} are not on this computer. Download them on the Model page, or choose a model that "
        "works offline. Or put the file {file} into the folder {folder}."
    ).format(title=title, file=file.name, folder=weights_folder())


def has_checksum(path: Path, checksum: str) -> bool:
    """Return whether a file has a checksum: MD5 (32 digits) or SHA-256 (64 digits).

    Raises:
        WeightsError: If the file cannot be read.
    """
    return checksum == (checksum_of(path) if len(checksum) == 64 else _digest(path, "md5"))


def checksum_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        WeightsError: If it cannot be read.
    """
    return _digest(path, "sha256")


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise WeightsError(
            _("The weights file {path} cannot be read: {reason}. Get the file again.").format(
                path=path, reason=error
            )
        ) from error
    return digest.hexdigest()
