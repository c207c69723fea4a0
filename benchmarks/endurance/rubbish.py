"""Fuzzing with damaged photos and archives. They must be read or rejected with a message, in bounded memory."""

from __future__ import annotations

import io
import shutil
import tarfile
import time
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.endurance.mutations import damaged
from benchmarks.endurance.trials import Budget, Report, call_in_process, try_often
from transfer_core.data.images.decoding import read_image
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.open_source import open_archive
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.workspace import Workspace

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF", "AVIF")
_NAMES = (
    "..",
    ".",
    "",
    "cat",
    "dog",
    "C:",
    "con",
    "a.",
    "\\",
    "\0",
    "~",
    "x" * 300,
    "狐",
    "__MACOSX",
    "train",
)
# The first trials load codecs and fill caches.
_WARM_UP_TRIALS = 200
_MAX_GROWTH = 300 * 10**6


def images(budget: Budget) -> Report:
    """Read damaged photos of every format."""
    return _in_one_process(_read_images, budget)


def archives(budget: Budget) -> Report:
    """Ingest damaged zips and tars with odd names."""
    return _in_one_process(_read_archives, budget)


def _in_one_process(work: object, budget: Budget) -> Report:
    seconds_left = budget.ends_at - time.monotonic()
    report = call_in_process(work, budget, seconds_left)
    growth = report.note
    report.note = f"memory grew by {int(growth) / 1e6:.0f} MB"
    if int(growth) > _MAX_GROWTH:
        report.failures.append(report.note)
    return report


class _Growth:
    """Peak growth of this process's memory since the warm-up, in bytes."""

    def __init__(self) -> None:
        self.most = 0
        self._first = 0
        self._process = psutil.Process()

    def record(self, number: int) -> None:
        now = self._process.memory_info().rss
        if number <= _WARM_UP_TRIALS:
            self._first = now
        self.most = max(self.most, now - self._first)


def _read_images(budget: Budget, seconds_left: float) -> Report:
    samples = [_photo(name) for name in _FORMATS]
    growth = _Growth()

    def trial(number: int) -> str:
        draws = budget.draws(number)
        content = damaged(samples[int(draws.integers(len(samples)))], draws)
        growth.record(number)
        try:
            decoded = read_image(content)
        except UnreadableImageError as error:
            return "" if str(error).isprintable() and str(error) else "it was refused without a sentence"
        return "" if decoded.image.mode == "RGB" else f"it was read as {decoded.image.mode}"

    return _watched(budget, seconds_left, trial, growth)


def _read_archives(budget: Budget, seconds_left: float) -> Report:
    samples = [_photo(name) for name in _FORMATS]
    growth = _Growth()

    def trial(number: int) -> str:
        draws = budget.draws(number)
        content = _archive(samples, draws)
        if draws.integers(2):
            content = damaged(content, draws)
        growth.record(number)
        outer = budget.folder / "archive"
        problem = _ingest(content, outer)
        shutil.rmtree(outer, ignore_errors=True)  # there is no folder if everything was rejected
        return problem

    return _watched(budget, seconds_left, trial, growth)


def _watched(budget: Budget, seconds_left: float, trial: object, growth: _Growth) -> Report:
    """Run the trials without warnings, like the app, and report any other exception as a failure."""

    def guarded(number: int) -> str:
        try:
            return trial(number)  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001  (any other error is a failure of the check)
            return f"{type(error).__name__}: {error}"

    own_budget = replace(budget, ends_at=time.monotonic() + seconds_left)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = try_often(own_budget, guarded)
    report.note = str(growth.most)
    return report


def _ingest(content: bytes, outer: Path) -> str:
    """Ingest an archive into a workspace below `outer` and return the problem with the result."""
    dataset = create_dataset(Workspace(outer / "deep" / "below"), "Fuzz")
    try:
        with open_archive(io.BytesIO(content), "fuzz") as files:
            added = add_files(dataset, files)
    except IngestError as error:
        if not str(error).isprintable() or not str(error):
            return "it was refused without a sentence"
    else:
        if not all(added.image_path(image).is_file() for image in added.images):
            return "a photo is missing"
    outside = [
        path for path in outer.rglob("*") if path.is_file() and not path.is_relative_to(dataset.folder)
    ]
    return f"{outside[0].name} was written outside" if outside else ""


def _photo(image_format: str) -> bytes:
    noise = np.random.default_rng(3).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image = Image.fromarray(noise).convert("P" if image_format == "GIF" else "RGB")
    image.save(buffer, image_format, exif=exif.tobytes())
    return buffer.getvalue()


def _archive(samples: list[bytes], draws: np.random.Generator) -> bytes:
    members = [
        (
            "/".join(str(draws.choice(_NAMES)) for _part in range(int(draws.integers(1, 5)))),
            samples[int(draws.integers(len(samples)))],
        )
        for _member in range(int(draws.integers(6)))
    ]
    kind = draws.choice(("stored", "deflated", "tar", "tar.gz"))
    buffer = io.BytesIO()
    if kind in ("stored", "deflated"):
        packing = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        with zipfile.ZipFile(buffer, "w", packing) as archive:
            for name, content in members:
                member = zipfile.ZipInfo("x")
                member.filename = name
                archive.writestr(member, content, packing)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz" if kind == "tar.gz" else "w") as archive:
        for name, content in members:
            member_of_tar = tarfile.TarInfo(name.replace("\0", "0"))
            member_of_tar.size = len(content)
            archive.addfile(member_of_tar, io.BytesIO(content))
    return buffer.getvalue()
