"""ONNX Runtime Web, which runs a model inside a browser: fetched once from the npm registry, then kept."""

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

# As npm itself reads it: another registry, such as a mirror inside a school.
REGISTRY_VARIABLE = "npm_config_registry"
_REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True)
class RuntimePackage:
    """One release of a package of the npm registry, and the files of it that are needed.

    Args:
        name: In the registry.
        version: Pinned, since the files are.
        num_bytes: What has to be downloaded.
        integrity: SHA-512 of the archive, base64, as the registry states it.
        script: The JavaScript module, by its path in the archive.
        machine_code: The WebAssembly that it runs, likewise.
        checksums: SHA-256 of these two, in that order, hexadecimal.
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
        """Where the archive is published."""
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
    """What runs a model inside a browser.

    Args:
        script: A JavaScript module.
        machine_code: The WebAssembly that it runs.
    """

    script: bytes
    machine_code: bytes


def is_available(folder: Path, package: RuntimePackage = ONNX_RUNTIME_WEB) -> bool:
    """Whether it lies on this computer, by the names of its files.

    Args:
        folder: Where runtimes are kept.
        package: Which one.
    """
    kept = all(path.is_file() for path in _kept(folder, package))
    return kept or (folder / package.archive).is_file()


def get_runtime(
    folder: Path,
    package: RuntimePackage = ONNX_RUNTIME_WEB,
    *,
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> WebRuntime:
    """Return the runtime, from this computer where it is kept, otherwise from the registry; its files are kept.

    Args:
        folder: Where runtimes are kept; it is there. An archive that a person has put into it is taken.
        package: Which one.
        on_progress: Called with the bytes that have come and those of the whole archive.
        should_stop: Asked after each piece.

    Raises:
        DownloadStoppedError: If `should_stop` said so.
        ExportError: If it could not be had; the message says what else can be done.
        WorkspaceError: If writing fails.
    """
    kept = _read(folder, package)
    if kept is not None:
        return kept
    archive = folder / package.archive
    if archive.is_file() and _has_integrity(archive, package):
        runtime = _unpack(archive, folder, package)
        archive.unlink(missing_ok=True)
        return runtime
    # In a folder of its own: two pages may be made at once.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fetched = Path(scratch) / package.archive
        try:
            download_file(
                package.address,
                fetched,
                is_right=lambda path: _has_integrity(path, package),
                on_progress=on_progress,
                should_stop=should_stop,
            )
        except DownloadFailedError as error:
            raise ExportError(_failure_message(folder, package, error)) from error
        return _unpack(fetched, folder, package)


def _kept(folder: Path, package: RuntimePackage) -> tuple[Path, Path]:
    place = folder / f"{package.name}-{package.version}"
    return place / Path(package.script).name, place / Path(package.machine_code).name


def _read(folder: Path, package: RuntimePackage) -> WebRuntime | None:
    """Return what is kept, if it is whole."""
    try:
        contents = [path.read_bytes() for path in _kept(folder, package)]
    except OSError:
        return None
    checksums = tuple(hashlib.sha256(content).hexdigest() for content in contents)
    return WebRuntime(*contents) if checksums == package.checksums else None


def _unpack(archive: Path, folder: Path, package: RuntimePackage) -> WebRuntime:
    """Keep the two files and let the rest go: the archive holds builds for other machines, twice the size of all."""
    with tarfile.open(archive) as opened:
        for name, path in zip((package.script, package.machine_code), _kept(folder, package), strict=True):
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
        "ONNX Runtime Web could not be downloaded ({reason}): try again later, or get the file {file} on another "
        "computer from {address} and put it into the folder {folder}."
    ).format(reason=reason, file=package.archive, address=package.address, folder=folder)
