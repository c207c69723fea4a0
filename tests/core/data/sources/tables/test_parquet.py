"""Photos and labels come from parquet files as Hugging Face stores them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout import labelled_files
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.data.sources.open_source import csv_source
from transfer_core.data.sources.tables import parquet
from transfer_core.data.sources.tables.table import TablesFound, read_tables
from transfer_core.errors import UnreadableImageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CONTENT = [f"photo {number}".encode() for number in range(12)]
LABELS = [number % 2 for number in range(12)]


def stored(
    images: Any = None, names: list[str] | None = None, rows_per_group: int = 5, **columns: Any
) -> bytes:
    """Return a parquet file of photos with columns beside them, and names of classes as `datasets` keeps them."""
    if images is None:
        images = [{"bytes": content, "path": f"p{number}.png"} for number, content in enumerate(CONTENT)]
    table = pa.table({"image": pa.array(images), **columns})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        facts = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({b"huggingface": facts.encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=rows_per_group)
    return buffer.getvalue()


def opened(**files: bytes) -> TablesFound:
    return read_tables(
        [ImportedFile(tuple(path.split("/")), lambda data=data: data) for path, data in files.items()]
    )


@pytest.mark.parametrize(
    ("columns", "names", "classes"),
    [
        ({"label": LABELS}, ["cat", "dog"], ["cat", "dog"]),
        ({"label": LABELS}, None, ["0", "1"]),
        ({"label": ["cat", "dog"] * 6}, None, ["cat", "dog"]),
        ({"label": pa.array(["cat", "dog"] * 6).dictionary_encode()}, None, ["cat", "dog"]),
        ({"number": list(range(12)), "species": ["cat", "dog"] * 6}, None, ["cat", "dog"]),
    ],
)
def test_rows_are_photos(columns: dict[str, Any], names: list[str] | None, classes: list[str]) -> None:
    best = opened(**{"data/train-00000-of-00001.parquet": stored(names=names, **columns)}).best
    assert best and best.num_named == 12
    assert [(file.label, file.split, file.read()) for file in best.files] == [
        (classes[number % 2], "train", content) for number, content in enumerate(CONTENT)
    ]
    assert [file.parts[-1] for file in best.files] == [f"p{number}.png" for number in range(12)]


def test_bytes_alone() -> None:
    best = opened(**{"a.parquet": stored(CONTENT, label=LABELS)}).best
    assert best and [file.read() for file in best.files] == CONTENT


def test_shards_and_splits_count_together() -> None:
    names = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    best = opened(**{f"data/{name}.parquet": stored(label=LABELS) for name in names}).best
    assert best and best.num_named == 36
    assert [file.split for file in best.files] == ["train"] * 24 + ["test"] * 12


def test_many_threads_read_in_any_order() -> None:
    best = opened(**{"a.parquet": stored(label=LABELS, rows_per_group=2)}).best
    assert best
    files = [*best.files, *reversed(best.files)] * 5
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda file: file.read(), files)) == [*CONTENT, *reversed(CONTENT)] * 5


def test_rows_without_a_photo_or_a_class_are_refused() -> None:
    images = [{"bytes": content if number else None, "path": None} for number, content in enumerate(CONTENT)]
    labels = [*LABELS[:11], None]
    best = opened(**{"a.parquet": stored(images, label=labels)}).best
    assert best
    refused = {}
    for file in (best.files[0], best.files[11]):
        with pytest.raises(UnreadableImageError) as caught:
            file.read()
        refused[file.path] = str(caught.value)
    assert refused == {
        "a/000000.jpg": "its row in the parquet file holds no photo",
        "a/000011.jpg": "a.parquet gives it no class",
    }


def test_a_table_of_paths(read: Callable[..., TablesFound]) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"file_name": ["1.jpg", "2.jpg"], "label": ["cat", "dog"]}), buffer)
    best = read(["img/1.jpg", "img/2.jpg"], {"metadata.parquet": buffer.getvalue()}).best
    assert best and [file.label for file in best.files] == ["cat", "dog"]


def test_a_photo_that_a_hostile_file_repeats_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet, "_MAX_GROUP_BYTES", 2**22)
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000), pa.array([b"x" * 2**18]))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": repeated, "label": [0, 1] * 25_000}), buffer, store_schema=False)
    table = parquet.ParquetTable(ImportedFile(("a.parquet",), buffer.getvalue))
    with pytest.raises(
        UnreadableImageError, match="its group of rows in the parquet file is larger than 4 MB"
    ):
        table.image(49_999, ()).read()


def test_large_photos_in_one_group() -> None:
    content = [bytes([number]) * 300_000 for number in range(40)]
    images = [{"bytes": photo, "path": "p.png"} for photo in content]
    best = opened(**{"a.parquet": stored(images, rows_per_group=100, label=[0, 1] * 20)}).best
    assert best and [file.read() for file in best.files] == content


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    best = opened(**{"a.parquet": stored(label=LABELS)}).best
    monkeypatch.setattr(parquet, "_MAX_GROUP_BYTES", 10)
    assert best
    with pytest.raises(
        UnreadableImageError, match="its group of rows in the parquet file is larger than 0 MB"
    ):
        best.files[0].read()


@pytest.mark.parametrize("cut", [4, 100, 0.5, 0.9])
def test_a_damaged_file_is_named(cut: float) -> None:
    content = stored(label=LABELS)
    found = opened(**{"a.parquet": content[: cut if isinstance(cut, int) else int(cut * len(content))]})
    assert [notice.names for notice in found.notices] == [("damaged",)]


def test_alone_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(stored(label=LABELS))
    files = labelled_files(csv_source(tmp_path / "train.parquet"), LayoutChoice("table"))
    assert [file.read() for file in files] == CONTENT
