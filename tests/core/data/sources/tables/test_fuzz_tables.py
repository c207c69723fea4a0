"""No table, however odd, makes the reading fail; every file keeps its place in the answer."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.tables.table import read_tables
from transfer_core.errors import UnreadableImageError

PHOTOS = ["a.jpg", "b.jpg", "cat/1.jpg", "dog/1.jpg", "train/x.png", "0.jpg", "1.jpg"]
bounded = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
CELLS = st.sampled_from(
    [
        *PHOTOS,
        "a",
        "b",
        "1",
        "0",
        "1.0",
        "cat",
        "dog",
        "train",
        "test",
        "x",
        "",
        "nan",
        "label",
        "file",
        "split",
    ]
) | st.sampled_from(
    [
        '"',
        "..",
        "../a.jpg",
        "/a.jpg",
        "C:\\a.jpg",
        "gs://b/a.jpg",
        "http://[",
        "{}",
        "[1]",
        "\x1f",
        "é",
        "猫",
        "%",
    ]
)
VALUES = st.recursive(
    CELLS | st.none() | st.booleans() | st.integers(-2, 9) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            CELLS
            | st.sampled_from(
                ["images", "annotations", "categories", "classes", "labels", "items", "id", "data"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def check(name: str, content: bytes) -> None:
    files = [ImportedFile(tuple(path.split("/")), lambda: b"") for path in PHOTOS]
    found = read_tables([*files, ImportedFile((name,), lambda: content)])
    if found.best:
        paths = [file.path for file in found.best.files]
        assert set(PHOTOS) <= set(paths)
        assert found.best.num_named <= len(PHOTOS)
        for file in found.best.files:
            if file.is_refused:
                with pytest.raises(UnreadableImageError):
                    file.read()
            else:
                assert file.class_name


@bounded
@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=12),
    st.sampled_from([",", ";", "\t", "|", " ", ", "]),
    st.sampled_from([".csv", ".tsv", ".txt", ".lst"]),
    st.sampled_from(["utf-8", "utf-16", "utf-16-le", "gb18030"]),
)
def test_any_text(rows: list[list[str]], mark: str, ending: str, encoding: str) -> None:
    check(f"labels{ending}", "\n".join(mark.join(row) for row in rows).encode(encoding))


@bounded
@given(st.lists(VALUES, max_size=8), st.sampled_from([".json", ".jsonl", ".txt"]), st.booleans())
def test_any_json(values: list[object], ending: str, is_lines: bool) -> None:
    text = (
        "\n".join(map(json.dumps, values))
        if is_lines
        else json.dumps(values[0] if len(values) == 1 else values)
    )
    check(f"list{ending}", text.encode())


@bounded
@given(VALUES)
def test_any_json_object(value: object) -> None:
    check("labels.json", json.dumps(value).encode())


@bounded
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=3)), max_size=3), st.floats(0.3, 1))
def test_any_parquet(changes: list[tuple[float, bytes]], kept: float) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    images = [{"bytes": b"1", "path": "a.jpg"}, {"bytes": b"2", "path": None}]
    pq.write_table(pa.table({"image": images, "label": ["cat", "dog"]}), buffer)
    content = bytearray(buffer.getvalue())
    for place, new in changes:
        start = int(place * len(content))
        content[start : start + len(new)] = new
    data = bytes(content[: int(kept * len(content))] if kept < 0.5 else content)
    best = read_tables([ImportedFile(("a.parquet",), lambda: data)]).best
    for file in best.files if best else []:
        try:
            assert isinstance(file.read(), bytes)
        except UnreadableImageError as error:
            assert str(error)
