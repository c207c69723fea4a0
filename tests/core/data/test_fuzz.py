"""Whatever bytes come in: they are taken or refused in words, and nothing is written where it does not belong."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from transfer_core.data.images.decoding import read_image
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import csv_source, open_archive, open_source
from transfer_core.data.sources.tables.table import TABLE_ENDINGS, read_tables
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import said
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES
from transfer_core.workspace import Workspace

# In the app these are left out when images.py is imported; pytest sets its own filters around each test.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\."),
    pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning:zipfile"),
]

FORMATS = [
    name
    for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF", "AVIF", "PPM", "JPEG2000")
    if name != "AVIF" or features.check("avif")
]
# The same examples in every run, a few seconds in all.
bounded = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = st.text(max_size=40) | st.lists(
    st.sampled_from(["..", ".", "", "cat", "C:", "con", "a.", "\\", "\0", "~", "x" * 300, "狐"]), max_size=6
).map("/".join)
# Where to change a file, and to what; and how much of it to keep.
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6)), max_size=5
)
KEPT = st.just(1.0) | st.floats(0, 1)


def is_clean(text: str) -> bool:
    """Letters that are newer than this Python are not printable for it, but harmless."""
    return not CONTROL_CHARACTERS_AND_LINES.search(text)


def picture(image_format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    pixels = Image.frombytes("RGB", (24, 16), random.Random(3).randbytes(24 * 16 * 3))
    pixels.convert("P" if image_format == "GIF" else "RGB").save(buffer, image_format, exif=exif.tobytes())
    return buffer.getvalue()


PICTURES = {name: picture(name) for name in FORMATS}


def changed(content: bytes, changes: list[tuple[float, bytes]], kept: float) -> bytes:
    edited = bytearray(content)
    for place, value in changes:
        start = int(place * len(edited))
        edited[start : start + len(value)] = value
    return bytes(edited[: round(kept * len(edited))])


def zipped(members: list[tuple[str, bytes]], compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            member = zipfile.ZipInfo("x")
            member.filename = name.encode("utf-8", "replace").decode()[:60_000]
            archive.writestr(member, content, compression)
    return buffer.getvalue()


def tarred(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", errors="replace") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


PACKERS: list[Callable[[list[tuple[str, bytes]]], bytes]] = [
    lambda members: zipped(members, zipfile.ZIP_STORED),
    lambda members: zipped(members, zipfile.ZIP_DEFLATED),
    lambda members: zipped(members, zipfile.ZIP_BZIP2),
    tarred,
    lambda members: gzip.compress(tarred(members)),
]


@pytest.fixture(autouse=True)
def _little_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_STUDIO_MAX_MEGAPIXELS", "1")


@bounded
@given(st.binary(max_size=400), st.sampled_from([b"", *(content[:12] for content in PICTURES.values())]))
def test_any_bytes_are_refused_in_words(content: bytes, start: bytes) -> None:
    try:
        assert read_image(start + content).image.mode == "RGB"
    except UnreadableImageError as error:
        assert str(error).isprintable()


@bounded
@given(st.sampled_from(FORMATS), CHANGES, KEPT)
def test_a_changed_picture_is_read_or_refused_in_words(
    image_format: str, changes: list[tuple[float, bytes]], kept: float
) -> None:
    try:
        decoded = read_image(changed(PICTURES[image_format], changes, kept))
    except UnreadableImageError as error:
        assert str(error).isprintable()
        return
    assert decoded.image.mode == "RGB"
    assert max(decoded.image.size) <= 1024
    assert read_image(decoded.to_jpeg()).image.size == decoded.image.size


@bounded
@given(
    st.lists(st.tuples(NAMES, st.sampled_from(list(PICTURES.values())) | st.binary(max_size=30)), max_size=5),
    st.sampled_from(PACKERS),
    CHANGES,
    KEPT,
)
def test_an_archive_of_anything_writes_nothing_but_the_dataset(
    members: list[tuple[str, bytes]],
    pack: Callable[[list[tuple[str, bytes]]], bytes],
    changes: list[tuple[float, bytes]],
    kept: float,
) -> None:
    content = changed(pack(members), changes, kept)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "deep" / "below"
        dataset = create_dataset(Workspace(root), "Fuzz")
        try:
            with open_archive(io.BytesIO(content), "fuzz") as files:
                added = add_files(dataset, files)
        except IngestError as error:
            assert is_clean(str(error))
            assert not (dataset.folder / "dataset.json").exists()
        else:
            assert all(is_clean(said(file.reason)) and is_clean(file.name) for file in added.left_out)
            assert all(dataset.image_path(image).is_file() for image in added.images)
        written = {path for path in Path(folder).rglob("*") if path.is_file()}
        own = {path for path in dataset.folder.rglob("*") if path.suffix in (".jpg", ".json", ".lock")}
        assert written == own


@bounded
@given(
    st.binary(max_size=300) | st.text(max_size=120).map(lambda text: text.encode("utf-16", "replace")),
    st.sampled_from(TABLE_ENDINGS),
)
def test_a_table_of_anything_is_read_or_refused_in_words(content: bytes, ending: str) -> None:
    table = ImportedFile((f"labels{ending}",), lambda: content)
    found = read_tables([table, ImportedFile(("a.jpg",), lambda: b"")])
    assert found.best is None or {file.path.isprintable() for file in found.best.files} == {True}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_bytes(content)
        for read in (csv_source, lambda path: open_source(path).__enter__()):
            try:
                files = read(path)
            except IngestError as error:
                assert str(error)
            else:
                assert all(is_clean(file.path) for file in files)
