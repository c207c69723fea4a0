"""Download and cache of ONNX Runtime Web, which runs exported models in a browser."""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from transfer_core.download import DownloadFailedError, download_file
from transfer_core.errors import ExportError
from transfer_core.files import write_bytes
from transfer_core.language import _
from transfer_core.types import OnProgress, ShouldStop

# The variable that npm itself reads, for registries such as a school's mirror.
REGISTRY_VARIABLE = "npm_config_registry"
_REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True)
class RuntimePackage:
    """One release of an npm package, and its two files that are used.

    Args:
        name: npm package name.
        version: Exact version.
        num_bytes: Size of the archive.
        integrity: Base64 SHA-512 of the archive, as the registry states it.
        script: Path of the JavaScript module in the archive.
        machine_code: Path of the WebAssembly in the archive.
        checksums: Hexadecimal SHA-256 of `script` and `machine_code`.
    """

    name: str
    version: str
    num_bytes: int
    integrity: str
    script: str
    machine_code: str
    checksums: tuple[str, str]

    @property
    def archive(self) -> str:
        """File name of the archive."""
        return f"{self.name}-{self.version}.tgz"

    @property
    def address(self) -> str:
        """URL of the archive."""
        registry = os.environ.get(REGISTRY_VARIABLE) or _REGISTRY
        return f"{registry.rstrip('/')}/{self.name}/-/{self.archive}"


ONNX_RUNTIME_WEB = RuntimePackage(
    name="onnxruntime-web",
    version="1.30.0",
    num_bytes=33_106_585,
    integrity="q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    script="package/dist/ort.wasm.bundle.min.mjs",
    machine_code="package/dist/ort-wasm-simd-threaded.wasm",
    checksums=(
        "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
)


@dataclass(frozen=True)
class WebRuntime:
    """Contents of the JavaScript module and its WebAssembly, which run a model in a browser."""

    script: bytes
    machine_code: bytes


def is_available(folder: Path, package: RuntimePackage = ONNX_RUNTIME_WEB) -> bool:
    """Return whether the files of a package, or its archive, are in a folder. Their content is not verified."""
    is_stored = all(path.is_file() for path in _paths(folder, package))
    return is_stored or (folder / package.archive).is_file()


def get_runtime(
    folder: Path,
    package: RuntimePackage = ONNX_RUNTIME_WEB,
    *,
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> WebRuntime:
    """Return the runtime from a folder, downloading it into the folder first if it is missing or damaged.

    Args:
        folder: Existing folder of runtimes. An archive that a person has put there is used and deleted.
        package: Release to return.
        on_progress: Called with the received and the total number of bytes.
        should_stop: Called after each chunk; True stops.

    Raises:
        DownloadStoppedError: If `should_stop` returned True.
        ExportError: If the download fails; the message explains how to add the file by hand.
        WorkspaceError: If writing fails.
    """
    stored = _read(folder, package)
    if stored is not None:
        return stored
    archive = folder / package.archive
    if archive.is_file() and _has_integrity(archive, package):
        runtime = _unpack(archive, folder, package)
        archive.unlink(missing_ok=True)
        return runtime
    # Use a separate folder, because two exports may download at once.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fetched = Path(scratch) / package.archive
        try:
            download_file(
                package.address,
                fetched,
                is_valid=lambda path: _has_integrity(path, package),
                on_progress=on_progress,
                should_stop=should_stop,
            )
        except DownloadFailedError as error:
            raise ExportError(_failure_message(folder, package, error)) from error
        return _unpack(fetched, folder, package)


def _paths(folder: Path, package: RuntimePackage) -> tuple[Path, Path]:
    place = folder / f"{package.name}-{package.version}"
    return place / Path(package.script).name, place / Path(package.machine_code).name


def _read(folder: Path, package: RuntimePackage) -> WebRuntime | None:
    """Return the stored runtime, or None if a file is missing or its checksum differs."""
    try:
        contents = [path.read_bytes() for path in _paths(folder, package)]
    except OSError:
        return None
    checksums = tuple(hashlib.sha256(content).hexdigest() for content in contents)
    return WebRuntime(*contents) if checksums == package.checksums else None


def _unpack(archive: Path, folder: Path, package: RuntimePackage) -> WebRuntime:
    """Extract only the two files: the archive's builds for other environments are far larger."""
    with tarfile.open(archive) as opened:
        for name, path in zip((package.script, package.machine_code), _paths(folder, package), strict=True):
            member = opened.extractfile(name)
            write_bytes(path, member.read() if member else b"")
    runtime = _read(folder, package)
    if runtime is None:
        raise ExportError(_failure_message(folder, package, _("its files could not be read back")))
    return runtime


def _has_integrity(path: Path, package: RuntimePackage) -> bool:
    digest = hashlib.sha512(path.read_bytes()).digest()
    return base64.b64encode(digest).decode() == package.integrity


def _failure_message(folder: Path, package: RuntimePackage, reason: object) -> str:
    return _(
        "ONNX Runtime Web could not be downloaded ({reason}). Try again later. "
        "Or download {file} on another computer from {address} and put it into the folder {folder}."
    ).format(reason=reason, file=package.archive, address=package.address, folder=folder)
